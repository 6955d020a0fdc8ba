// The page with networks of its visitors, and with onnxruntime-web beside ours.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeAll, describe, expect, test } from 'vitest';

import {
  classified,
  context,
  dist,
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
import { serve } from './serve.js';

startBrowser();

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
    await page.waitForSelector('#quantize-error:text(".onnx")');
    await page.setInputFiles('#model-file', join(root, 'models/signs/signs.onnx'));
    await page.click('#quantize');
    await page.waitForSelector('#quantize-error:text("calibration images")');
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

  test('has no float network to compare with, which is said where the comparison would be', async () => {
    expect(await page.isDisabled('#onnxruntime')).toBe(true);
    expect(await page.isVisible('#onnxruntime-note')).toBe(false);
    expect(await page.innerText('#onnxruntime-offer')).toContain('choose the .onnx');
    expect(await page.isHidden('#onnxruntime-error')).toBe(true);
    // Offered again where there is one.
    await page.setInputFiles('#model-file', join(root, 'models/signs/signs.onnx'));
    await page.setInputFiles('#calibration-files', pictures);
    await quantized();
    await page.setInputFiles('#image-files', pictures.slice(1));
    await classified();
    expect(await page.isEnabled('#onnxruntime')).toBe(true);
    expect(await page.isVisible('#onnxruntime-note')).toBe(true);
    expect(await page.isVisible('#onnxruntime-needs')).toBe(false);
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

test('the page logged no error', () => {
  expect(problems).toEqual([]);
});
