// The option `cache`: what is kept, what is asked of the server, and what happens where nothing can be kept.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { loadModel, modelCache, type ModelCache } from 'trefoil';
import { quantize } from 'trefoil/quantize';
import { afterEach, afterAll, beforeAll, describe, expect, test } from 'vitest';

import { calibration, errorOf, labels, onnx, picturesOf, preprocess, quantizedSigns } from './signs.js';

let bytes: Uint8Array<ArrayBuffer>;
let server: Server;
let address: string;
let served: Uint8Array;
let requests = 0;

beforeAll(async () => {
  ({ model: bytes } = await quantizedSigns());
  server = createServer((request, response) => {
    ++requests;
    if (request.url === '/html') response.end('<!doctype html><p>not here</p>');
    else response.end(served);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/signs.trefoil`;
  served = bytes;
}, 120_000);

afterAll(() => server.close());

afterEach(async () => {
  await modelCache.clear();
  requests = 0;
  served = bytes;
});

/** As the Cache API is, over a Map; `fail` names methods that throw. */
class MapCache implements ModelCache {
  readonly entries = new Map<string, Uint8Array<ArrayBuffer>>();
  fail: string[] = [];
  async match(url: string) {
    if (this.fail.includes('match')) throw new Error('broken');
    const found = this.entries.get(url);
    return found && new Response(found.slice());
  }
  async put(url: string, response: Response) {
    if (this.fail.includes('put')) throw new DOMException('full', 'QuotaExceededError');
    this.entries.set(url, new Uint8Array(await response.arrayBuffer()));
  }
  async delete(url: string) {
    return this.entries.delete(url);
  }
}

async function load(cache: boolean | ModelCache, source: string | URL | Request = address): Promise<string> {
  const model = await loadModel(source, { cache });
  const [best] = await model.classify(picturesOf('stop')[1]!);
  model.dispose();
  return best!.label;
}

describe('loadModel()', () => {
  test('asks the server once; without the option, every time', async () => {
    const cache = new MapCache();
    for (const source of [address, new URL(address), new Request(address)]) {
      expect(await load(cache, source)).toBe('stop');
    }
    expect(requests).toBe(1);
    expect([...cache.entries.keys()]).toEqual([address]);
    await load(false);
    await load(false);
    expect(requests).toBe(3);
  });

  test('reports progress to the end, from the cache as well', async () => {
    const cache = new MapCache();
    for (let i = 0; i < 2; ++i) {
      const fractions: number[] = [];
      const onProgress = ({ fraction }: { fraction: number }) => void fractions.push(fraction);
      (await loadModel(address, { cache, onProgress })).dispose();
      expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
      expect(fractions.at(-1)).toBe(1);
    }
  });

  test('keeps nothing that is no model, and replaces what was damaged', async () => {
    const cache = new MapCache();
    expect((await errorOf(loadModel(address.replace('signs.trefoil', 'html'), { cache }))).code).toBe(
      'BAD_MODEL',
    );
    served = bytes.slice(0, 1000);
    expect((await errorOf(loadModel(address, { cache }))).code).toBe('BAD_MODEL');
    expect(cache.entries.size).toBe(0);
    served = bytes;
    cache.entries.set(address, bytes.slice(0, 500));
    expect(await load(cache)).toBe('stop');
    expect(cache.entries.get(address)).toEqual(bytes);
  });

  test('works on where the cache fails', async () => {
    const cache = new MapCache();
    cache.fail = ['match', 'put'];
    expect(await load(cache)).toBe('stop');
    expect(await load(cache)).toBe('stop');
    expect(requests).toBe(2);
  });

  test('true keeps in memory where there is no Cache API; the list names it, delete forgets it', async () => {
    expect(await load(true)).toBe('stop');
    expect(await load(true)).toBe('stop');
    expect(requests).toBe(1);
    expect(await modelCache.list()).toMatchObject([{ url: address, bytes: bytes.length, persistent: false }]);
    expect(await modelCache.delete(address)).toBe(true);
    expect(await modelCache.delete(address)).toBe(false);
    expect(await modelCache.list()).toEqual([]);
    await load(true);
    expect(requests).toBe(2);
  });

  test('memory holds a copy: the caller may change what was given', async () => {
    const other = await quantize(onnx, { calibration: calibration(2), preprocess, cache: true });
    const before = other.model.slice();
    other.model.fill(0);
    const again = await quantize(onnx, { calibration: calibration(2), preprocess, cache: true });
    expect(again.model).toEqual(before);
  });

  test('options', async () => {
    for (const cache of [{}, 'yes', 1, { match() {}, put() {} }]) {
      expect((await errorOf(loadModel(address, { cache: cache as never }))).code).toBe('BAD_OPTION');
    }
  });
});

describe('quantize()', () => {
  const options = { calibration: calibration(4), preprocess, labels, groupSize: 16 } as const;

  async function phases(cache: ModelCache, more: object = {}): Promise<Set<string>> {
    const seen = new Set<string>();
    await quantize(onnx, { ...options, ...more, cache, onProgress: ({ phase }) => void seen.add(phase) });
    return seen;
  }

  test('the same network, recipe, labels and pictures are quantized once', async () => {
    const cache = new MapCache();
    const first = await quantize(onnx, { ...options, cache });
    const again = await quantize(onnx, { ...options, cache });
    expect(again.model).toEqual(first.model);
    expect(again.report).toEqual(first.report);
    expect((await phases(cache)).has('quantize')).toBe(false);
    // Pixels count, and not the way in which they came.
    const blobs = await Promise.all(
      calibration(4).map(async (path) => new Blob([await (await import('node:fs/promises')).readFile(path)])),
    );
    expect((await phases(cache, { calibration: blobs })).has('quantize')).toBe(false);
    for (const more of [
      { groupSize: 4 },
      { activationBits: 6 },
      { labels: labels.map((label) => label.toUpperCase()) },
      { calibration: calibration(3) },
      { calibration: [...calibration(4)].reverse() },
      { preprocess: { ...preprocess, mean: 0.4 } },
      { layers: { '/stages/stages.1/first/first.0/Conv': { groupSize: 8 } } },
    ]) {
      expect([more, (await phases(cache, more)).has('quantize')]).toEqual([more, true]);
    }
  }, 60_000);

  test('half of an entry counts for nothing', async () => {
    const cache = new MapCache();
    await phases(cache);
    const report = [...cache.entries.keys()].find((url) => url.endsWith('.json'))!;
    cache.entries.set(report, new TextEncoder().encode('{"layers'));
    expect((await phases(cache)).has('quantize')).toBe(true);
    cache.entries.delete(report);
    expect((await phases(cache)).has('quantize')).toBe(true);
    expect((await phases(cache)).has('quantize')).toBe(false);
  }, 60_000);
});
