// What of the package only a browser has: the Cache API, elements and videos as pictures, EXIF as a browser reads it.
import { join } from 'node:path';

import type { Browser, Page } from 'playwright-core';
import sharp from 'sharp';
import { loadModel } from 'trefoil';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { onnxPath, picturesOf, preprocess, quantizedSigns, root } from '../node/signs.js';
import { launchChromium, serve, type Served } from './serve.js';

let server: Served;
let browser: Browser;
let page: Page;
let turned: Buffer;
let modelBytes: Uint8Array<ArrayBuffer>;

/** Runs the text of an async function's body in the page, with the package's entries in scope. */
function inPage<T>(body: string): Promise<T> {
  return page.evaluate(`(async () => {
    const { loadModel, modelCache } = await import('/trefoil/index.js');
    const { quantize } = await import('/trefoil/quantize.js');
    const mean = (planes, channel) => {
      const plane = planes.subarray((channel * planes.length) / 3, ((channel + 1) * planes.length) / 3);
      return plane.reduce((sum, value) => sum + value, 0) / plane.length;
    };
    ${body}
  })()`) as Promise<T>;
}

beforeAll(async () => {
  ({ model: modelBytes } = await quantizedSigns());
  // Left half black, right half white, and to be turned by a quarter to the right: black is then above.
  turned = await sharp({ create: { width: 48, height: 96, channels: 3, background: '#000' } })
    .extend({ right: 48, background: '#fff' })
    .withMetadata({ orientation: 6 })
    .jpeg({ quality: 100 })
    .toBuffer();
  server = await serve({
    '/': Buffer.from('<!doctype html><title>t</title><p>t</p>'),
    '/trefoil/': join(root, 'npm/dist') + '/',
    '/signs.trefoil': modelBytes,
    '/signs.onnx': await (await import('node:fs/promises')).readFile(onnxPath),
    '/turned.jpg': turned,
    '/stop.png': await (await import('node:fs/promises')).readFile(picturesOf('stop')[1]!),
  });
  browser = await launchChromium();
  page = await browser.newPage();
  await page.goto(`${server.origin}/`);
}, 120_000);

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

test('a kept model is not asked for again, not even by another page', async () => {
  const asked = () => server.requests.filter((path) => path === '/signs.trefoil').length;
  const body = `const model = await loadModel('/signs.trefoil', { cache: true });
    const [best] = await model.classify('/stop.png');
    model.dispose();
    return best.label;`;
  expect(await inPage(body)).toBe('stop');
  expect(await inPage(body)).toBe('stop');
  await page.reload();
  expect(await inPage(body)).toBe('stop');
  expect(asked()).toBe(1);
  expect(await inPage('return modelCache.list();')).toMatchObject([
    { url: `${server.origin}/signs.trefoil`, bytes: modelBytes.length, persistent: true },
  ]);
  expect(await inPage(`return modelCache.delete(new URL('/signs.trefoil', location).href);`)).toBe(true);
  expect(await inPage('return modelCache.list();')).toEqual([]);
  expect(await inPage(body)).toBe('stop');
  expect(asked()).toBe(2);
});

test('a full quota: memory serves', async () => {
  const result = await inPage<{ labels: string[]; list: { persistent: boolean }[] }>(`
    await modelCache.clear();
    const { put } = Cache.prototype;
    Cache.prototype.put = () => Promise.reject(new DOMException('full', 'QuotaExceededError'));
    const labels = [];
    for (let i = 0; i < 2; ++i) {
      const model = await loadModel('/signs.trefoil', { cache: true });
      labels.push((await model.classify('/stop.png'))[0].label);
      model.dispose();
    }
    const list = await modelCache.list();
    Cache.prototype.put = put;
    await modelCache.clear();
    return { labels, list };`);
  expect(result.labels).toEqual(['stop', 'stop']);
  expect(result.list).toMatchObject([{ persistent: false }]);
});

test('quantizing again what was quantized before comes from the cache', async () => {
  const result = await inPage<{ same: boolean; phases: string[]; kept: number }>(`
    const options = { calibration: ['/stop.png', '/turned.jpg'], preprocess: ${JSON.stringify(preprocess)}, cache: true };
    const first = await quantize('/signs.onnx', options);
    const phases = new Set();
    const again = await quantize('/signs.onnx', { ...options, onProgress: ({ phase }) => void phases.add(phase) });
    const same = first.model.every((byte, i) => byte === again.model[i]) && first.model.length === again.model.length;
    const kept = (await modelCache.list()).filter(({ url }) => url.includes('/quantized/')).length;
    await modelCache.clear();
    return { same: same && JSON.stringify(first.report) === JSON.stringify(again.report), phases: [...phases], kept };`);
  expect(result.same).toBe(true);
  expect(result.phases).not.toContain('quantize');
  expect(result.kept).toBe(2);
});

test('EXIF orientation is applied, as it is in Node', async () => {
  const planes = await inPage<number[]>(`
    const model = await loadModel('/signs.trefoil');
    const img = new Image();
    img.src = '/turned.jpg';
    await img.decode();
    const planes = await model.planes('/turned.jpg');
    const drawn = await model.planes(img);
    model.dispose();
    if (drawn.some((value, i) => value !== planes[i])) throw new Error('an address and an element differ');
    return [...planes];`);
  const model = await loadModel(modelBytes);
  const node = await model.planes(turned);
  model.dispose();
  // Decoders of JPEG differ by a level or two.
  const differences = planes.map((value, i) => Math.abs(value - node[i]!));
  expect(Math.max(...differences)).toBeLessThanOrEqual(4);
  expect(planes[0]).toBeLessThan(10);
  expect(planes[63]).toBeLessThan(10);
  expect(planes[63 * 64]).toBeGreaterThan(245);
});

test('a playing video, a web stream and a File are pictures', async () => {
  const means = await inPage<number[][]>(`
    const model = await loadModel('/signs.trefoil');
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 96;
    const context = canvas.getContext('2d');
    const paint = () => { context.fillStyle = '#c03020'; context.fillRect(0, 0, 96, 96); };
    paint();
    const timer = setInterval(paint, 30);
    const video = document.createElement('video');
    video.muted = true;
    video.srcObject = canvas.captureStream(30);
    await video.play();
    await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
    const blob = await new Promise((resolve) => canvas.toBlob(resolve));
    const means = [];
    for (const image of [video, blob.stream(), new File([blob], 'red.png')]) {
      const planes = await model.planes(image);
      means.push([0, 1, 2].map((channel) => mean(planes, channel)));
    }
    clearInterval(timer);
    model.dispose();
    return means;`);
  expect(means.length).toBe(3);
  for (const [red, green, blue] of means) {
    expect(Math.abs(red! - 0xc0)).toBeLessThan(8);
    expect(Math.abs(green! - 0x30)).toBeLessThan(8);
    expect(Math.abs(blue! - 0x20)).toBeLessThan(8);
  }
});

test('a pool of workers in a page without cross-origin isolation', async () => {
  const result = await inPage<{ isolated: boolean; workers: number; labels: string[] }>(`
    const model = await loadModel('/signs.trefoil', { workers: 3 });
    const answers = await Promise.all(Array.from({ length: 9 }, () => model.classify('/stop.png', { topK: 1 })));
    const { workers } = model.info;
    model.dispose();
    return { isolated: crossOriginIsolated, workers, labels: answers.map(([best]) => best.label) };`);
  expect(result).toEqual({ isolated: false, workers: 3, labels: Array(9).fill('stop') });
});

test('kernels are timed after the first answer, and used from the next load on', async () => {
  const answer = `const model = await loadModel('/signs.trefoil', tune);
    const asked = performance.now();
    const { integers } = await model.logits('/stop.png');
    const { variants, worker } = model.info;`;
  const first = await inPage<{ integers: number[]; worker: boolean; text: string; before: boolean }>(`
    const tune = {}; // what is usual in a worker
    ${answer}
    const before = (await (await caches.open('trefoil-tuning')).keys()).length > 0 && performance.now() - asked < 1000;
    let entry;
    while (!entry) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      const cache = await caches.open('trefoil-tuning');
      entry = await cache.match((await cache.keys())[0] ?? '/nothing');
    }
    model.dispose();
    return { integers: [...integers], worker, before, text: await entry.text() };`);
  expect(first.worker).toBe(true);
  expect(first.before).toBe(false); // not within a second of the question, however late the answer was
  const { kernels } = JSON.parse(first.text) as { kernels: Record<string, string> };
  expect(Object.keys(kernels).length).toBeGreaterThan(0);

  // Another page takes what the cache says, whatever that is, and answers the same.
  for (const kind of Object.keys(kernels)) kernels[kind] = 'dense_simd128';
  await page.reload();
  const second = await inPage<{ integers: number[]; variants: Record<string, string[]> }>(`
    const cache = await caches.open('trefoil-tuning');
    await cache.put((await cache.keys())[0], new Response(${JSON.stringify(JSON.stringify({ kernels }))}));
    const tune = { tune: true };
    ${answer}
    model.dispose();
    return { integers: [...integers], variants };`);
  expect(second.variants['ternary_conv']).toContain('dense_simd128');
  expect(second.integers).toEqual(first.integers);
}, 120_000);
