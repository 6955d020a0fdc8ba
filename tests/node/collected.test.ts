// Models that nobody disposes of: the garbage collector finds them, and their workers and memory go with them.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { quantize } from 'trefoil/quantize';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { networks } from './onnx-networks.js';
import { quantizedSigns, root } from './signs.js';

let folder: string;
const entry = pathToFileURL(join(root, 'npm/dist/node.js')).href;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trefoil-collected-'));
  writeFileSync(join(folder, 'signs.trefoil'), (await quantizedSigns()).model);
}, 120_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs a script that can call gc(), and returns what it prints, as JSON. */
function collecting(script: string): unknown {
  const file = join(folder, 'script.mjs');
  writeFileSync(
    file,
    `import { loadModel } from '${entry}';
     import { Worker } from 'node:worker_threads';
     const gone = new Set();
     const terminate = Worker.prototype.terminate;
     Worker.prototype.terminate = function () { gone.add(this); return terminate.call(this); };
     const image = { data: new Uint8Array(64 * 64 * 3), width: 64, height: 64 };
     async function forget(options) {
       const model = await loadModel('signs.trefoil', options);
       await model.classify(image);
       return new WeakRef(model);
     }
     /** The collector runs when it likes; finalizers some time after. */
     async function collect(done) {
       for (let i = 0; i < 60 && !done(); ++i) {
         // In a task of its own: a WeakRef keeps what it has shown alive until the end of the task.
         await new Promise((resolve) => setTimeout(resolve, 50));
         gc();
         await new Promise((resolve) => setTimeout(resolve, 0));
       }
     }
     ${script}`,
  );
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--expose-gc', file], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect([status, stderr]).toEqual([0, '']);
  return JSON.parse(stdout);
}

test('a forgotten model is collected, and its worker ended', () => {
  const result = collecting(`
    const models = [await forget({ worker: true }), await forget({ workers: 2 }), await forget({ worker: false })];
    await collect(() => gone.size === 3 && !models.some((model) => model.deref()));
    console.log(JSON.stringify({ ended: gone.size, alive: models.filter((model) => model.deref()).length }));`);
  expect(result).toEqual({ ended: 3, alive: 0 });
});

test("a forgotten model's threads are ended, and its instance is the next one's", () => {
  const result = collecting(`
    const threaded = await forget({ threads: 3 });
    await collect(() => gone.size === 2 && !threaded.deref());
    let instances = 0;
    const { instantiate } = WebAssembly;
    WebAssembly.instantiate = (...parts) => (++instances, instantiate(...parts));
    const model = await forget({ worker: false });
    const made = instances;
    await collect(() => !model.deref());
    await new Promise((resolve) => setTimeout(resolve, 100));
    await forget({ worker: false });
    console.log(JSON.stringify({ ended: gone.size, made, more: instances - made }));`);
  expect(result).toEqual({ ended: 2, made: 1, more: 0 });
});

test('a model that is held, or at work, is not', () => {
  const result = collecting(`
    const held = await loadModel('signs.trefoil', { worker: true });
    const answer = (await loadModel('signs.trefoil', { worker: true })).classify(image);
    for (let i = 0; i < 5; ++i) gc();
    const classes = (await answer).length;
    await collect(() => gone.size === 1);
    const again = (await held.classify(image)).length;
    held.dispose();
    console.log(JSON.stringify({ classes, again, ended: gone.size }));`);
  expect(result).toEqual({ classes: 5, again: 5, ended: 2 });
});

test('10,000 loads leave no more memory behind than 1,000', async () => {
  const { onnx } = networks['groups, depthwise, strides']!;
  const picture = { data: new Uint8Array(12 * 12 * 3).fill(90), width: 12, height: 12 };
  writeFileSync(join(folder, 'small.trefoil'), (await quantize(onnx(), { calibration: [picture] })).model);
  const result = collecting(`
    const { readFileSync } = await import('node:fs');
    const bytes = readFileSync('small.trefoil');
    const rounds = [];
    for (let i = 1; i <= 10_000; ++i) {
      (await loadModel(bytes)).dispose();
      if (i % 1000 === 0) { gc(); rounds.push(process.memoryUsage().rss / 1e6); }
    }
    console.log(JSON.stringify(rounds));`) as number[];
  expect(Math.max(...result.slice(1))).toBeLessThan(result[0]! + 30);
}, 120_000);
