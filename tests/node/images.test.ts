// Pictures in Node: every way to give one, and what sharp makes of it.
import { createReadStream, readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

import sharp, { type Color } from 'sharp';
import { loadModel, type ImageInput, type Model } from 'trefoil';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { errorOf, picturesOf, quantizedSigns } from './signs.js';

const path = picturesOf('priority-road')[0]!;
let model: Model;

beforeAll(async () => {
  model = await loadModel((await quantizedSigns()).model);
}, 120_000);
afterAll(() => model.dispose());

/** The mean of each plane that the network would see. */
async function means(image: ImageInput): Promise<number[]> {
  const planes = await model.planes(image);
  const plane = planes.length / 3;
  return [0, 1, 2].map((channel) => {
    const values = planes.subarray(channel * plane, (channel + 1) * plane);
    return values.reduce((sum, value) => sum + value, 0) / plane;
  });
}

const plain = (background: Color, channels: 3 | 4 = 3) =>
  sharp({ create: { width: 90, height: 70, channels, background } });

describe('ways to give a picture', () => {
  const inputs: Record<string, () => ImageInput | Promise<ImageInput>> = {
    'a file: URL': () => pathToFileURL(path),
    'a Buffer': () => readFileSync(path),
    'an ArrayBuffer': () => new Uint8Array(readFileSync(path)).buffer,
    'a Blob': () => new Blob([readFileSync(path)]),
    'a Node stream': () => createReadStream(path),
    'a web stream': () => new Blob([readFileSync(path)]).stream(),
    'a data: URL': () => `data:image/png;base64,${readFileSync(path).toString('base64')}`,
    'RGB pixels': async () => {
      const { data, info } = await sharp(path).removeAlpha().raw().toBuffer({ resolveWithObject: true });
      return { data, width: info.width, height: info.height, channels: 3 };
    },
    'RGBA pixels without channels': async () => {
      const { data, info } = await sharp(path).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
      return { data: new Uint8ClampedArray(data), width: info.width, height: info.height };
    },
  };
  test.each(Object.entries(inputs))('%s', async (_, input) => {
    expect(await model.planes(await input())).toEqual(await model.planes(path));
  });
});

describe('formats', () => {
  test('JPEG, WebP, TIFF and AVIF are what they show', async () => {
    for (const format of ['jpeg', 'webp', 'tiff', 'avif'] as const) {
      const [red, green, blue] = await means(await plain('#c83214').toFormat(format).toBuffer());
      expect(Math.abs(red! - 0xc8), format).toBeLessThan(4);
      expect(Math.abs(green! - 0x32), format).toBeLessThan(4);
      expect(Math.abs(blue! - 0x14), format).toBeLessThan(4);
    }
  });

  test('gray, 16 bits and CMYK become RGB', async () => {
    expect(await means(await plain('#808080').toColourspace('b-w').png().toBuffer())).toEqual([
      128, 128, 128,
    ]);
    expect(await means(await plain('#808080').toColourspace('rgb16').png().toBuffer())).toEqual([
      128, 128, 128,
    ]);
    const [red] = await means(await plain('#ff0000').toColourspace('cmyk').jpeg().toBuffer());
    expect(red).toBeGreaterThan(200);
  });

  test('transparency is laid on white', async () => {
    expect(await means(await plain({ r: 10, g: 20, b: 30, alpha: 0 }, 4).png().toBuffer())).toEqual([
      255, 255, 255,
    ]);
    expect(await means(await plain({ r: 0, g: 0, b: 0, alpha: 0.5 }, 4).png().toBuffer())).toEqual([
      127, 127, 127,
    ]);
  });

  test('EXIF orientation is applied', async () => {
    // Left half black, right half white; turned by a quarter to the right, as orientation 6 says.
    const half = await sharp({ create: { width: 50, height: 100, channels: 3, background: '#000' } })
      .extend({ right: 50, background: '#fff' })
      .withMetadata({ orientation: 6 })
      .png()
      .toBuffer();
    const planes = await model.planes(half);
    expect(planes[0]).toBe(0);
    expect(planes[63]).toBe(0);
    expect(planes[63 * 64]).toBe(255);
  });
});

describe('what is no picture', () => {
  test.each([
    ['bytes', new Uint8Array(1000)],
    ['a cut PNG', readFileSync(path).subarray(0, 500)],
    ['no bytes', new Uint8Array(0)],
    ['too few pixels', { data: new Uint8Array(10), width: 4, height: 4 }],
    ['too many pixels', { data: new Uint8Array(100), width: 4, height: 4, channels: 3 as const }],
    ['two channels', { data: new Uint8Array(32), width: 4, height: 4, channels: 2 as never }],
    ['no area', { data: new Uint8Array(0), width: 0, height: 4 }],
    ['half a pixel', { data: new Uint8Array(6), width: 0.5, height: 4 }],
    ['numbers of another kind', { data: new Float32Array(48) as never, width: 4, height: 4 }],
  ])('%s: BAD_IMAGE', async (_, image) => {
    expect((await errorOf(model.classify(image))).code).toBe('BAD_IMAGE');
  });

  test('other values and missing files', async () => {
    for (const image of [undefined, null, 5, {}, []]) {
      expect((await errorOf(model.classify(image as never))).code).toBe('BAD_OPTION');
    }
    expect((await errorOf(model.classify('no/such.png'))).code).toBe('FILE_NOT_FOUND');
  });
});
