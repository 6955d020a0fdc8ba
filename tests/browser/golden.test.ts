// Golden logits, and the quantizer's golden bytes, in Chromium: the package as plain ES modules, no bundler between.
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize, resolve } from 'node:path';
import { buildSync } from 'esbuild';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseGoldens } from '../golden/golden.js';
import type { golden } from './golden-page.js';
import { launchChromium } from './serve.js';

const root = resolve(import.meta.dirname, '../..');
const types: Record<string, string> = {
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.html': 'text/html',
};
let server: Server;
let browser: Browser;
let page: Page;

declare const window: { golden?: typeof golden };

beforeAll(async () => {
  const pageModule = buildSync({
    entryPoints: [join(root, 'tests/browser/golden-page.ts')],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    // The package itself is served as it is built.
    alias: { trefoil: '/npm/dist/index.js', 'trefoil/quantize': '/npm/dist/quantize.js' },
    external: ['/npm/dist/*'],
    write: false,
  }).outputFiles[0]!.text;
  server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url!, 'http://localhost').pathname));
    try {
      const html = '<!doctype html><script type="module" src="/golden-page.js"></script>';
      const body =
        path === '/golden-page.js' ? pageModule : path === '/' ? html : readFileSync(join(root, path));
      response
        .writeHead(200, {
          'Content-Type': types[path === '/' ? '.html' : extname(path)] ?? 'application/octet-stream',
          'Content-Security-Policy': "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'",
        })
        .end(body);
    } catch {
      response.writeHead(404, { 'Content-Type': 'text/html' }).end('<!doctype html><p>not found</p>');
    }
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  browser = await launchChromium();
  page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  await page.waitForFunction(() => window.golden !== undefined);
}, 60_000);

afterAll(async () => {
  await browser?.close();
  server?.close();
});

test('golden models give their golden logits', async () => {
  const goldens = parseGoldens(readFileSync(join(root, 'tests/golden/golden.txt'), 'utf8'));
  expect(goldens.length).toBeGreaterThanOrEqual(3);
  for (const entry of goldens) {
    const hash = await page.evaluate((item) => window.golden!.logitHash(item), entry);
    expect({ file: entry.file, hash }).toEqual({ file: entry.file, hash: entry.hash });
  }
});

test('a page that is missing is told apart from a model', async () => {
  const failure = await page.evaluate(() => window.golden!.failureOf('/missing.trefoil'));
  expect(failure).toContain('NETWORK');
  expect(failure).toContain('404');
});

test('the quantizer writes the same bytes as in Node', async () => {
  const expected = readFileSync(join(root, 'tests/golden/quantized.sha256'), 'utf8').trim();
  expect(await page.evaluate(() => window.golden!.quantizedDigest())).toBe(expected);
}, 120_000);
