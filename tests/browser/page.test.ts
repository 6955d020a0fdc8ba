// The page and its bundled network: quantizing, results, settings, keyboard, offline use, widths and colours.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeAll, beforeEach, describe, expect, test } from 'vitest';

import {
  classified,
  context,
  give,
  open,
  page,
  pictures,
  problems,
  quantized,
  quick,
  root,
  screenshots,
  server,
  startBrowser,
  violations,
} from './page.js';

startBrowser();

describe('the bundled network', () => {
  beforeAll(async () => void (await open()), 60_000);

  test('is quantized in a worker, with progress, and reported', async () => {
    await page.click('#quantize');
    await page.waitForSelector('#cancel:not([hidden])');
    const seen = new Set<number>();
    while (await page.isHidden('#download')) {
      seen.add(await page.$eval('#progress', (bar) => (bar as HTMLProgressElement).value));
      expect(await page.innerText('#phase-name')).toMatch(/^[A-Z]/); // a sentence, not the package's name of it
      expect(await page.isHidden('#quantize-error')).toBe(true);
      await page.waitForTimeout(50);
    }
    expect(seen.size).toBeGreaterThan(2); // the bar moves, so the page is not blocked
    expect(await page.innerText('#summary')).toMatch(/Multiplications an image\s+106M → \d/);
    expect(await page.innerText('#sizes')).toMatch(/2\.82 MB[\s\S]*2\d\d KB/);
    expect(await page.locator('#layers button').count()).toBeGreaterThan(10);
    expect(new Set(await page.locator('#layers .name').allInnerTexts()).size).toBeGreaterThan(10);
  });

  test('is compared with float on the bundled photographs, without being asked', async () => {
    await classified();
    expect(await page.locator('.result').count()).toBeGreaterThanOrEqual(32);
    const accuracy = async (row: string): Promise<number> =>
      parseFloat(await page.locator(`#${row} td`).nth(1).innerText());
    expect(await accuracy('float-row')).toBe(97.5); // as of all 400, which README states
    expect(await accuracy('ternary-row')).toBeGreaterThan((await accuracy('float-row')) - 6);
    expect(await page.locator('#float-row td').nth(2).innerText()).toMatch(/^\d+ of 40$/);
    expect(await page.locator('#ternary-row td').nth(3).innerText()).toMatch(/ ms$/);
    expect(await page.locator('#latency canvas').count()).toBe(1);
    expect(await page.innerText('#agreement')).toMatch(/agree on \d+ of 40/);
  });

  test("shows a layer's weights when it is chosen, by keyboard as well", async () => {
    const shape = () => page.getAttribute('#histogram polyline', 'points');
    const before = await shape();
    expect(before!.split(' ').length).toBe(81);
    await page.locator('#layers button').nth(6).focus();
    await page.keyboard.press('Enter');
    expect(await shape()).not.toBe(before);
    expect(await page.locator('#layers button').nth(6).getAttribute('aria-pressed')).toBe('true');
    expect(await page.locator('#layers [aria-pressed=true]').count()).toBe(1);
    expect(await page.innerText('#histogram-title')).toContain('groups of 4');
  });

  test('is given away as a .trefoil that loads', async () => {
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#download')]);
    expect(download.suggestedFilename()).toBe('signs.trefoil');
    const { loadModel } = await import('trefoil');
    const model = await loadModel((await download.path())!);
    expect(model.info).toMatchObject({ classes: 20, recipe: { groupSize: 4, activationBits: 8 } });
    model.dispose();
  });

  test('is given away as an .onnx for other engines', async () => {
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#download-onnx')]);
    expect(download.suggestedFilename()).toBe('signs.qdq.onnx');
    const text = readFileSync((await download.path())!, 'latin1');
    expect(text).toContain('DequantizeLinear');
    expect(await page.isHidden('#quantize-error')).toBe(true);
  });

  test('classifies chosen, dropped and pasted images', async () => {
    await page.setInputFiles('#image-files', pictures);
    await page.waitForFunction(() => document.querySelectorAll('.result').length === 2);
    await classified();
    expect(await page.isHidden('#top1-head')).toBe(true); // no labels, so no accuracy

    // The same files again, as somebody chooses them: a browser tells of that only where the input was emptied.
    for (let time = 0; time < 2; ++time) {
      await page.$eval('#results', (results) => results.replaceChildren());
      const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.click('#image-files')]);
      await chooser.setFiles(pictures);
      await page.waitForFunction(() => document.querySelectorAll('.result').length === 2);
      await classified();
    }

    const three = Array.from({ length: 3 }, (_, i) => ({ path: pictures[0]!, name: `${i}.png` }));
    for (const [kind, target] of [
      ['drop', '#image-drop'],
      ['paste', 'body'],
      ['drop', '#report-card'], // beside the marked place
    ] as const) {
      await page.$eval('#results', (results) => results.replaceChildren());
      await give(kind, target, three);
      await page.waitForFunction(() => document.querySelectorAll('.result').length === 3);
      await classified();
    }

    await page.setInputFiles('#image-files', join(root, 'README.md'));
    await page.waitForSelector('#classify-error:not([hidden])');
    expect(await page.innerText('#classify-error')).toContain('could not be decoded');
  });

  test('classifies what a camera sees, and lets it go', async () => {
    await page.click('#camera-start');
    await page.waitForFunction(() => /^\d/.test(document.querySelector('#camera-rate')!.textContent));
    expect(await page.innerText('#camera-label')).toMatch(/, \d+%$/);
    expect(await page.innerText('#camera-rate')).toMatch(/frames a second$/);
    await page.click('#camera-stop');
    expect(await page.isHidden('#camera')).toBe(true);
    expect(await page.$eval('#video', (video) => (video as HTMLVideoElement).srcObject)).toBe(null);
    expect(await page.isHidden('#classify-error')).toBe(true);
  });

  test('quantizing is cancelled', async () => {
    await page.click('#quantize');
    await page.waitForSelector('#cancel:not([hidden])');
    await page.click('#cancel');
    await page.waitForFunction(() => document.querySelector('#phase')!.textContent === 'Cancelled.');
    expect(await page.isHidden('#report-card')).toBe(true);
    expect(await page.isHidden('#images-card')).toBe(true);
  });

  test('quantizing ends where another network is chosen', async () => {
    await page.click('#quantize');
    await page.waitForSelector('#cancel:not([hidden])');
    await page.check('input[name=source][value=file]');
    await page.waitForSelector('#cancel', { state: 'hidden' });
    expect(await page.isEnabled('#quantize')).toBe(true);
    expect(await page.isHidden('#progress-row')).toBe(true);
    expect(await page.isHidden('#report-card')).toBe(true);
    await page.check('input[name=source][value=bundled]');
  });
});

describe('settings', () => {
  test('are taken from the address, used, and written there', async () => {
    await open('?n=64&bits=5&levels=4&nonsense=1&planes=7');
    expect(await page.inputValue('#group-size')).toBe('64');
    expect(await page.inputValue('#planes')).toBe('1');
    expect(await page.innerText('#estimate')).toContain('2.03 bits');
    await page.selectOption('#planes', '2');
    expect(await page.innerText('#estimate')).toContain('4.06 bits');
    expect(new URL(page.url()).searchParams.get('planes')).toBe('2');
    await page.selectOption('#planes', '1');
    await quantized();
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#download')]);
    const { loadModel } = await import('trefoil');
    const model = await loadModel((await download.path())!);
    expect(model.info.recipe).toMatchObject({ groupSize: 64, activationBits: 5, scaleLevels: 4 });
    model.dispose();
  });

  test('that exclude each other are not offered together', async () => {
    await open('?method=fgq-two-sided&planes=2');
    expect(await page.inputValue('#planes')).toBe('1');
    expect(await page.isDisabled('#planes')).toBe(true);
    expect(await page.inputValue('#scale-levels')).toBe('free');
    await page.selectOption('#method', 'fgq');
    expect(await page.isDisabled('#planes')).toBe(false);
    await page.selectOption('#planes', '2');
    await page.selectOption('#method', 'fgq-two-sided');
    expect(await page.inputValue('#planes')).toBe('1');
  });

  test("are the package's defaults at first", async () => {
    await open();
    await quantized();
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#download')]);
    const { loadModel } = await import('trefoil');
    const { quantize } = await import('trefoil/quantize');
    const ours = await loadModel((await download.path())!);
    const theirs = await loadModel(
      (await quantize(join(root, 'models/signs/signs.onnx'), { calibration: pictures })).model,
    );
    expect(ours.info.recipe).toEqual(theirs.info.recipe);
    for (const model of [ours, theirs]) model.dispose();
  });

  test('are copied as an address', async () => {
    await open('', { permissions: ['clipboard-read', 'clipboard-write'] });
    await page.selectOption('#group-size', '16');
    await page.click('#share');
    await page.waitForSelector('#share-note:text("Copied")'); // the clipboard answers when it likes
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(`${server.origin}/?n=16`);
  });
});

test('goes by keyboard alone', async () => {
  await open(quick);
  const focused = () => page.evaluate(() => document.activeElement?.id ?? '');
  const tabTo = async (id: string) => {
    for (let i = 0; i < 60 && (await focused()) !== id; ++i) await page.keyboard.press('Tab');
    expect(await focused()).toBe(id);
  };
  await tabTo('group-size');
  await page.keyboard.press('ArrowDown');
  expect(await page.inputValue('#group-size')).toBe('8');
  await tabTo('quantize');
  await page.keyboard.press('Enter');
  await classified();
  await tabTo('onnxruntime');
  const outline = await page.$eval('#onnxruntime', (button) => getComputedStyle(button).outlineStyle);
  expect(outline).toBe('solid');
  await tabTo('results'); // scrolls by arrows
  await page.keyboard.press('End');
  await page.waitForFunction(() => document.querySelector('#results')!.scrollTop > 0);
}, 90_000);

test('works without a network after the first visit', async () => {
  await open();
  await page.waitForSelector('#offline:not([hidden])', { timeout: 60_000 });
  await page.waitForFunction(async () => (await navigator.serviceWorker.ready).active?.state === 'activated');
  await context.setOffline(true);
  await page.goto(`${server.origin}/?n=16&method=fgq`);
  expect(await page.inputValue('#group-size')).toBe('16');
  await quantized();
  await classified();
  expect(
    await page
      .locator('.result img')
      .evaluateAll((all) => all.every((img) => (img as HTMLImageElement).naturalWidth > 0)),
  ).toBe(true);
}, 90_000);

describe.each([1280, 768, 390])('at a width of %i', (width) => {
  beforeEach(async () => void (await open(quick, { viewport: { width, height: 850 } })));

  test('fits, can be read by everyone, and is photographed', async () => {
    await quantized();
    await classified();
    await page.click('#onnxruntime');
    await page.waitForSelector('#totals-body #onnxruntime-row', { timeout: 60_000 });
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
      expect(await violations(), colorScheme).toEqual([]);
      await page.screenshot({ path: join(screenshots, `page-${width}-${colorScheme}.png`), fullPage: true });
    }
  });
});

test('the policy is strict, and the page logged no error', async () => {
  const policy = await page.getAttribute('meta[http-equiv=Content-Security-Policy]', 'content');
  expect(policy).toContain("script-src 'self' 'wasm-unsafe-eval'");
  expect(policy).toContain("style-src 'self';");
  expect(policy).not.toContain('unsafe-inline');
  expect(problems).toEqual([]);
});
