// The demo page as it is built, in headless Chromium, driven as a visitor would: served as static files, under its policy.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { launchChromium, serve, type Served } from './serve.js';

const root = resolve(import.meta.dirname, '../..');
const dist = join(root, 'web/dist');
const screenshots = join(root, 'build/screenshots');
const pictures = ['00', '01'].map((name) => join(root, `models/signs/calibration/${name}.png`));
const axe = readFileSync(join(root, 'node_modules/axe-core/axe.min.js'), 'utf8');
let server: Served;
let browser: Browser;
let context: BrowserContext;
let page: Page;
const problems: string[] = [];

async function open(search = '', options: Parameters<Browser['newContext']>[0] = {}): Promise<Page> {
  await context?.close();
  context = await browser.newContext({
    viewport: { width: 1200, height: 900 },
    permissions: ['camera'],
    ...options,
  });
  page = await context.newPage();
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  page.on('pageerror', (error) => problems.push(String(error)));
  await page.goto(`${server.origin}/${search}`);
  return page;
}

/** Plain codes: not as good as the default, and found sooner. */
const quick = '?method=fgq';

async function quantized(): Promise<void> {
  await page.click('#quantize');
  await page.waitForSelector('#download:not([hidden])', { timeout: 60_000 });
}

/** Drops or pastes files. */
async function give(
  how: 'drop' | 'paste',
  target: string,
  files: { path: string; name: string }[],
): Promise<void> {
  const contents = files.map(({ path, name }) => ({ name, base64: readFileSync(path, 'base64') }));
  await page.evaluate(
    async ({ contents: list, how: kind, target: place }) => {
      const transfer = new DataTransfer();
      for (const { name, base64 } of list) {
        const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
        const type = name.endsWith('.png') ? 'image/png' : '';
        transfer.items.add(new File([bytes], name, { type }));
      }
      const event =
        kind === 'drop'
          ? new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true })
          : new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true });
      document.querySelector(place)!.dispatchEvent(event);
    },
    { contents, how, target },
  );
}

/** What axe finds wrong. */
async function violations(): Promise<string[]> {
  await page.evaluate(axe);
  const found = (await page.evaluate('axe.run()')) as {
    violations: { id: string; nodes: { target: string[]; failureSummary: string }[] }[];
  };
  return found.violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(' ')} ${nodes[0]!.failureSummary}`,
  );
}

/** Waits until all images of a set have been classified. */
async function classified(): Promise<void> {
  await page.waitForSelector('#outcome:not([hidden]) #totals:not([hidden])', { timeout: 60_000 });
}

beforeAll(async () => {
  if (!existsSync(join(dist, 'index.html'))) throw new Error('web/dist is missing: run `make page` first');
  mkdirSync(screenshots, { recursive: true });
  server = await serve({
    '/': `${dist}/`,
    '/models/': join(root, 'models') + '/',
    '/golden/': join(root, 'tests/golden') + '/',
  });
  browser = await launchChromium(['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream']);
}, 60_000);

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

describe('the bundled network', () => {
  beforeAll(async () => void (await open()), 60_000);

  test('is quantized in a worker, with progress, and reported', async () => {
    await page.click('#quantize');
    await page.waitForSelector('#cancel:not([hidden])');
    const seen = new Set<number>();
    while (await page.isHidden('#download')) {
      seen.add(await page.$eval('#progress', (bar) => (bar as HTMLProgressElement).value));
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
    expect(await accuracy('float-row')).toBeGreaterThan(80);
    expect(await accuracy('ternary-row')).toBeGreaterThan((await accuracy('float-row')) - 12);
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
});

/** What was fetched for the comparison. */
const onnxruntimeFiles = () =>
  server.requests.filter((path) => /onnxruntime|ort-/.test(path)).map((path) => path.replace(/-.{8}\./, '.'));

describe('the comparison with onnxruntime-web', () => {
  beforeAll(async () => {
    server.requests.length = 0;
    await open(quick);
    await page.waitForSelector('#offline:not([hidden])', { timeout: 60_000 });
    await quantized();
    await classified();
  }, 120_000);

  test('is fetched from this site when it is asked for, and not before', async () => {
    expect(onnxruntimeFiles()).toEqual([]);
    await page.click('#onnxruntime');
    await page.waitForSelector('#onnxruntime-offer', { state: 'hidden', timeout: 60_000 });
    expect(new Set(onnxruntimeFiles())).toEqual(
      new Set(['/assets/onnxruntime-worker.js', '/assets/ort-wasm-simd-threaded.wasm']),
    );
    expect(await page.isHidden('#onnxruntime-error')).toBe(true);
  });

  test('runs the same float network on the same pictures, beside ours', async () => {
    await page.waitForFunction(() => document.querySelectorAll('.result').length === 40);
    await classified();
    const cells = (row: string) => page.locator(`#totals-body #${row} > *`).allInnerTexts();
    const [float, theirs] = [await cells('float-row'), await cells('onnxruntime-row')];
    expect(theirs[0]).toMatch(/^onnxruntime-web 1\.\d+\.\d+$/);
    // The same network: the same bytes, and the same answers as in our evaluator.
    expect(theirs.slice(1, 4)).toEqual(float.slice(1, 4));
    expect(theirs[4]).toMatch(/ ms$/);
    expect(await page.innerText('#agreement')).toMatch(/onnxruntime-web takes \d+\.\d times as long/);
    expect(await page.locator('#latency .u-series').allInnerTexts()).toEqual(['float', 'ternary', theirs[0]]);
    expect(await page.locator('.result').first().locator('.answer').count()).toBe(3);
  });

  test('goes on with images of the visitor', async () => {
    await page.setInputFiles('#image-files', pictures);
    await page.waitForFunction(() => document.querySelectorAll('.result').length === 2);
    await classified();
    expect(await page.innerText('#onnxruntime-row')).toContain('2 of 2');
  });

  test('works without a network once it has been fetched', async () => {
    await context.setOffline(true);
    await page.reload();
    await quantized();
    await classified();
    await page.click('#onnxruntime');
    await page.waitForSelector('#totals-body #onnxruntime-row', { timeout: 60_000 });
    expect(await page.isHidden('#onnxruntime-error')).toBe(true);
  });

  test('says so where it can not be fetched', async () => {
    await open(quick);
    await page.waitForSelector('#offline:not([hidden])', { timeout: 60_000 });
    await context.setOffline(true);
    await page.reload();
    await quantized();
    await classified();
    await page.click('#onnxruntime');
    await page.waitForSelector('#onnxruntime-error:not([hidden])', { timeout: 60_000 });
    expect(await page.innerText('#onnxruntime-error')).toContain('needs a network the first time');
    expect(await page.isEnabled('#onnxruntime')).toBe(true);
  });
});

describe('a .trefoil', () => {
  const golden = join(root, 'tests/golden/signs-n4-a8.trefoil');
  beforeAll(async () => void (await open()), 60_000);

  test('is opened as it is, without calibration images', async () => {
    await page.setInputFiles('#model-file', golden);
    expect(await page.isHidden('#calibration-files')).toBe(true);
    expect(await page.isHidden('#group-size')).toBe(true);
    expect(await page.innerText('#quantize-card')).toMatch(/^Open\s+Open$/);
    await page.click('#quantize');
    await page.waitForSelector('#images-card:not([hidden])');
    expect(await page.innerText('#phase')).toContain('20 classes, 64 × 64 pixels');
    expect(await page.isHidden('#report-card')).toBe(true);
    await page.setInputFiles('#image-files', pictures);
    await classified();
    expect(await page.locator('#totals-body tr').count()).toBe(1);
    expect(await page.innerText('#agreement')).toBe('2 images classified.');
    expect(await violations()).toEqual([]);
    await page.screenshot({ path: join(screenshots, 'trefoil.png'), fullPage: true });
  });

  test('has no float network to compare with, which the comparison says', async () => {
    server.requests.length = 0;
    await page.click('#onnxruntime');
    await page.waitForSelector('#onnxruntime-error:not([hidden])');
    expect(await page.innerText('#onnxruntime-error')).toContain('Choose the .onnx');
    expect(onnxruntimeFiles()).toEqual([]);
  });

  test('is opened from an address; one that is damaged is refused with its code', async () => {
    await page.check('input[name=source][value=bundled]');
    await page.check('input[name=source][value=file]');
    await page.fill('#model-url', `${server.origin}/golden/signs-n64-a4.trefoil?v=1`);
    expect(await page.innerText('#quantize')).toBe('Open');
    await page.click('#quantize');
    await page.waitForSelector('#images-card:not([hidden])');
    await page.setInputFiles('#model-file', {
      name: 'broken.trefoil',
      mimeType: 'application/octet-stream',
      buffer: readFileSync(golden).subarray(0, 5000),
    });
    await page.click('#quantize');
    await page.waitForSelector('#quantize-error:not([hidden])');
    expect(await page.innerText('#quantize-error')).toContain('BAD_MODEL');
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
    expect(await page.innerText('#share-note')).toContain('Copied');
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(`${server.origin}/?n=16`);
  });
});

describe("a visitor's own network", () => {
  const calibration = Array.from({ length: 8 }, (_, i) => join(root, `models/signs/calibration/0${i}.png`));
  beforeAll(async () => {
    await open();
    await page.check('input[name=source][value=file]');
    await page.selectOption('#normalization', 'signed');
    await page.fill('#resize', '64');
  }, 60_000);

  test('has a form that can be read by everyone', async () => {
    expect(await violations()).toEqual([]);
    await page.screenshot({ path: join(screenshots, 'own-network.png'), fullPage: true });
  });

  test('needs a file and pictures, and says so', async () => {
    await page.click('#quantize');
    expect(await page.innerText('#quantize-error')).toContain('.onnx');
    await page.setInputFiles('#model-file', join(root, 'models/signs/signs.onnx'));
    await page.click('#quantize');
    expect(await page.innerText('#quantize-error')).toContain('calibration images');
  });

  test('is quantized from a file, with labels', async () => {
    await page.setInputFiles('#calibration-files', calibration);
    await page.setInputFiles('#labels-file', join(root, 'models/signs/labels.txt'));
    await quantized();
    expect(await page.getAttribute('#download', 'download')).toBe('signs.trefoil');
    await page.setInputFiles('#image-files', pictures);
    await classified();
    expect(await page.innerText('#results')).toMatch(/[a-z]+-[a-z]+/);
  });

  test('is shown letterboxed pictures and blue first, where it was trained so', async () => {
    await page.selectOption('#method', 'fgq');
    expect(await page.isEnabled('#resize')).toBe(true);
    await page.selectOption('#fit', 'letterbox');
    expect(await page.isEnabled('#resize')).toBe(false);
    await page.selectOption('#channel-order', 'bgr');
    await quantized();
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#download')]);
    const { loadModel } = await import('trefoil');
    const model = await loadModel((await download.path())!);
    expect(model.info.preprocess).toMatchObject({
      resize: 0,
      letterbox: [114, 114, 114],
      channelOrder: 'bgr',
    });
    model.dispose();
  });

  test('is dropped, anywhere on the page', async () => {
    const path = join(root, 'models/signs/signs.onnx');
    for (const target of ['#model-drop', 'footer']) {
      await page.check('input[name=source][value=bundled]');
      expect(await page.isHidden('#own-options')).toBe(true);
      await give('drop', target, [{ path, name: `${target.slice(1)}.onnx` }]);
      expect(await page.innerText('#own-name')).toBe(`${target.slice(1)}.onnx`);
      expect(await page.isVisible('#own-options')).toBe(true);
    }
  });

  test('is quantized from an address; one that is missing is named', async () => {
    await page.fill('#model-url', `${server.origin}/models/signs/none.onnx`);
    await page.click('#quantize');
    await page.waitForSelector('#quantize-error:not([hidden])');
    expect(await page.innerText('#quantize-error')).toContain('404');
    expect(problems.splice(0).join()).toContain('404');
    await page.fill('#model-url', `${server.origin}/models/signs/signs.onnx`);
    await quantized();
  });

  test('that is none is refused with its code', async () => {
    await page.setInputFiles('#model-file', join(root, 'README.md'));
    await page.click('#quantize');
    await page.waitForSelector('#quantize-error:not([hidden])');
    expect(await page.innerText('#quantize-error')).toContain('BAD_ONNX');
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

test('works where the server states the policy, for its workers as well, and isolates the page', async () => {
  const [, policy] = /`(default-src [^`]+)`/.exec(readFileSync(join(root, 'docs/page.md'), 'utf8'))!;
  const strict = await serve(
    { '/': `${dist}/` },
    {
      'content-security-policy': policy!,
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
    },
  );
  try {
    await open();
    await page.goto(`${strict.origin}/${quick}`);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    await quantized();
    await classified();
    await page.click('#onnxruntime');
    await page.waitForSelector('#totals-body #onnxruntime-row', { timeout: 60_000 });
    expect(await page.innerText('#onnxruntime-row')).toMatch(/ ms$/);
    expect(problems).toEqual([]);
  } finally {
    await strict.close();
  }
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

describe.each([
  [1280, 'light'],
  [1280, 'dark'],
  [768, 'light'],
  [768, 'dark'],
  [390, 'light'],
  [390, 'dark'],
] as const)('at a width of %i, %s', (width, colorScheme) => {
  beforeEach(async () => void (await open(quick, { viewport: { width, height: 850 }, colorScheme })));

  test('fits, can be read by everyone, and is photographed', async () => {
    await quantized();
    await classified();
    await page.click('#onnxruntime');
    await page.waitForSelector('#totals-body #onnxruntime-row', { timeout: 60_000 });
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    expect(await violations()).toEqual([]);
    await page.screenshot({ path: join(screenshots, `page-${width}-${colorScheme}.png`), fullPage: true });
  });
});

test('the policy is strict, and the page logged no error', async () => {
  const policy = await page.getAttribute('meta[http-equiv=Content-Security-Policy]', 'content');
  expect(policy).toContain("script-src 'self' 'wasm-unsafe-eval'");
  expect(policy).toContain("style-src 'self';");
  expect(policy).not.toContain('unsafe-inline');
  expect(problems).toEqual([]);
});
