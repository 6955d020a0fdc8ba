// How a picture travels to the module that looks at it.
import type { Pixels } from './types.js';

/** Pixels whose sizes have been checked. */
export interface RawImage {
  data: Uint8Array;
  width: number;
  height: number;
  channels: number;
}

/** In browsers also a bitmap, which the host (perhaps in a worker) draws to get at its pixels. */
export type HostImage = RawImage | ImageBitmap;

/** A picture, and what of it may be handed over to a worker instead of being copied. */
export interface Decoded {
  image: HostImage;
  transfer: Transferable[];
}

export function isPixels(value: unknown): value is Pixels {
  return (
    typeof value === 'object' && value !== null && 'data' in value && 'width' in value && 'height' in value
  );
}

/** Errors: BAD_IMAGE. */
export async function checkPixels(pixels: Pixels): Promise<RawImage> {
  const { data, width, height } = pixels;
  const bytes = data instanceof Uint8Array || data instanceof Uint8ClampedArray;
  if (bytes && Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0) {
    const channels = pixels.channels ?? data.length / (width * height);
    if ([1, 3, 4].includes(channels) && data.length === width * height * channels) {
      return { data: new Uint8Array(data.buffer, data.byteOffset, data.length), width, height, channels };
    }
  }
  throw (await import('./image-problems.js')).badPixels(pixels);
}
