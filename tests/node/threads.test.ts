// Several threads for one picture: the same logits, an honest count, and nothing that stays behind.
import { execFileSync } from 'node:child_process';
import { appendFileSync, cpSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { loadModel, type LoadOptions } from 'trefoil';
import { afterEach, describe, expect, test, vi } from 'vitest';

import { goldenPixels, LogitHash, parseGoldens } from '../golden/golden.js';
import { errorOf, root } from './signs.js';

const goldens = join(root, 'tests/golden');
const dist = join(root, 'npm/dist');
const file = join(goldens, 'signs-n4-a8.trefoil');
const list = parseGoldens(readFileSync(join(goldens, 'golden.txt'), 'utf8'));

async function loaded(path: string, options: LoadOptions): Promise<{ threads: number; hash: string }> {
  const model = await loadModel(path, options);
  const [, height, width] = model.info.inputShape;
  const hash = new LogitHash();
  for (let seed = 1; seed <= list[0]!.images; ++seed) {
    hash.add((await model.logits({ data: goldenPixels(width, height, seed), width, height })).integers);
  }
  const { threads } = model.info;
  model.dispose();
  return { threads, hash: hash.toString() };
}

const hashOf = (path: string) => list.find((golden) => path.endsWith(golden.file))!.hash;

afterEach(() => vi.restoreAllMocks());

describe('every number of threads gives the golden logits', () => {
  test.each([1, 2, 3, 8])('%i', async (threads) => {
    for (const golden of list) {
      const answer = await loaded(join(goldens, golden.file), { threads });
      expect(answer).toEqual({ threads, hash: golden.hash });
    }
  });

  test('in a worker', async () => {
    expect(await loaded(file, { threads: 2, worker: true })).toEqual({ threads: 2, hash: hashOf(file) });
  });

  test('by default one, by auto what the machine has', async () => {
    expect((await loaded(file, {})).threads).toBe(1);
    const { availableParallelism } = await import('node:os');
    expect((await loaded(file, { threads: 'auto' })).threads).toBe(Math.min(availableParallelism(), 4));
  });

  test('several models at once', async () => {
    const answers = await Promise.all([2, 3, 2].map((threads) => loaded(file, { threads })));
    for (const { hash } of answers) expect(hash).toBe(hashOf(file));
  });
});

test('what is no number of threads', async () => {
  for (const threads of [0, -1, 1.5, 17, '2', 'many', null]) {
    const error = await errorOf(loadModel(file, { threads: threads as number }));
    expect(error.code).toBe('BAD_OPTION');
    expect(error.message).toContain("'auto'");
  }
});

describe('builds of the module', () => {
  const bytes = (name: string) => readFileSync(join(dist, `${name}.wasm`));

  test('a plain one that is given runs on one thread', async () => {
    const answer = await loaded(file, { threads: 2, wasm: { bytes: bytes('trefoil-runtime') } });
    expect(answer).toEqual({ threads: 1, hash: hashOf(file) });
  });

  test('one for threads that is given runs on threads', async () => {
    const answer = await loaded(file, { threads: 2, wasm: { bytes: bytes('trefoil-runtime-threads') } });
    expect(answer).toEqual({ threads: 2, hash: hashOf(file) });
    const error = await errorOf(loadModel(file, { wasm: { bytes: bytes('trefoil-runtime-threads') } }));
    expect(error.code).toBe('NOT_AVAILABLE');
    expect(error.message).toContain('trefoil-runtime.wasm');
  });
});

test('memory that can not be shared means one thread, not an error', async () => {
  const { Memory } = WebAssembly;
  let refused = 0;
  vi.spyOn(WebAssembly, 'Memory').mockImplementation(function (descriptor) {
    if (!descriptor.shared) return new Memory(descriptor);
    ++refused;
    throw new RangeError('could not allocate memory');
  });
  expect(await loaded(file, { threads: 2 })).toEqual({ threads: 1, hash: hashOf(file) });
  expect(refused).toBe(1);
});

test('a bad model is told of once, whatever the threads', async () => {
  const error = await errorOf(loadModel(new Uint8Array(100), { threads: 2 }));
  expect(error.code).toBe('BAD_MODEL');
});

// In a process of its own, whose threads can be counted (where there is /proc) and which must end by itself.
test('threads end with their model, and keep no process alive', () => {
  const script = `
    import { existsSync, readdirSync } from 'node:fs';
    import { loadModel } from ${JSON.stringify(join(dist, 'node.js'))};
    const count = () => (existsSync('/proc/self/task') ? readdirSync('/proc/self/task').length : 0);
    const load = async () => (await loadModel(${JSON.stringify(file)}, { threads: 3 }));
    (await load()).dispose();
    const before = count();
    for (let i = 0; i < 40; ++i) (await load()).dispose();
    for (let i = 0; i < 100 && count() > before; ++i) await new Promise((done) => setTimeout(done, 20));
    const forgotten = await load();
    console.log(JSON.stringify({ more: Math.max(0, count() - before - 2), rss: process.memoryUsage().rss, forgotten: forgotten.info.threads }));
  `;
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  const { more, rss, forgotten } = JSON.parse(out) as { more: number; rss: number; forgotten: number };
  expect({ more, forgotten }).toEqual({ more: 0, forgotten: 3 });
  expect(rss).toBeLessThan(600 << 20);
});

// A thread whose function table is emptied traps in its first part, with the caller waiting for that part.
test('a thread that traps ends a run with an error, and the next runs are right', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'trefoil-trap-'));
  try {
    cpSync(dist, folder, { recursive: true });
    appendFileSync(
      join(folder, 'node-thread.js'),
      `
      import { parentPort as testPort } from 'node:worker_threads';
      let entry;
      testPort.once('message', (start) => ({ entry } = start));
      const { instantiate } = WebAssembly;
      WebAssembly.instantiate = async (...parts) => {
        const instance = await instantiate(...parts);
        const table = Object.values(instance.exports).find((item) => item instanceof WebAssembly.Table);
        for (let i = 0; i < table.length; ++i) if (i !== entry) table.set(i, null);
        return instance;
      };`,
    );
    const script = `
      import { loadModel } from ${JSON.stringify(join(folder, 'node.js'))};
      ${goldenPixels.toString()}
      const model = await loadModel(${JSON.stringify(file)}, { threads: 2 });
      const single = await loadModel(${JSON.stringify(file)});
      const [, height, width] = model.info.inputShape;
      const image = { data: goldenPixels(width, height, 1), width, height };
      const expected = (await single.logits(image)).integers.join();
      let error;
      // The thread may come too late to take a part.
      for (let i = 0; i < 1000 && !error; ++i) await model.logits(image).catch((caught) => (error = caught));
      const after = [];
      for (let i = 0; i < 3; ++i) after.push((await model.logits(image)).integers.join() === expected);
      model.dispose();
      console.log(JSON.stringify({ threads: model.info.threads, code: error?.code, message: error?.message, after }));
    `;
    const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    expect(JSON.parse(out)).toEqual({
      threads: 2,
      code: 'INTERNAL',
      message: expect.stringMatching(/^a thread failed in layer '/),
      after: [true, true, true],
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 90_000);
