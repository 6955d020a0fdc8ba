// The packed package in pages of every kind: plain modules and four bundlers, under the strict policy, with and without
// cross-origin isolation. All must find their .wasm and their workers, and give the same bytes as Node.
import { copyFileSync, cpSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { build as esbuild } from 'esbuild';
import type { Browser } from 'playwright-core';
import { build as viteBuild, createServer as createVite } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import webpack from 'webpack';

import { launchChromium, serve } from '../browser/serve.js';
import { expectedAnswers, makeProject, makeSite, pack, type Answers } from './project.js';

const policy = {
  'content-security-policy': "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'",
};
/** What pages say that may not share memory, and that may. */
const alone = { worker: true, threads: 1, isolated: false };
const threaded = { worker: true, threads: 2, isolated: true };
const isolation = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
};
const isolated = { ...policy, ...isolation };
let packed: string;
let project: string;
let browser: Browser;
let expected: Answers;

interface Visit extends Answers {
  worker: boolean;
  threads: number;
  isolated: boolean;
}

beforeAll(async () => {
  packed = await mkdtemp(join(tmpdir(), 'trefoil-packed-'));
  project = await makeProject(pack(packed));
  expected = await expectedAnswers();
  browser = await launchChromium();
}, 120_000);

afterAll(async () => {
  await browser?.close();
  await rm(packed, { recursive: true, force: true });
  await rm(project, { recursive: true, force: true });
});

/** What the page says, and that it said nothing on the console. */
async function visit(address: string): Promise<Visit> {
  const page = await browser.newPage();
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => {
    // Browsers ask for an icon by themselves.
    if (message.type() === 'error' && !message.location().url.endsWith('/favicon.ico')) {
      problems.push(message.text());
    }
  });
  try {
    await page.goto(address);
    await page.waitForFunction(() => document.title === 'done', undefined, { timeout: 60_000 });
    const answers = JSON.parse((await page.textContent('pre'))!);
    expect(problems).toEqual([]);
    return answers;
  } finally {
    await page.close();
  }
}

async function visitSite(site: string, headers: Record<string, string> = policy): Promise<Visit> {
  const server = await serve({ '/': `${site}/` }, headers);
  try {
    return await visit(`${server.origin}/`);
  } finally {
    await server.close();
  }
}

/** Plain modules: an import map would be an inline script, so the entries are named by address. */
function plainSite(): string {
  const site = makeSite(project, 'plain');
  cpSync(join(project, 'node_modules/trefoil/dist'), join(site, 'trefoil'), { recursive: true });
  for (const name of ['main.js', 'answers.js']) copyFileSync(join(project, name), join(site, name));
  return site;
}

test('plain modules, without and with cross-origin isolation', async () => {
  const site = plainSite();
  const { readFileSync } = await import('node:fs');
  const text = readFileSync(join(site, 'answers.js'), 'utf8')
    .replace("'trefoil'", "'/trefoil/index.js'")
    .replace("'trefoil/quantize'", "'/trefoil/quantize.js'");
  writeFileSync(join(site, 'answers.js'), text);
  copyFileSync(join(site, 'main.js'), join(site, 'bundle.js'));
  expect(await visitSite(site)).toEqual({ ...expected, ...alone });
  expect(await visitSite(site, isolated)).toEqual({ ...expected, ...threaded });
});

test("Vite's build", async () => {
  const outDir = join(project, 'vite');
  await viteBuild({ root: project, logLevel: 'error', build: { outDir, emptyOutDir: true } });
  expect(await visitSite(outDir)).toEqual({ ...expected, ...alone });
  expect(await visitSite(outDir, isolated)).toEqual({ ...expected, ...threaded });
});

test("Vite's development server", async () => {
  const server = await createVite({
    root: project,
    logLevel: 'error',
    server: { port: 0, host: '127.0.0.1' },
  });
  await server.listen();
  try {
    const address = server.resolvedUrls!.local[0]!;
    expect(await visit(address)).toEqual({ ...expected, ...alone });
  } finally {
    await server.close();
  }
});

test('webpack 5, without configuration', async () => {
  const site = makeSite(project, 'webpack');
  const stats = await new Promise<webpack.Stats>((resolve, reject) => {
    const config: webpack.Configuration = {
      context: project,
      mode: 'production',
      entry: './main.js',
      output: { path: site, filename: 'bundle.js' },
      // Remarks about sizes are no matter of this test.
      performance: { hints: false },
    };
    webpack(config, (error, result) => (error ? reject(error) : resolve(result!)));
  });
  expect(stats.toJson({ all: false, errors: true, warnings: true })).toMatchObject({
    errors: [],
    warnings: [],
  });
  expect(await visitSite(site)).toEqual({ ...expected, ...alone });
  expect(await visitSite(site, isolated)).toEqual({ ...expected, ...threaded });
});

test('esbuild, with the files beside the bundle that the README names', async () => {
  const site = makeSite(project, 'esbuild');
  const dist = join(project, 'node_modules/trefoil/dist');
  const bundle = () =>
    esbuild({
      entryPoints: [join(project, 'main.js')],
      outfile: join(site, 'bundle.js'),
      bundle: true,
      format: 'esm',
      logLevel: 'error',
    });
  await bundle();
  for (const name of ['trefoil-runtime.wasm', 'trefoil-quantizer.wasm']) {
    copyFileSync(join(dist, name), join(site, name));
  }
  // Without the workers' scripts the work is done on the page's own thread.
  expect(await visitSite(site)).toEqual({ ...expected, ...alone, worker: false });
  for (const name of ['worker.js', 'quantize-worker.js']) copyFileSync(join(dist, name), join(site, name));
  expect(await visitSite(site)).toEqual({ ...expected, ...alone });
  const forThreads = ['trefoil-runtime-threads.wasm', 'threads-worker.js', 'thread.js'];
  for (const name of forThreads) copyFileSync(join(dist, name), join(site, name));
  expect(await visitSite(site, isolated)).toEqual({ ...expected, ...threaded });
});
