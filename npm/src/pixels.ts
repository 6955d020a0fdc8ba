// How a picture travels to the module that looks at it.
import { TrefoilError } from './errors.js';
import { badOption } from './options.js';
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

export function checkPixels(pixels: Pixels): RawImage {
  const { data, width, height } = pixels;
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray)) {
    throw new TrefoilError('BAD_IMAGE', 'the data of raw pixels must be a Uint8Array or a Uint8ClampedArray');
  }
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    throw new TrefoilError('BAD_IMAGE', `an image of ${width} x ${height} pixels has no pixels`, {
      width,
      height,
    });
  }
  const channels = pixels.channels ?? data.length / (width * height);
  if (channels !== 1 && channels !== 3 && channels !== 4) {
    const problem = pixels.channels === undefined ? `${data.length} bytes` : `${pixels.channels} channels`;
    throw new TrefoilError('BAD_IMAGE', `${width} x ${height} pixels of 1, 3 or 4 bytes can't be ${problem}`);
  }
  if (data.length !== width * height * channels) {
    throw new TrefoilError(
      'BAD_IMAGE',
      `${width} x ${height} pixels of ${channels} channels need ${width * height * channels} bytes, not ${data.length}`,
    );
  }
  return { data: new Uint8Array(data.buffer, data.byteOffset, data.length), width, height, channels };
}

export function unknownImage(described: string): TrefoilError {
  return badOption('image', `${described} is not an image that Trefoil knows; see ImageInput for what is`);
}
