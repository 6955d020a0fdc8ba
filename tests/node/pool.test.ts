// loadModel({ workers }): several workers that share the calls of one model.
import { Worker } from 'node:worker_threads';

import { loadModel, type Model } from 'trefoil';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { errorOf, labels, picturesOf, quantizedSigns } from './signs.js';

let bytes: Uint8Array<ArrayBuffer>;
let model: Model | undefined;
const started = new Set<Worker>();
let sent = 0;
const postMessage = Worker.prototype.postMessage;

beforeAll(async () => {
  ({ model: bytes } = await quantizedSigns());
  // Every worker is sent a message as its first task: that is how the tests get hold of them.
  Worker.prototype.postMessage = function (this: Worker, ...args: Parameters<typeof postMessage>) {
    started.add(this);
    ++sent;
    return postMessage.apply(this, args);
  } as typeof postMessage;
}, 120_000);

afterAll(() => void (Worker.prototype.postMessage = postMessage));

afterEach(() => {
  model?.dispose();
  started.clear();
});

const pictures = labels.map((label) => picturesOf(label)[1]!);

test('answers every call as one worker does, with all of its workers', async () => {
  const single = await loadModel(bytes);
  const expected = await Promise.all(pictures.map((picture) => single.logits(picture)));
  single.dispose();
  model = await loadModel(bytes, { workers: 3 });
  expect(model.info).toMatchObject({ worker: true, workers: 3 });
  expect(started.size).toBe(3);
  const asked = new Map<Worker, number>();
  for (const worker of started) {
    asked.set(worker, 0);
    worker.on('message', () => asked.set(worker, asked.get(worker)! + 1));
  }
  expect(await Promise.all(pictures.map((picture) => model!.logits(picture)))).toEqual(expected);
  for (const answers of asked.values()) expect(answers).toBeGreaterThan(1);
});

test('a call that is given up while it waits is never sent', async () => {
  model = await loadModel(bytes, { workers: 2 });
  sent = 0;
  const controller = new AbortController();
  const image = { data: new Uint8Array(64 * 64 * 3), width: 64, height: 64 };
  const kept = [model.classify(image), model.classify(image)];
  const given = [1, 2, 3].map(() => errorOf(model!.classify(image, { signal: controller.signal })));
  await new Promise((resolve) => setImmediate(resolve));
  controller.abort();
  expect((await Promise.all(given)).map(({ name }) => name)).toEqual(Array(3).fill('AbortError'));
  await Promise.all(kept);
  expect(sent).toBe(2);
  expect((await model.classify(picturesOf('stop')[1]!))[0]!.label).toBe('stop');
});

test('dispose() ends the calls under way and those that wait', async () => {
  model = await loadModel(bytes, { workers: 2 });
  const calls = pictures.map((picture) => errorOf(model!.classify(picture)));
  model.dispose();
  expect((await Promise.all(calls)).map(({ code }) => code)).toEqual(pictures.map(() => 'DISPOSED'));
  expect((await errorOf(model.classify(pictures[0]!))).code).toBe('DISPOSED');
});

test('where a worker dies, the others go on', async () => {
  model = await loadModel(bytes, { workers: 2 });
  const [first, second] = [...started];
  await first!.terminate();
  const answers = pictures.map((picture) => model!.classify(picture, { topK: 1 }));
  expect((await Promise.all(answers)).length).toBe(pictures.length);
  expect((await model.classify(picturesOf('stop')[1]!))[0]!.label).toBe('stop');
  await second!.terminate();
  const after = await Promise.all(pictures.map((picture) => errorOf(model!.classify(picture))));
  expect(new Set(after.map(({ code }) => code))).toEqual(new Set(['NOT_AVAILABLE']));
});

test('where a worker dies at work, its call fails, and those that wait do not', async () => {
  model = await loadModel(bytes, { workers: 2 });
  const image = { data: new Uint8Array(64 * 64 * 3), width: 64, height: 64 };
  const answers = Promise.allSettled(pictures.map(() => model!.classify(image)));
  await new Promise((resolve) => setImmediate(resolve));
  void [...started][0]!.terminate();
  const failed = (await answers).filter((result) => result.status === 'rejected');
  expect(failed.map(({ reason }) => reason.code)).toEqual(['NOT_AVAILABLE']);
});

test('options', async () => {
  for (const options of [{ workers: 0 }, { workers: 1.5 }, { workers: 100 }, { workers: 2, worker: false }]) {
    expect([options, (await errorOf(loadModel(bytes, options))).code]).toEqual([options, 'BAD_OPTION']);
  }
  expect((await errorOf(loadModel(bytes.slice(0, 100), { workers: 2 }))).code).toBe('BAD_MODEL');
  model = await loadModel(bytes, { workers: 1 });
  expect(model.info).toMatchObject({ worker: true, workers: 1 });
});
