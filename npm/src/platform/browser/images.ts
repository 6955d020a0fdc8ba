import { abortable } from '../../abort.js';
import { describe, readBytes } from '../../bytes.js';
import { TrefoilError, messageOf } from '../../errors.js';
import { checkPixels, isPixels, type Decoded } from '../../pixels.js';
import type { ByteStream, ImageInput } from '../../types.js';

type Drawable =
  | ImageBitmap
  | HTMLImageElement
  | HTMLCanvasElement
  | HTMLVideoElement
  | OffscreenCanvas
  | VideoFrame
  | SVGImageElement;

/** Classes that a worker may lack. */
const drawables = [
  'ImageBitmap',
  'HTMLImageElement',
  'HTMLCanvasElement',
  'HTMLVideoElement',
  'OffscreenCanvas',
  'VideoFrame',
  'SVGImageElement',
] as const;

function isDrawable(value: unknown): value is Drawable {
  return drawables.some((name) => {
    const type = (globalThis as Record<string, unknown>)[name];
    return typeof type === 'function' && value instanceof type;
  });
}

async function toBlob(image: ImageInput, signal: AbortSignal | undefined): Promise<Blob> {
  if (image instanceof Blob) return image;
  const source = image as string | URL | Uint8Array | ArrayBuffer | ByteStream;
  const isSource =
    typeof source === 'string' ||
    source instanceof URL ||
    source instanceof Uint8Array ||
    source instanceof ArrayBuffer ||
    source instanceof ReadableStream ||
    (typeof source === 'object' && source !== null && Symbol.asyncIterator in source);
  if (!isSource) throw (await import('../../image-problems.js')).unknownImage(describe(image));
  const bytes = await readBytes(source, 'the image', { signal });
  return new Blob([bytes]);
}

/** Decodes a picture as far as the browser needs the page for it. */
export async function decode(image: ImageInput, signal?: AbortSignal): Promise<Decoded> {
  if (isPixels(image) && !isDrawable(image)) return { image: await checkPixels(image), transfer: [] };
  const source = isDrawable(image) ? image : await toBlob(image, signal);
  try {
    // A bitmap that was given is copied as well: what goes to a worker is gone from here.
    const bitmap = await abortable(createImageBitmap(source as ImageBitmapSource), signal);
    return { image: bitmap, transfer: [bitmap] };
  } catch (error) {
    signal?.throwIfAborted();
    const name = typeof image === 'string' || image instanceof URL ? `${String(image)}: ` : '';
    const hint = messageOf(error);
    throw new TrefoilError('BAD_IMAGE', `${name}the browser can't decode this image (${hint})`, {}, error);
  }
}
