// Golden logits, and the quantizer's golden bytes, in Chromium: the package as plain ES modules, no bundler between.
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize, resolve } from 'node:path';
import { buildSync } from 'esbuild';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseGoldens } from '../golden/golden.js';

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

beforeAll(async () => {
  const goldenModule = buildSync({
    entryPoints: [join(root, 'tests/golden/golden.ts')],
    format: 'esm',
    target: 'es2022',
    write: false,
  }).outputFiles[0]!.text;
  server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url!, 'http://localhost').pathname));
    try {
      const body =
        path === '/golden.js'
          ? goldenModule
          : path === '/'
            ? '<!doctype html>'
            : readFileSync(join(root, path));
      const type = types[path === '/' ? '.html' : extname(path)] ?? 'application/octet-stream';
      response
        .writeHead(200, {
          'Content-Type': type,
          'Content-Security-Policy': "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'",
        })
        .end(body);
    } catch {
      response.writeHead(404, { 'Content-Type': 'text/html' }).end('<!doctype html><p>not found</p>');
    }
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  browser = await chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
    ],
  });
  page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
}, 60_000);

afterAll(async () => {
  await browser?.close();
  server?.close();
});

test('golden models give their golden logits', async () => {
  const goldens = parseGoldens(readFileSync(join(root, 'tests/golden/golden.txt'), 'utf8'));
  expect(goldens.length).toBeGreaterThanOrEqual(3);
  for (const golden of goldens) {
    const hash = await page.evaluate(async ({ file, images }) => {
      const { loadModel } = (await import('/npm/dist/index.js' as string)) as typeof import('trefoil');
      const { goldenPixels, LogitHash } = (await import(
        '/golden.js' as string
      )) as typeof import('../golden/golden.js');
      const model = await loadModel(`/tests/golden/${file}`);
      const [, height, width] = model.info.inputShape;
      const hash = new LogitHash();
      for (let seed = 1; seed <= images; ++seed) {
        const { integers } = await model.logits({ data: goldenPixels(width, height, seed), width, height });
        hash.add(integers);
      }
      model.dispose();
      return hash.toString();
    }, golden);
    expect({ file: golden.file, hash }).toEqual({ file: golden.file, hash: golden.hash });
  }
});

test('a page that is missing is told apart from a model', async () => {
  const failure = await page.evaluate(async () => {
    const { loadModel } = (await import('/npm/dist/index.js' as string)) as typeof import('trefoil');
    return loadModel('/missing.trefoil').then(
      () => 'loaded',
      (error: { code: string; message: string }) => `${error.code} ${error.message}`,
    );
  });
  expect(failure).toContain('NETWORK');
  expect(failure).toContain('404');
});

test('the quantizer writes the same bytes as in Node', async () => {
  const expected = readFileSync(join(root, 'tests/golden/quantized.sha256'), 'utf8').trim();
  const actual = await page.evaluate(async () => {
    const { quantize } = (await import(
      '/npm/dist/quantize.js' as string
    )) as typeof import('trefoil/quantize');
    const preprocess = await (await fetch('/models/signs/preprocess.json')).json();
    const labels = (await (await fetch('/models/signs/labels.txt')).text()).trim().split('\n');
    const onnx = new Uint8Array(await (await fetch('/models/signs/signs.onnx')).arrayBuffer());
    const calibration = Array.from(
      { length: 16 },
      (_, i) => `/models/signs/calibration/${String(i).padStart(2, '0')}.png`,
    );
    const { model } = await quantize(onnx, { calibration, groupSize: 4, preprocess, labels });
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(model)));
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  });
  expect(actual).toBe(expected);
}, 120_000);
