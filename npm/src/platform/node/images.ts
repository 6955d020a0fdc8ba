import { describe, readBytes } from '../../bytes.js';
import { TrefoilError, messageOf } from '../../errors.js';
import { checkPixels, isPixels, type Decoded } from '../../pixels.js';
import type { ImageInput, ModelSource } from '../../types.js';

type Sharp = (typeof import('sharp'))['default'];

async function loadSharp(): Promise<Sharp> {
  try {
    return (await import('sharp')).default;
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND';
    throw new TrefoilError(
      'MISSING_PEER',
      missing
        ? 'decoding images in Node needs sharp: npm install sharp (or pass raw pixels: { data, width, height })'
        : `sharp does not start: ${messageOf(error)} (npm install sharp puts it right in most cases)`,
      { package: 'sharp' },
      error,
    );
  }
}

let sharp: Promise<Sharp> | undefined;

/** For threads that decode side by side: each picture on one core, and nothing kept of it. */
export async function limitSharp(): Promise<void> {
  sharp ??= loadSharp();
  const decoder = await sharp.catch(() => undefined);
  decoder?.concurrency(1);
  decoder?.cache(false);
}

async function encodedBytes(image: ImageInput, signal: AbortSignal | undefined): Promise<Uint8Array> {
  if (typeof image === 'object' && (image === null || Object.getPrototypeOf(image) === Object.prototype)) {
    throw (await import('../../image-problems.js')).unknownImage(describe(image));
  }
  return readBytes(image as ModelSource, 'the image', { signal });
}

/** Whether a JPEG has four components: those of a printer (C, M, Y, K). */
function isFourColourJpeg(bytes: Uint8Array): boolean {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return false;
  for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff;) {
    const marker = bytes[at + 1]!;
    // Frame headers, but for tables of the same range of numbers.
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) return bytes[at + 9] === 4;
    at += marker === 0xff ? 1 : 2 + (bytes[at + 2]! << 8) + bytes[at + 3]!;
  }
  return false;
}

/**
 * Inks as browsers and Pillow show them where no colour profile says otherwise: each channel is the product of what its ink
 * and black let through. Undefined for other pictures.
 */
async function decodeInks(decoder: Sharp, bytes: Uint8Array): Promise<Decoded | undefined> {
  if (!isFourColourJpeg(bytes)) return undefined;
  const picture = decoder(bytes, { failOn: 'error' });
  if ((await picture.metadata()).hasProfile) return undefined;
  const { data, info } = await picture
    .rotate()
    .pipelineColourspace('cmyk')
    .toColourspace('cmyk')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  const { width, height } = info;
  const rgb = new Uint8Array(3 * width * height);
  for (let i = 0; i < width * height; ++i) {
    for (let c = 0; c < 3; ++c) {
      rgb[3 * i + c] = Math.round(((255 - data[4 * i + c]!) * (255 - data[4 * i + 3]!)) / 255);
    }
  }
  return { image: await checkPixels({ data: rgb, width, height, channels: 3 }), transfer: [] };
}

/** Decodes a picture to sRGB pixels: oriented as EXIF says, laid on white. */
export async function decode(image: ImageInput, signal?: AbortSignal): Promise<Decoded> {
  if (isPixels(image)) return { image: await checkPixels(image), transfer: [] };
  const bytes = await encodedBytes(image, signal);
  sharp ??= loadSharp();
  sharp.catch(() => (sharp = undefined));
  const decoder = await sharp;
  try {
    const inks = await decodeInks(decoder, bytes);
    if (inks) return inks;
    // Browsers, too, show what a slightly damaged file holds; what can't be read at all is an error.
    const { data, info } = await decoder(bytes, { failOn: 'error' })
      .rotate()
      .toColourspace('srgb')
      .flatten({ background: '#fff' })
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    signal?.throwIfAborted();
    const { width, height, channels } = info;
    return { image: await checkPixels({ data, width, height, channels: channels as 3 }), transfer: [] };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof TrefoilError) throw error;
    const name = typeof image === 'string' || image instanceof URL ? `${String(image)}: ` : '';
    throw new TrefoilError(
      'BAD_IMAGE',
      `${name}sharp can't decode this image (${messageOf(error)})`,
      {},
      error,
    );
  }
}
