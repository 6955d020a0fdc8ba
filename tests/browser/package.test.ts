// The packed package in headless Chromium: from a plain page under a strict policy, built by Vite, and in Vite's
// development server. Every way must give the bytes that Node gives.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';

import type { Browser } from 'playwright-core';
import sharp from 'sharp';
import { loadModel } from 'trefoil';
import { quantize } from 'trefoil/quantize';
import { build, createServer as createVite } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { onnxPath, picturesOf, preprocess, quantizedSigns, root } from '../node/signs.js';
import { launchChromium } from './serve.js';

const policy =
  "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; img-src 'self' blob:";
const picture = picturesOf('stop')[1]!;
let folder: string;
let browser: Browser;
let expected: Answers;

interface Answers {
  /** Of planes, logits and a quantized model: SHA-256 of all three. */
  hashes: Record<string, string>;
  workers: boolean[];
  errors: Record<string, string>;
}

// What the page does: every kind of image, with and without a worker, quantizing, and a few errors.
const script = `
import { loadModel } from 'trefoil';
import { loadFloatModel, quantize } from 'trefoil/quantize';

const hash = async (data) =>
  [...new Uint8Array(await crypto.subtle.digest('SHA-256', data))].map((x) => x.toString(16).padStart(2, '0')).join('');
const codeOf = (promise) => promise.then(() => 'none', (error) => error.code ?? String(error));

async function images() {
  const img = new Image();
  img.src = '/picture.png';
  await img.decode();
  const canvas = document.createElement('canvas');
  canvas.width = img.naturalWidth;
  canvas.height = img.naturalHeight;
  const context = canvas.getContext('2d');
  context.drawImage(img, 0, 0);
  const blob = await (await fetch('/picture.png')).blob();
  const offscreen = new OffscreenCanvas(canvas.width, canvas.height);
  offscreen.getContext('2d').drawImage(img, 0, 0);
  const bitmap = await createImageBitmap(img);
  return {
    address: '/picture.png', url: new URL('/picture.png', location.href), img, canvas, blob, offscreen, bitmap,
    bitmapAgain: bitmap, frame: new VideoFrame(canvas, { timestamp: 0 }), bytes: await blob.arrayBuffer(),
    imageData: context.getImageData(0, 0, canvas.width, canvas.height),
  };
}

window.answers = (async () => {
  const hashes = {};
  const workers = [];
  const given = await images();
  for (const worker of [undefined, false]) {
    const model = await loadModel('/signs.trefoil', worker === undefined ? {} : { worker });
    workers.push(model.info.worker);
    hashes['logits ' + worker] = await hash((await model.logits(given.blob)).integers);
    for (const [name, image] of Object.entries(given)) {
      hashes[name + ' ' + worker] = await hash(await model.planes(image));
    }
    model.dispose();
  }
  given.frame.close();
  const preprocess = ${JSON.stringify(preprocess)};
  const options = { calibration: [given.blob, '/picture.png'], preprocess };
  hashes.quantized = await hash((await quantize('/signs.onnx', options)).model);
  const float = await loadFloatModel('/signs.onnx', { preprocess });
  workers.push(float.info.worker);
  float.dispose();
  const controller = new AbortController();
  const aborted = codeOf(quantize('/signs.onnx', { ...options, signal: controller.signal }));
  setTimeout(() => controller.abort({ code: 'MINE' }), 50);
  const errors = {
    aborted: await aborted,
    image: await codeOf(loadModel('/signs.trefoil').then((model) => model.classify(new Blob(['x'])))),
    wasm: await codeOf(loadModel('/signs.trefoil', { wasm: { url: '/index.html' } })),
  };
  return { hashes, workers, errors };
})().catch((error) => ({ hashes: {}, workers: [], errors: { page: String(error.stack) } }));
`;

const sha256 = (data: ArrayBufferView) =>
  createHash('sha256')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex');

/** What Node says to the same picture and network. */
async function nodeAnswers(model: Uint8Array): Promise<Answers> {
  const { data, info } = await sharp(picture).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const image = { data, width: info.width, height: info.height };
  const loaded = await loadModel(model);
  const planes = sha256(await loaded.planes(image));
  const logits = sha256((await loaded.logits(image)).integers);
  loaded.dispose();
  const quantized = await quantize(onnxPath, { calibration: [image, image], preprocess });
  const names = 'address url img canvas blob offscreen bitmap bitmapAgain frame bytes imageData'.split(' ');
  const hashes: Record<string, string> = { quantized: sha256(quantized.model) };
  for (const worker of ['undefined', 'false']) {
    hashes[`logits ${worker}`] = logits;
    for (const name of names) hashes[`${name} ${worker}`] = planes;
  }
  return {
    hashes,
    workers: [true, false, true],
    errors: { aborted: 'MINE', image: 'BAD_IMAGE', wasm: 'NOT_WASM' },
  };
}

function serve(served: string): Promise<Server> {
  const types: Record<string, string> = {
    '.html': 'text/html',
    '.js': 'text/javascript',
    '.wasm': 'application/wasm',
  };
  const server = createServer((request, response) => {
    const path = new URL(request.url!, 'http://localhost').pathname;
    readFile(join(served, path === '/' ? 'index.html' : path)).then(
      (bytes) => {
        const type = types[extname(path) || '.html'] ?? 'application/octet-stream';
        response.writeHead(200, { 'content-type': type, 'content-security-policy': policy }).end(bytes);
      },
      () => response.writeHead(404).end(),
    );
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

async function visit(address: string): Promise<Answers> {
  const page = await browser.newPage();
  try {
    await page.goto(address);
    await page.waitForFunction(() => 'answers' in window);
    return await page.evaluate(() => (window as unknown as { answers: Promise<Answers> }).answers);
  } finally {
    await page.close();
  }
}

async function visitFolder(served: string): Promise<Answers> {
  const server = await serve(served);
  try {
    return await visit(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  } finally {
    server.close();
  }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trefoil-browser-'));
  const npm = (args: string[], cwd: string) =>
    execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: 'pipe' });
  const [{ filename }] = JSON.parse(npm(['pack', '--json', '--pack-destination', folder], join(root, 'npm')));
  writeFileSync(join(folder, 'package.json'), '{ "name": "page", "private": true, "type": "module" }');
  npm(['install', '--offline', '--no-audit', '--no-fund', `./${filename}`], folder);

  const { model } = await quantizedSigns();
  mkdirSync(join(folder, 'public'));
  writeFileSync(join(folder, 'public/signs.trefoil'), model);
  copyFileSync(onnxPath, join(folder, 'public/signs.onnx'));
  copyFileSync(picture, join(folder, 'public/picture.png'));
  writeFileSync(join(folder, 'main.js'), script);
  const html =
    '<!doctype html><html><head><title>t</title></head><body><script type="module" src="/main.js"></script></body>';
  writeFileSync(join(folder, 'index.html'), html);
  expected = await nodeAnswers(model);

  browser = await launchChromium();
}, 120_000);

afterAll(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
});

test('a plain page with modules, under a strict policy', async () => {
  const plain = join(folder, 'plain');
  cpSync(join(folder, 'public'), plain, { recursive: true });
  cpSync(join(folder, 'node_modules/trefoil/dist'), join(plain, 'trefoil'), { recursive: true });
  const direct = script
    .replace("'trefoil'", "'/trefoil/index.js'")
    .replace("'trefoil/quantize'", "'/trefoil/quantize.js'");
  writeFileSync(join(plain, 'main.js'), direct);
  copyFileSync(join(folder, 'index.html'), join(plain, 'index.html'));
  expect(await visitFolder(plain)).toEqual(expected);
});

test("Vite's build, under a strict policy", async () => {
  await build({
    root: folder,
    logLevel: 'error',
    build: { outDir: join(folder, 'dist'), emptyOutDir: true },
  });
  expect(await visitFolder(join(folder, 'dist'))).toEqual(expected);
});

test("Vite's development server", async () => {
  const server = await createVite({
    root: folder,
    logLevel: 'error',
    server: { port: 0, host: '127.0.0.1' },
  });
  await server.listen();
  try {
    expect(await visit(server.resolvedUrls!.local[0]!)).toEqual(expected);
  } finally {
    await server.close();
  }
});

test('the size of what a page downloads', () => {
  const dist = join(folder, 'node_modules/trefoil/dist');
  const scripts = readFileSync(join(dist, 'index.js'), 'utf8');
  // Nothing of the quantizer comes with the runtime.
  expect(scripts).not.toContain('quantiz');
});
