// loadModel(): sources, answers, workers, and the end of a model.
import { openAsBlob, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createReadStream } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { loadModel, version, type Model, type ModelSource } from 'trefoil';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { errorOf, labels, onnx, picturesOf, preprocess, quantizedSigns, root } from './signs.js';

let folder: string;
let path: string;
let bytes: Uint8Array<ArrayBuffer>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trefoil-model-'));
  ({ model: bytes } = await quantizedSigns());
  path = join(folder, 'signs.trefoil');
  writeFileSync(path, bytes);
}, 120_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

async function best(model: Model): Promise<string> {
  const [first] = await model.classify(picturesOf('stop')[1]!, { topK: 1 });
  return first!.label;
}

test('the version is the one of package.json', () => {
  expect(version).toBe(JSON.parse(readFileSync(join(root, 'npm/package.json'), 'utf8')).version);
});

describe('sources', () => {
  const sources: Record<string, () => ModelSource | Promise<ModelSource>> = {
    'a path': () => path,
    'a file: URL': () => pathToFileURL(path),
    'a file: URL as text': () => pathToFileURL(path).href,
    'a data: URL': () => `data:application/octet-stream;base64,${Buffer.from(bytes).toString('base64')}`,
    'an ArrayBuffer': () => bytes.slice().buffer,
    'a Uint8Array within a larger buffer': () => {
      const larger = new Uint8Array(bytes.length + 13);
      larger.set(bytes, 7);
      return larger.subarray(7, 7 + bytes.length);
    },
    'a Buffer': () => readFileSync(path),
    'shared bytes': () => {
      const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
      shared.set(bytes);
      return shared;
    },
    'a Blob': () => openAsBlob(path),
    'a Response': () => new Response(bytes),
    'a web stream': () => new Blob([bytes]).stream(),
    'a Node stream': () => createReadStream(path),
  };
  test.each(Object.entries(sources))('%s', async (_, source) => {
    const model = await loadModel(await source());
    expect(await best(model)).toBe('stop');
    model.dispose();
  });

  test('bytes stay as they are', async () => {
    const before = bytes.slice();
    (await loadModel(bytes, { worker: true })).dispose();
    expect(bytes.length).toBe(before.length);
    expect(Buffer.compare(bytes, before)).toBe(0);
  });
});

describe('a model', () => {
  let model: Model;
  beforeAll(async () => void (model = await loadModel(path)));
  afterAll(() => model.dispose());

  test('says what it is', () => {
    const { info } = model;
    expect(info.labels).toEqual(labels);
    expect(info.classes).toBe(20);
    expect(info.inputShape).toEqual([3, 64, 64]);
    expect(info.preprocess).toEqual({
      ...preprocess,
      crop: [64, 64],
      letterbox: false,
      channelOrder: 'rgb',
    });
    expect(info.fileBytes).toBe(bytes.length);
    expect(info.fileBytes).toBeLessThan(onnx.length / 8);
    expect(info.memoryBytes).toBeGreaterThan(info.fileBytes);
    expect(info.threads).toBe(1);
    expect(info.worker).toBe(false);
    expect(info.recipe).toMatchObject({ groupSize: 4, activationBits: 8, method: 'fgq' });
    expect(JSON.stringify(info.provenance)).toContain('sha256:');
    expect(info.layers.length).toBeGreaterThan(15);
    const macs = info.layers.reduce((sum, layer) => sum + layer.macs, 0);
    expect(macs).toBeGreaterThan(50e6);
    expect(Object.keys(info.variants)).toContain('ternary_conv');
    expect(structuredClone(info)).toEqual(info);
  });

  test('names classes, best first, with scores that sum to 1', async () => {
    const all = await model.classify(picturesOf('yield')[0]!, { topK: 100 });
    expect(all.length).toBe(20);
    expect(all.map(({ score }) => score)).toEqual(all.map(({ score }) => score).sort((a, b) => b - a));
    expect(all.reduce((sum, { score }) => sum + score, 0)).toBeCloseTo(1, 5);
    expect(all.every(({ label, index }) => label === labels[index])).toBe(true);
    expect(await model.classify(picturesOf('yield')[0]!)).toEqual(all.slice(0, 5));
  });

  test('gives integers and logits that agree', async () => {
    const { integers, logits } = await model.logits(picturesOf('stop')[0]!);
    expect(integers).toBeInstanceOf(Int32Array);
    expect(logits).toBeInstanceOf(Float32Array);
    expect(integers.length).toBe(20);
    const [first] = await model.classify(picturesOf('stop')[0]!);
    expect(logits.indexOf(Math.max(...logits))).toBe(first!.index);
    // Copies: the next run leaves them alone.
    const kept = integers.slice();
    await model.logits(picturesOf('danger')[0]!);
    expect(integers).toEqual(kept);
  });

  test('shows the planes that the network sees', async () => {
    const planes = await model.planes({
      data: new Uint8Array(100 * 80 * 3).fill(77),
      width: 100,
      height: 80,
    });
    expect(planes.length).toBe(3 * 64 * 64);
    expect(new Set(planes)).toEqual(new Set([77]));
  });

  test('runs planes without a picture', async () => {
    const picture = picturesOf('stop')[0]!;
    const expected = await model.logits(picture);
    const planes = await model.planes(picture);
    expect(await model.run(planes)).toEqual(expected);
    const larger = new Uint8Array(planes.length + 11);
    larger.set(planes, 5);
    const inWorker = await loadModel(path, { worker: true });
    expect(await inWorker.run(larger.subarray(5, 5 + planes.length))).toEqual(expected);
    inWorker.dispose();

    expect(await errorOf(model.run(larger))).toMatchObject({ code: 'BAD_IMAGE' });
    expect(await errorOf(model.run([...planes] as never))).toMatchObject({ code: 'BAD_OPTION' });
    expect(await errorOf(inWorker.run(planes))).toMatchObject({ code: 'DISPOSED' });
  });

  test('gives the same integers in a worker, and with every kernel', async () => {
    const expected = (await model.logits(picturesOf('roundabout')[2]!)).integers;
    for (const options of [{ worker: true }, { variants: { '*': 'scalar' } }]) {
      const other = await loadModel(path, options);
      expect((await other.logits(picturesOf('roundabout')[2]!)).integers).toEqual(expected);
      if ('worker' in options) expect(other.info.worker).toBe(true);
      else expect(other.info.variants['ternary_conv']).toEqual(['scalar']);
      other.dispose();
    }
  });

  test('answers many calls at once', async () => {
    for (const worker of [false, true]) {
      const busy = await loadModel(path, { worker });
      const answers = await Promise.all(
        labels.map((label) => busy.classify(picturesOf(label)[1]!, { topK: 1 })),
      );
      const right = answers.filter(([first], i) => first!.index === i).length;
      expect(right).toBeGreaterThanOrEqual(15);
      busy.dispose();
    }
  });
});

describe('the end of a model', () => {
  test.each([false, true])('dispose(), worker: %s', async (worker) => {
    const model = await loadModel(path, { worker });
    const underWay = errorOf(model.classify(picturesOf('stop')[0]!));
    model.dispose();
    expect((await underWay).code).toBe('DISPOSED');
    expect(model.disposed).toBe(true);
    model.dispose();
    expect((await errorOf(model.classify(picturesOf('stop')[0]!))).code).toBe('DISPOSED');
    expect((await errorOf(model.logits(picturesOf('stop')[0]!))).code).toBe('DISPOSED');
  });

  test('Symbol.dispose does the same', async () => {
    const model = await loadModel(path);
    model[Symbol.dispose]();
    expect(model.disposed).toBe(true);
  });

  test('nothing grows over many loads', async () => {
    const image = { data: new Uint8Array(64 * 64 * 3), width: 64, height: 64 };
    const round = async (times: number) => {
      for (let i = 0; i < times; ++i) {
        const model = await loadModel(bytes);
        await model.classify(image);
        model.dispose();
      }
      return process.memoryUsage().rss;
    };
    const before = await round(60);
    const after = await round(150);
    expect(after - before).toBeLessThan(30e6);
  }, 120_000);
});

describe('cancelling', () => {
  test('an aborted signal throws its reason', async () => {
    const reason = new Error('no longer wanted');
    const signal = AbortSignal.abort(reason);
    expect(await errorOf(loadModel(path, { signal }))).toBe(reason);
    const model = await loadModel(path);
    expect(await errorOf(model.classify(picturesOf('stop')[0]!, { signal }))).toBe(reason);
    expect(await errorOf(model.logits(picturesOf('stop')[0]!, { signal }))).toBe(reason);
    model.dispose();
  });

  test('a signal ends a load that hangs', async () => {
    const controller = new AbortController();
    const never = new ReadableStream({ pull: () => new Promise(() => undefined) });
    const loading = errorOf(loadModel(never, { signal: controller.signal }));
    setTimeout(() => controller.abort(), 20);
    expect((await loading).name).toBe('AbortError');
  });

  test('a call that was given up leaves the model usable', async () => {
    for (const worker of [false, true]) {
      const model = await loadModel(path, { worker });
      const controller = new AbortController();
      const call = errorOf(model.classify(picturesOf('stop')[0]!, { signal: controller.signal }));
      controller.abort();
      expect((await call).name).toBe('AbortError');
      expect(await best(model)).toBe('stop');
      model.dispose();
    }
  });

  test('onProgress rises to 1, and false cancels', async () => {
    const fractions: number[] = [];
    (await loadModel(path, { onProgress: ({ fraction }) => void fractions.push(fraction) })).dispose();
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
    expect(fractions.at(-1)).toBe(1);
    expect((await errorOf(loadModel(path, { onProgress: () => false }))).code).toBe('ABORTED');
  });
});
