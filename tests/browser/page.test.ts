// The demo page in headless Chromium, driven as a visitor would.
import { existsSync, mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { chromium, type Browser, type Page } from 'playwright-core';
import { preview, type PreviewServer } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const screenshots = resolve(root, 'build/screenshots');
let server: PreviewServer;
let browser: Browser;
let page: Page;
const problems: string[] = [];

beforeAll(async () => {
  if (!existsSync(resolve(root, 'web/dist/index.html')))
    throw new Error('web/dist is missing: run `make page` first');
  mkdirSync(screenshots, { recursive: true });
  server = await preview({
    root: resolve(root, 'web'),
    preview: { port: 0, host: '127.0.0.1' },
    logLevel: 'error',
  });
  browser = await chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  page.on('pageerror', (error) => problems.push(String(error)));
  await page.goto(server.resolvedUrls!.local[0]!);
}, 60_000);

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

test('quantizes the bundled model in a worker and shows its figures', async () => {
  await page.selectOption('#group-size', '4');
  await page.click('#quantize');
  await page.waitForSelector('#cancel:not([hidden])');
  const seen = new Set<number>();
  while (await page.isHidden('#download')) {
    seen.add(await page.$eval('#progress', (bar) => (bar as HTMLProgressElement).value));
    expect(await page.isHidden('#quantize-error')).toBe(true);
    await page.waitForTimeout(50);
  }
  expect(seen.size).toBeGreaterThan(2); // the bar moves, so the page is not blocked
  const summary = await page.innerText('#summary');
  // Groups of 4 remove 75% of a ternary layer's multiplications; the int8 first and last layer keep theirs.
  expect(summary).toMatch(/7[34]\.\d%/);
  expect(await page.getAttribute('#download', 'download')).toBe('signs.trefoil');
});

test('classifies the bundled photographs with both networks', async () => {
  await page.click('#classify');
  await page.waitForSelector('#agreement:not([hidden])', { timeout: 120_000 });
  const cards = await page.locator('.result').count();
  expect(cards).toBeGreaterThanOrEqual(32);
  const accuracy = async (row: string): Promise<number> =>
    parseFloat(await page.locator(`#${row} td`).nth(1).innerText());
  expect(await accuracy('float-row')).toBeGreaterThan(85);
  expect(await accuracy('ternary-row')).toBeGreaterThan((await accuracy('float-row')) - 12);
  expect(await page.locator('#ternary-row td').nth(2).innerText()).toMatch(/ ms$/);
  await page.screenshot({ path: resolve(screenshots, 'page.png'), fullPage: true });
}, 150_000);

test('takes dropped images', async () => {
  const image = resolve(root, 'models/signs/calibration/00.png');
  await page.setInputFiles('#image-files', [image, image]);
  await page.waitForFunction(() => document.querySelectorAll('.result').length === 2);
  await page.waitForSelector('#agreement:not([hidden])');
  expect(await page.isHidden('#top1-head')).toBe(true); // no labels, so no accuracy
});

test('cancels', async () => {
  await page.click('#quantize');
  await page.waitForSelector('#cancel:not([hidden])');
  await page.click('#cancel');
  await page.waitForFunction(() => document.querySelector('#phase')!.textContent === 'Cancelled.');
  expect(await page.isHidden('#summary')).toBe(true);
  expect(await page.isDisabled('#classify')).toBe(true);
});

test('takes an .onnx of the visitor, and says what is wrong with a bad one', async () => {
  await page.setInputFiles('#onnx-file', resolve(root, 'models/signs/signs.onnx'));
  await page.selectOption('#normalization', 'signed');
  await page.fill('#resize', '64');
  const calibration = Array.from({ length: 8 }, (_, i) =>
    resolve(root, `models/signs/calibration/0${i}.png`),
  );
  await page.setInputFiles('#calibration-files', calibration);
  await page.click('#quantize');
  await page.waitForSelector('#download:not([hidden])', { timeout: 60_000 });

  await page.setInputFiles('#onnx-file', resolve(root, 'README.md'));
  await page.click('#quantize');
  await page.waitForSelector('#quantize-error:not([hidden])');
  expect(await page.innerText('#quantize-error')).toContain('BAD_ONNX');
});

test('the page logged no error', () => {
  expect(problems).toEqual([]);
});
