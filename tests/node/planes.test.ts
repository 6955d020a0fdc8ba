// Models of two planes: the first ones alone, and a start with them while the rest is on its way.
import { createReadStream, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { loadModel, type Model, type ModelCache, type RefineOutcome } from 'trefoil';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { errorOf, picturesOf, quantizedSigns } from './signs.js';

let folder: string;
let path: string;
let bytes: Uint8Array<ArrayBuffer>;
/** Where the first section ends. */
let first: number;
const picture = picturesOf('stop')[1]!;
const answers: Record<'one' | 'two', Int32Array> = { one: new Int32Array(), two: new Int32Array() };

async function integersOf(model: Model): Promise<Int32Array> {
  return (await model.logits(picture)).integers;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trefoil-planes-'));
  ({ model: bytes } = await quantizedSigns({ planes: 2, groupSize: 64 }));
  path = join(folder, 'signs.trefoil');
  writeFileSync(path, bytes);
  first = new DataView(bytes.buffer, bytes.byteOffset).getUint32(8, true);
  for (const [name, planes] of [
    ['one', 1],
    ['two', 2],
  ] as const) {
    const model = await loadModel(bytes, { planes });
    answers[name] = await integersOf(model);
    model.dispose();
  }
}, 120_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Gives the first `count` bytes, and the rest once it is told to. */
function gated(count: number, after: (controller: ReadableStreamDefaultController<Uint8Array>) => void) {
  let open!: () => void;
  const gate = new Promise<void>((resolve) => (open = resolve));
  const seen = { cancelled: false };
  const stream = new ReadableStream<Uint8Array>({
    async start(controller) {
      for (let at = 0; at < count; at += 1000)
        controller.enqueue(bytes.slice(at, Math.min(count, at + 1000)));
      await gate;
      if (!seen.cancelled) after(controller);
    },
    cancel() {
      seen.cancelled = true;
    },
  });
  return { stream, open, seen };
}

const sendRest = (controller: ReadableStreamDefaultController<Uint8Array>) => {
  controller.enqueue(bytes.slice(first));
  controller.close();
};

function refinement() {
  let onRefine!: (outcome: RefineOutcome) => void;
  const outcome = new Promise<RefineOutcome>((resolve) => (onRefine = resolve));
  return { onRefine, outcome };
}

describe('planes: 1', () => {
  test('gives other answers than both planes, from a smaller part of the file', async () => {
    expect(answers.one).not.toEqual(answers.two);
    expect(first).toBeLessThan(0.65 * bytes.length);
    const model = await loadModel(path, { planes: 1 });
    expect(model.info).toMatchObject({ planes: 1, fileBytes: first });
    expect(await integersOf(model)).toEqual(answers.one);
    const whole = await loadModel(path);
    expect(whole.info).toMatchObject({ planes: 2, fileBytes: bytes.length });
    expect(whole.info.memoryBytes).toBeGreaterThan(model.info.memoryBytes);
    model.dispose();
    whole.dispose();
  });

  test('reads no further than it must', async () => {
    const { stream, seen } = gated(first, sendRest);
    const model = await loadModel(stream, { planes: 1 });
    expect(seen.cancelled).toBe(true);
    expect(await integersOf(model)).toEqual(answers.one);
    model.dispose();
    const fromFile = await loadModel(createReadStream(path, { highWaterMark: 4096 }), { planes: 1 });
    expect(await integersOf(fromFile)).toEqual(answers.one);
    fromFile.dispose();
  });

  test('is content with a file that ends behind its first planes', async () => {
    for (const size of [first, first + 1, bytes.length - 1]) {
      const model = await loadModel(bytes.slice(0, size), { planes: 1 });
      expect(await integersOf(model)).toEqual(answers.one);
      model.dispose();
      const error = await errorOf(loadModel(bytes.slice(0, size)));
      expect(error).toMatchObject({ code: 'BAD_MODEL' });
      expect(error.message).toContain('planes 1');
    }
    for (const size of [0, 8, 16, 100, first - 1]) {
      expect(await errorOf(loadModel(bytes.slice(0, size), { planes: 1 }))).toMatchObject({
        code: 'BAD_MODEL',
      });
    }
  });

  test('is all there is of a model with one plane', async () => {
    const { model: plain } = await quantizedSigns();
    const one = await loadModel(plain, { planes: 1 });
    const all = await loadModel(plain);
    expect(one.info).toMatchObject({ planes: 1, fileBytes: plain.length });
    expect(await integersOf(one)).toEqual(await integersOf(all));
    one.dispose();
    all.dispose();
  });

  test('takes 1 or 2, and no onRefine', async () => {
    for (const planes of [0, 3, 1.5, '1'] as unknown as 1[]) {
      expect(await errorOf(loadModel(path, { planes }))).toMatchObject({ code: 'BAD_OPTION' });
    }
    const both = { planes: 1, onRefine: () => undefined } as const;
    expect(await errorOf(loadModel(path, both))).toMatchObject({ code: 'BAD_OPTION' });
    const wrong = 'yes' as unknown as () => void;
    expect(await errorOf(loadModel(path, { onRefine: wrong }))).toMatchObject({ code: 'BAD_OPTION' });
  });
});

describe('onRefine', () => {
  test.each([false, true])(
    'starts with the first planes and goes on with all (worker: %s)',
    async (worker) => {
      const { stream, open } = gated(first, sendRest);
      const { onRefine, outcome } = refinement();
      const fractions: number[] = [];
      const model = await loadModel(stream, {
        worker,
        onRefine,
        onProgress: ({ fraction }) => void fractions.push(fraction),
      });
      expect(fractions.at(-1)).toBe(1);
      expect(model.info).toMatchObject({ planes: 1, fileBytes: first });
      expect(await integersOf(model)).toEqual(answers.one);
      open();
      expect(await outcome).toEqual({ refined: true });
      expect(model.info).toMatchObject({ planes: 2, fileBytes: bytes.length, worker });
      expect(await integersOf(model)).toEqual(answers.two);
      expect(fractions.at(-1)).toBe(1);
      model.dispose();
    },
  );

  test('never mixes the two while runs are under way', async () => {
    const { stream, open } = gated(first, sendRest);
    const { onRefine, outcome } = refinement();
    const model = await loadModel(stream, { worker: true, onRefine });
    const runs: Promise<Int32Array>[] = [];
    for (let i = 0; i < 20; ++i) {
      if (i === 5) open();
      runs.push(integersOf(model));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await outcome;
    const names = (await Promise.all(runs)).map((integers) => {
      if (Buffer.compare(Buffer.from(integers.buffer), Buffer.from(answers.one.buffer)) === 0) return 'one';
      expect(integers).toEqual(answers.two);
      return 'two';
    });
    expect(names.join().replaceAll(/(one,?)*(two,?)*/g, '')).toBe('');
    expect(names[0]).toBe('one');
    model.dispose();
  });

  test.each([false, true])('does not disturb tune() under way (worker: %s)', async (worker) => {
    const { stream, open } = gated(first, sendRest);
    const { onRefine, outcome } = refinement();
    const model = await loadModel(stream, { worker, onRefine });
    const cache = { match: () => Promise.resolve(undefined), put: () => Promise.resolve() };
    const tuning = model.tune({ budget: 300, cache });
    await model.logits(picture); // it is under way
    open();
    expect(await outcome).toEqual({ refined: true });
    expect((await tuning).milliseconds).toBeGreaterThan(0);
    expect(await integersOf(model)).toEqual(answers.two);
    model.dispose();
  });

  test('a rest that fails, or is damaged, leaves the first planes at work', async () => {
    const damaged = bytes.slice(first);
    damaged.fill(0xff, 0, 64);
    for (const [after, code] of [
      [(c) => c.error(new Error('the line is cut')), undefined],
      [(c) => c.close(), 'BAD_MODEL'],
      [
        (c) => {
          c.enqueue(damaged);
          c.close();
        },
        'BAD_MODEL',
      ],
    ] as [(controller: ReadableStreamDefaultController<Uint8Array>) => void, string | undefined][]) {
      const { stream, open } = gated(first, after);
      const { onRefine, outcome } = refinement();
      const model = await loadModel(stream, { onRefine });
      open();
      const result = await outcome;
      expect(result).toMatchObject({ refined: false, error: code ? { code } : expect.any(Error) });
      expect(model.info.planes).toBe(1);
      expect(await integersOf(model)).toEqual(answers.one);
      model.dispose();
    }
  });

  test('a signal ends the wait for the rest, and so does dispose()', async () => {
    const aborted = new AbortController();
    const waiting = gated(first, sendRest);
    const { onRefine, outcome } = refinement();
    const model = await loadModel(waiting.stream, { onRefine, signal: aborted.signal });
    aborted.abort('enough');
    expect(await outcome).toEqual({ refined: false, error: 'enough' });
    expect(waiting.seen.cancelled).toBe(true);
    expect(await integersOf(model)).toEqual(answers.one);
    model.dispose();

    const forgotten = gated(first, sendRest);
    let called = false;
    const gone = await loadModel(forgotten.stream, { onRefine: () => (called = true) });
    gone.dispose();
    expect(forgotten.seen.cancelled).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(called).toBe(false);
  });

  test('is called for a file that is whole already', async () => {
    for (const source of [bytes, (await quantizedSigns()).model]) {
      const { onRefine, outcome } = refinement();
      const model = await loadModel(source, { onRefine });
      expect(await outcome).toEqual({ refined: true });
      model.dispose();
    }
  });
});

describe('with pools and caches', () => {
  test('every worker of a pool is refined', async () => {
    const { stream, open } = gated(first, sendRest);
    const { onRefine, outcome } = refinement();
    const model = await loadModel(stream, { workers: 2, onRefine });
    expect(model.info).toMatchObject({ planes: 1, workers: 2 });
    open();
    expect(await outcome).toEqual({ refined: true });
    expect(model.info).toMatchObject({ planes: 2, workers: 2 });
    const all = await Promise.all(Array.from({ length: 4 }, () => integersOf(model)));
    for (const integers of all) expect(integers).toEqual(answers.two);
    model.dispose();
  });

  test('a cache is given whole files only', async () => {
    const kept = new Map<string, Uint8Array<ArrayBuffer>>();
    const cache = {
      match: async (url: string) => (kept.has(url) ? new Response(kept.get(url)) : undefined),
      put: async (url: string, response: Response) =>
        void kept.set(url, new Uint8Array(await response.arrayBuffer())),
      delete: async (url: string) => kept.delete(url),
    } as unknown as ModelCache;
    const server = createServer((_, response) => void response.end(bytes));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/signs.trefoil`;
    try {
      const one = await loadModel(url, { cache, planes: 1 });
      expect(kept.size).toBe(0);
      one.dispose();
      const { onRefine, outcome } = refinement();
      const two = await loadModel(url, { cache, onRefine });
      expect(await outcome).toEqual({ refined: true });
      expect(kept.get(url)?.length).toBe(bytes.length);
      two.dispose();
      const again = await loadModel(url, { cache, planes: 1 });
      expect(await integersOf(again)).toEqual(answers.one);
      again.dispose();
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
