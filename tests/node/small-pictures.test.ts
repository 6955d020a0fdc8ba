// The decoder inside a batch's threads: what it takes it decodes to sharp's pixels, and the rest it leaves to sharp.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import sharp, { type Sharp } from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';

import { SmallPictures, mostPixels } from '../../npm/src/cli/batch/small-pictures.js';
import { picturesOf, root } from './signs.js';

let decoder: SmallPictures;

/** A picture with noise, edges and smooth parts. */
function draw(width: number, height: number, channels: 3 | 4 = 3): Sharp {
  const data = new Uint8Array(width * height * channels);
  for (let i = 0; i < data.length; ++i) {
    const [x, y] = [Math.floor(i / channels) % width, Math.floor(i / channels / width)];
    data[i] = (x * y * (1 + (i % channels)) + ((x >> 3) & 1) * 90 + ((i * 2654435761) >>> 29)) & 255;
  }
  return sharp(data, { raw: { width, height, channels } });
}

/** As the package decodes what batches don't. */
async function bySharp(bytes: Uint8Array): Promise<{ data: Buffer; width: number; height: number }> {
  const { data, info } = await sharp(bytes, { failOn: 'error' })
    .rotate()
    .toColourspace('srgb')
    .flatten({ background: '#fff' })
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  expect(info.channels).toBe(3);
  return { data, width: info.width, height: info.height };
}

async function expectSame(bytes: Uint8Array, name = ''): Promise<boolean> {
  const picture = await decoder.decode(bytes);
  if (!picture) return false;
  const { data, width, height } = await bySharp(bytes);
  expect([picture.width, picture.height], name).toEqual([width, height]);
  const channels = picture.channels!;
  const rgb = Buffer.from(picture.data.filter((_, i) => i % channels < 3));
  expect(rgb.equals(data), name).toBe(true);
  return true;
}

beforeAll(async () => {
  const file = createRequire(join(root, 'npm/package.json')).resolve(
    '@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm',
  );
  decoder = new SmallPictures(await WebAssembly.compile(readFileSync(file)));
});

describe('plain pictures', () => {
  const sizes = [
    [1, 1],
    [7, 5],
    [16, 16],
    [33, 64],
    [299, 201],
    [1024, 512],
  ] as const;
  test.each(sizes)('JPEGs of %i x %i pixels', async (width, height) => {
    for (const chromaSubsampling of ['4:2:0', '4:4:4']) {
      for (const quality of [5, 50, 90, 100]) {
        const bytes = await draw(width, height).jpeg({ quality, chromaSubsampling }).toBuffer();
        expect(await expectSame(bytes, `${chromaSubsampling} ${quality}`)).toBe(true);
      }
    }
  });

  test.each(sizes)('PNGs of %i x %i pixels', async (width, height) => {
    for (const adaptiveFiltering of [false, true]) {
      for (const compressionLevel of [0, 9]) {
        const bytes = await draw(width, height).png({ adaptiveFiltering, compressionLevel }).toBuffer();
        expect(await expectSame(bytes)).toBe(true);
      }
    }
  });

  test('road signs, and a file inside a larger buffer', async () => {
    for (const path of picturesOf('stop').slice(0, 3)) {
      expect(await expectSame(readFileSync(path))).toBe(true);
    }
    for (const bytes of [await draw(20, 30).jpeg().toBuffer(), await draw(20, 30).png().toBuffer()]) {
      const larger = new Uint8Array(bytes.length + 200);
      larger.set(bytes, 77);
      expect(await expectSame(larger.subarray(77, 77 + bytes.length))).toBe(true);
    }
  });
});

describe('what sharp is for', () => {
  const orange = { create: { width: 24, height: 16, channels: 4, background: '#f806' } } as const;
  const others: Record<string, () => Promise<Buffer>> = {
    'more pixels': () =>
      draw(1024, mostPixels / 1024 + 1)
        .jpeg()
        .toBuffer(),
    'a PNG with more pixels': () =>
      draw(1024, mostPixels / 1024 + 1)
        .png()
        .toBuffer(),
    'a turned JPEG': () => draw(24, 16).withMetadata({ orientation: 6 }).jpeg().toBuffer(),
    'a colour profile': () => draw(24, 16).withIccProfile('p3').jpeg().toBuffer(),
    'a PNG with a colour profile': () => draw(24, 16).withIccProfile('p3').png().toBuffer(),
    'a progressive JPEG': () => draw(24, 16).jpeg({ progressive: true }).toBuffer(),
    'a gray JPEG': () => draw(24, 16).toColourspace('b-w').jpeg().toBuffer(),
    inks: () => draw(24, 16).toColourspace('cmyk').jpeg().toBuffer(),
    alpha: () => sharp(orange).png().toBuffer(),
    'a palette': () => draw(24, 16).png({ palette: true }).toBuffer(),
    '16 bits': () => draw(24, 16).toColourspace('rgb16').png().toBuffer(),
    interlaced: () => draw(24, 16).png({ progressive: true }).toBuffer(),
    WebP: () => draw(24, 16).webp().toBuffer(),
    nothing: () => Promise.resolve(Buffer.alloc(0)),
    'no picture': () =>
      Promise.resolve(Buffer.from('a text that is longer than any header of a picture needs to be')),
  };
  test.each(Object.entries(others))('%s', async (_, bytes) => {
    expect(await decoder.decode(await bytes())).toBeUndefined();
  });

  test('files that end too early', async () => {
    for (const bytes of [await draw(40, 30).jpeg().toBuffer(), await draw(40, 30).png().toBuffer()]) {
      for (let length = 0; length < bytes.length; length += length < 700 ? 1 : 37) {
        expect(await decoder.decode(bytes.subarray(0, length)), String(length)).toBeUndefined();
      }
    }
  });

  test('a PNG whose data would fill the memory', async () => {
    const bytes = await draw(16, 16).png().toBuffer();
    const bomb = await sharp({ create: { width: 9000, height: 9000, channels: 3, background: '#000' } })
      .png({ compressionLevel: 9 })
      .toBuffer();
    // The header of the small picture before the data of the large one.
    const mixed = Buffer.concat([bytes.subarray(0, 33), bomb.subarray(33)]);
    const before = process.memoryUsage().arrayBuffers;
    expect(await decoder.decode(mixed)).toBeUndefined();
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20e6);
  });
});

describe('damaged files', () => {
  let seed = 4711;
  const random = (below: number) => ((seed = (1103515245 * seed + 12345) % 2 ** 31) >>> 8) % below;
  function damaged(file: Buffer): Buffer {
    const bytes = Buffer.from(file);
    bytes[random(bytes.length)] = random(256);
    return bytes;
  }

  // A changed bit of a JPEG's data is another picture to most decoders. Those complain only where the codes stop making sense, and
  // of sums far out of range vector code makes other colours than plain code does.
  test('JPEGs harm no other', async () => {
    const file = await draw(40, 30).jpeg({ quality: 60 }).toBuffer();
    let taken = 0;
    for (let i = 0; i < 1000; ++i) {
      const picture = await decoder.decode(damaged(file));
      if (picture) ++taken;
      if (picture) expect(picture.data.length).toBe(4 * picture.width * picture.height);
    }
    expect(taken).toBeGreaterThan(100);
    expect(await expectSame(file)).toBe(true);
  });

  test('PNGs are refused, or are what sharp sees', async () => {
    const file = await draw(40, 30).png().toBuffer();
    for (let i = 0; i < 500; ++i) await expectSame(damaged(file));
    expect(await expectSame(file)).toBe(true);
  });
});
