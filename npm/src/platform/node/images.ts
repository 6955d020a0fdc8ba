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

/** Decodes a picture to sRGB pixels: oriented as EXIF says, laid on white. */
export async function decode(image: ImageInput, signal?: AbortSignal): Promise<Decoded> {
  if (isPixels(image)) return { image: await checkPixels(image), transfer: [] };
  const bytes = await encodedBytes(image, signal);
  sharp ??= loadSharp();
  sharp.catch(() => (sharp = undefined));
  const decoder = await sharp;
  try {
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
