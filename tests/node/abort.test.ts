// Calls that are given up halfway: the work ends between two layers, and what comes after is not disturbed.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as task } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { loadModel, type Model } from 'trefoil';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';

import { goldenPixels } from '../golden/golden.js';
import { errorOf, root } from './signs.js';

const bytes = readFileSync(join(root, 'tests/golden/signs-n4-a8.trefoil'));
/** Slow enough for a run to take several slices in a worker. */
const slow = { '*': 'scalar' };
let images: { data: Uint8ClampedArray; width: number; height: number }[];
let expected: Int32Array[];
let model: Model | undefined;

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
});

/** From now on every look at the clock, of which a run has one a layer, seems to take a second. */
function slowClock(): { looks: number } {
  const clock = { looks: 0 };
  vi.spyOn(performance, 'now').mockImplementation(() => 1000 * ++clock.looks);
  return clock;
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
