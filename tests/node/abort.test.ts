// Calls that are given up halfway: the work ends between two layers, and what comes after is not disturbed.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as task } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { loadModel, type LayerValues, type Model } from 'trefoil';
import { loadFloatModel, quantize, type FloatModel } from 'trefoil/quantize';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';

import { goldenPixels } from '../golden/golden.js';
import { errorOf, onnxPath, preprocess, root } from './signs.js';

const bytes = readFileSync(join(root, 'tests/golden/signs-n4-a8.trefoil'));
/** Slow enough for a run to take several slices in a worker. */
const slow = { '*': 'scalar' };
let images: { data: Uint8ClampedArray; width: number; height: number }[];
let expected: Int32Array[];
let model: Model | undefined;
let network: FloatModel | undefined;

beforeAll(async () => {
  const reference = await loadModel(bytes);
  const [, height, width] = reference.info.inputShape;
  images = [1, 2, 3, 4].map((seed) => ({ data: goldenPixels(width, height, seed), width, height }));
  expected = [];
  for (const image of images) expected.push((await reference.logits(image)).integers);
  reference.dispose();
});

afterEach(() => {
  vi.restoreAllMocks();
  model?.dispose();
  network?.dispose();
});

/** From now on every look at the clock, of which a run has one a layer, seems to take a second. */
function slowClock(): { looks: number } {
  const clock = { looks: 0 };
  vi.spyOn(performance, 'now').mockImplementation(() => 1000 * ++clock.looks);
  return clock;
}

/** Ends the call after a few turns of other tasks: it must have stopped by half of the looks at the clock that it would take. */
async function expectToEnd(
  call: (signal: AbortSignal) => Promise<unknown>,
  clock: { looks: number },
): Promise<void> {
  clock.looks = 0;
  await call(new AbortController().signal);
  const looks = clock.looks;
  for (const tasks of [2, 3]) {
    const controller = new AbortController();
    clock.looks = 0;
    const error = errorOf(call(controller.signal));
    while (clock.looks === 0) await task();
    for (let i = 0; i < tasks; ++i) await task();
    controller.abort(new Error('enough'));
    expect((await error).message).toBe('enough');
    for (let i = 0; i < 50; ++i) await task();
    expect(clock.looks).toBeLessThan(looks / 2);
  }
}

test("on the caller's thread a run ends between two layers", async () => {
  model = await loadModel(bytes);
  const planes = await model.planes(images[0]!);
  const clock = slowClock();
  await model.logits(images[0]!, { signal: new AbortController().signal });
  const looks = clock.looks;
  expect(looks).toBeGreaterThan(model.info.layers.length);
  for (const call of [
    (signal: AbortSignal) => model!.classify(images[0]!, { signal }),
    (signal: AbortSignal) => model!.logits(images[0]!, { signal }),
    (signal: AbortSignal) => model!.run(planes, { signal }),
    (signal: AbortSignal) => model!.layerValues(images[0]!, { signal }),
  ]) {
    for (const tasks of [1, 2, 3]) {
      const controller = new AbortController();
      clock.looks = 0;
      const error = errorOf(call(controller.signal));
      for (let i = 0; i < tasks; ++i) await task();
      controller.abort(new Error('enough'));
      expect((await error).message).toBe('enough');
      for (let i = 0; i < 50; ++i) await task();
      expect(clock.looks).toBeGreaterThan(0);
      expect(clock.looks).toBeLessThan(looks / 2);
      expect((await model.logits(images[1]!)).integers).toEqual(expected[1]);
    }
  }
});

test("on a page's own thread a run lets other tasks have their turn", async () => {
  model = await loadModel(bytes);
  slowClock();
  let tasks = 0;
  let over = false;
  const run = model.logits(images[2]!, { signal: new AbortController().signal }).finally(() => (over = true));
  for (; !over; ++tasks) await task();
  expect((await run).integers).toEqual(expected[2]);
  expect(tasks).toBeGreaterThan(model.info.layers.length / 2);
});

test("on the caller's thread the values of layers are those of a run without pauses", async () => {
  model = await loadModel(bytes, { worker: false });
  const valuesOf = async (options: { signal?: AbortSignal }) =>
    (await model!.layerValues(images[0]!, options)).map(({ name, values }) => [name, [...values]]);
  const whole = await valuesOf({});
  expect(whole.map(([name]) => name)).toEqual(model.info.layers.map(({ name }) => name));
  slowClock();
  expect(await valuesOf({ signal: new AbortController().signal })).toEqual(whole);
  expect((await model.logits(images[0]!)).integers).toEqual(expected[0]);
});

test("on the caller's thread profile() hears of its end", async () => {
  model = await loadModel(bytes, { worker: false });
  const error = await errorOf(model.profile({ runs: 3000, signal: AbortSignal.timeout(50) }));
  expect(error.name).toBe('TimeoutError');
  expect((await model.logits(images[0]!)).integers).toEqual(expected[0]);
});

test("on the caller's thread pixels for calibration are taken one by one, and quantizing ends between them", async () => {
  function* endless() {
    for (let i = 0; i < 5000; ++i) yield images[i % 4]!;
    throw new Error('all were taken');
  }
  const options = { calibration: endless(), preprocess, worker: false };
  const error = await errorOf(quantize(onnxPath, { ...options, signal: AbortSignal.timeout(50) }));
  expect(error.name).toBe('TimeoutError');
});

test('in a worker a run ends early, and its answer says so', async () => {
  const answers: unknown[] = [];
  const post = vi.spyOn(Worker.prototype, 'postMessage');
  model = await loadModel(bytes, { worker: true, variants: slow });
  const worker = post.mock.contexts[0] as Worker;
  worker.on('message', ({ value }: { value: unknown }) => answers.push(value));
  const controller = new AbortController();
  const error = errorOf(model.logits(images[0]!, { signal: controller.signal }));
  const after = model.logits(images[1]!);
  await model.planes(images[0]!); // gets through while the run is under way
  controller.abort();
  expect((await error).name).toBe('AbortError');
  expect((await after).integers).toEqual(expected[1]);
  expect(answers).toContainEqual({ error: { code: 'ABORTED', message: expect.any(String) } });
});

test.each([{}, { worker: true }, { workers: 2 }, { threads: 2 }])(
  'calls that are ended at any moment leave the others right: %j',
  async (options) => {
    model = await loadModel(bytes, { ...options, variants: slow });
    const calls = Array.from({ length: 8 }, (_, i) => {
      const controller = new AbortController();
      const signal = i % 4 === 3 ? undefined : controller.signal;
      const call = model!.logits(images[i % 4]!, signal ? { signal } : {});
      if (i % 2 === 0) setTimeout(() => controller.abort(), 60 * i);
      return call.then(
        ({ integers }) => expect(integers).toEqual(expected[i % 4]),
        (error: Error) => expect([i % 2, error.name]).toEqual([0, 'AbortError']),
      );
    });
    await Promise.all(calls);
    expect((await model.logits(images[0]!)).integers).toEqual(expected[0]);
  },
);

test('dispose() between two layers ends the run and does not touch the next model', async () => {
  const first = await loadModel(bytes);
  slowClock();
  const error = errorOf(first.logits(images[0]!, { signal: new AbortController().signal }));
  await task();
  first.dispose();
  expect((await error).code).toBe('DISPOSED');
  model = await loadModel(bytes); // in the instance that the first one left behind
  expect((await model.logits(images[1]!)).integers).toEqual(expected[1]);
});

test('tune() that is given up is over before the next one begins', async () => {
  model = await loadModel(bytes);
  const controller = new AbortController();
  const cache = { match: () => Promise.resolve(undefined), put: () => Promise.resolve() };
  const error = errorOf(model.tune({ budget: 60_000, cache, signal: controller.signal }));
  setTimeout(() => controller.abort(), 50);
  expect((await error).name).toBe('AbortError');
  expect((await model.tune({ budget: 1, cache })).leftOut).toBeGreaterThan(0);
  expect((await model.logits(images[0]!)).integers).toEqual(expected[0]);
});

test("on the caller's thread loading ends between two layers", async () => {
  const clock = slowClock();
  await expectToEnd(async (signal) => (await loadModel(bytes, { worker: false, signal })).dispose(), clock);
  model = await loadModel(bytes, { worker: false });
  expect((await model.logits(images[0]!)).integers).toEqual(expected[0]);
});

test("on the caller's thread a float network is opened, and run, between other tasks", async () => {
  const options = { worker: false, preprocess };
  network = await loadFloatModel(onnxPath, options);
  const { logits } = await network.logits(images[0]!);
  const bytesOf = (layers: LayerValues[]) => layers.map(({ values }) => Buffer.from(values.buffer));
  const layers = bytesOf(await network.layerValues(images[0]!));
  const clock = slowClock();
  await expectToEnd(
    async (signal) => (await loadFloatModel(onnxPath, { ...options, signal })).dispose(),
    clock,
  );
  for (const call of [
    (signal: AbortSignal) => network!.classify(images[0]!, { signal }),
    (signal: AbortSignal) => network!.logits(images[0]!, { signal }),
    (signal: AbortSignal) => network!.layerValues(images[0]!, { signal }),
  ]) {
    await expectToEnd(call, clock);
    const { signal } = new AbortController();
    expect((await network.logits(images[0]!, { signal })).logits).toEqual(logits);
    const again = bytesOf(await network.layerValues(images[0]!, { signal }));
    expect(again.every((values, i) => values.equals(layers[i]!))).toBe(true);
  }
});

test('in a worker a float run ends early, and its answer says so', async () => {
  const answers: unknown[] = [];
  const post = vi.spyOn(Worker.prototype, 'postMessage');
  network = await loadFloatModel(onnxPath, { worker: true, preprocess });
  const worker = post.mock.contexts[0] as Worker;
  worker.on('message', ({ value }: { value: unknown }) => answers.push(value));
  const { logits } = await network.logits(images[1]!);
  // Runs that wait for one that was ended; the first is over in a few milliseconds, the last is not begun by then.
  const controller = new AbortController();
  const errors = images.map((image) => errorOf(network!.logits(image, { signal: controller.signal })));
  const after = network.logits(images[1]!);
  await network.planes(images[0]!); // gets through while the runs are under way
  controller.abort();
  for (const error of errors) expect((await error).name).toBe('AbortError');
  expect((await after).logits).toEqual(logits);
  expect(answers).toContainEqual({ error: { code: 'ABORTED', message: expect.any(String) } });
});

test('a float network that is disposed of between two layers says so', async () => {
  network = await loadFloatModel(onnxPath, { worker: false, preprocess });
  slowClock();
  const error = errorOf(network.logits(images[0]!, { signal: new AbortController().signal }));
  await task();
  network.dispose();
  expect((await error).code).toBe('DISPOSED');
});
