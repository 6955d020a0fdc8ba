// Picture files as Chromium decodes them and we resize them: to one grey level what Pillow and torchvision make of them. See
// tests/images/make.py.
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { looker } from '../node/onnx-networks.js';
import { planesOf, pillowCases, pillowFolder } from '../node/pillow.js';
import { root } from '../node/signs.js';
import { launchChromium, serve } from './serve.js';

const script = `
import { loadFloatModel } from '/trefoil/quantize.js';
window.planesOf = async ({ file, preprocess }) => {
  const model = await loadFloatModel('/onnx/' + preprocess.crop.join('x'), { preprocess, worker: false });
  try {
    return [...(await model.planes('/fixtures/' + file))];
  } catch (error) {
    return error.code;
  } finally {
    model.dispose();
  }
};
`;

/** Chromium has no decoder for these, and says so. */
const unknown = (file: string) => file.endsWith('.tif');

test('every picture, to one grey level', async () => {
  const networks = pillowCases.map(
    ({ preprocess: { crop } }) => [`/onnx/${crop.join('x')}`, looker(...crop)] as const,
  );
  const server = await serve({
    '/': Buffer.from('<!doctype html><title>t</title><script type="module" src="/page.js"></script>'),
    '/page.js': Buffer.from(script),
    '/trefoil/': join(root, 'npm/dist') + '/',
    '/fixtures/': `${pillowFolder}/`,
    ...Object.fromEntries(networks),
  });
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    await page.goto(`${server.origin}/`);
    await page.waitForFunction(() => 'planesOf' in window);
    const wrong: unknown[] = [];
    for (const one of pillowCases) {
      const planes = await page.evaluate(
        (given) =>
          (window as unknown as { planesOf(given: unknown): Promise<number[] | string> }).planesOf(given),
        one,
      );
      const wanted = await planesOf(join(pillowFolder, one.expected));
      const most =
        typeof planes === 'string'
          ? planes
          : planes.reduce((most, value, i) => Math.max(most, Math.abs(value - wanted[i]!)), 0);
      if (unknown(one.file) ? most !== 'BAD_IMAGE' : !(Number(most) <= 1)) wrong.push([one.expected, most]);
    }
    expect(wrong).toEqual([]);
  } finally {
    await browser.close();
    await server.close();
  }
}, 120_000);
