// Threads in a browser: used where a page may share memory, done without where it may not or where files are missing.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { goldenPixels, parseGoldens } from '../golden/golden.js';
import { root } from '../node/signs.js';
import { launchChromium, serve, type Served } from './serve.js';

const policy = {
  'content-security-policy': "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'",
};
const isolated = {
  ...policy,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
};
const golden = parseGoldens(readFileSync(join(root, 'tests/golden/golden.txt'), 'utf8'))[0]!;
const dist = join(root, 'npm/dist') + '/';
let browser: Browser;

beforeAll(async () => {
  browser = await launchChromium();
}, 60_000);

afterAll(() => browser?.close());

// Loads with each of the options and tells of threads, worker and logits; then of the workers that are left.
const script = `
import { loadModel } from '/trefoil/index.js';
${goldenPixels.toString()}
window.answersOf = async (list) => {
  const answers = [];
  for (const options of list) {
    const model = await loadModel('/model.trefoil', options);
    const [, height, width] = model.info.inputShape;
    const logits = [];
    for (let seed = 1; seed <= 3; ++seed) {
      const image = { data: goldenPixels(width, height, seed), width, height };
      logits.push(...(await model.logits(image)).integers);
    }
    answers.push({ threads: model.info.threads, worker: model.info.worker, logits: logits.join() });
    model.dispose();
  }
  return answers;
};
`;

interface Answer {
  threads: number;
  worker: boolean;
  logits: string;
}

type Places = Record<string, string | Uint8Array>;

async function ask(list: object[], headers: Record<string, string>, places: Places = {}) {
  const server: Served = await serve(
    {
      '/': Buffer.from('<!doctype html><title>t</title><script type="module" src="/page.js"></script>'),
      '/page.js': Buffer.from(script),
      '/model.trefoil': readFileSync(join(root, 'tests/golden', golden.file)),
      '/trefoil/': dist,
      ...places,
    },
    headers,
  );
  const page = await browser.newPage();
  try {
    await page.goto(`${server.origin}/`);
    await page.waitForFunction(() => 'answersOf' in window);
    const answers = await page.evaluate(
      (options) => (window as unknown as { answersOf(list: object[]): Promise<Answer[]> }).answersOf(options),
      list,
    );
    const workers = () => page.workers().length;
    for (let i = 0; i < 1000 && workers() > 0; ++i) await new Promise((done) => setTimeout(done, 20));
    return { answers, workers: workers(), requests: server.requests };
  } finally {
    await page.close();
    await server.close();
  }
}

test('an isolated page uses threads, in a worker and in the window, and gets the same logits', async () => {
  const cores = await (await browser.newPage()).evaluate(() => navigator.hardwareConcurrency);
  const { answers, workers } = await ask(
    [
      { threads: 1 },
      { threads: 2 },
      { threads: 3 },
      {},
      { threads: 2, worker: false },
      { threads: 1, worker: false },
      { workers: 2 },
    ],
    isolated,
  );
  expect(answers.map(({ threads }) => threads)).toEqual([1, 2, 3, Math.min(cores, 4), 2, 1, 1]);
  expect(answers.map(({ worker }) => worker)).toEqual([true, true, true, true, false, false, true]);
  for (const { logits } of answers) expect(logits).toBe(answers[0]!.logits);
  expect(answers[0]!.logits.length).toBeGreaterThan(100);
  expect(workers).toBe(0);
});

test('a page that is not isolated has one thread, no error, and does not load the other build', async () => {
  const { answers, requests } = await ask([{}, { threads: 3 }, { threads: 'auto', worker: false }], policy);
  expect(answers.map(({ threads }) => threads)).toEqual([1, 1, 1]);
  expect(requests).toContain('/trefoil/trefoil-runtime.wasm');
  expect(requests.filter((path) => path.includes('thread'))).toEqual([]);
});

test.each(['trefoil-runtime-threads.wasm', 'thread.js', 'threads-worker.js'])(
  'without %s there is an answer',
  async (file) => {
    const missing = { [`/trefoil/${file}`]: '/nowhere/' };
    const { answers } = await ask([{ threads: 2 }, { threads: 1 }], isolated, missing);
    expect(answers[0]!.logits).toBe(answers[1]!.logits);
    // Without the worker's script the work, and the threads, are the page's own.
    expect(answers[0]).toMatchObject(
      file === 'threads-worker.js' ? { threads: 2, worker: false } : { threads: 1, worker: true },
    );
  },
);
