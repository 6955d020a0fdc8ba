// Why a picture can't be looked at: read only by those who gave such a one.
import { TrefoilError, badOption } from './errors.js';
import type { Pixels } from './types.js';

function pixelProblem({ data, width, height, channels }: Pixels): string {
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray)) {
    return 'the data of raw pixels must be a Uint8Array or a Uint8ClampedArray';
  }
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    return `an image of ${width} x ${height} pixels has no pixels`;
  }
  const found = channels ?? data.length / (width * height);
  if (![1, 3, 4].includes(found)) {
    const problem = channels === undefined ? `${data.length} bytes` : `${channels} channels`;
    return `${width} x ${height} pixels of 1, 3 or 4 bytes can't be ${problem}`;
  }
  return `${width} x ${height} pixels of ${found} channels need ${width * height * found} bytes, not ${data.length}`;
}

export function badPixels(pixels: Pixels): TrefoilError {
  const { width, height } = pixels;
  return new TrefoilError('BAD_IMAGE', pixelProblem(pixels), { width, height });
}

export function unknownImage(described: string): TrefoilError {
  return badOption('image', `${described} is not an image that Trefoil knows; see ImageInput for what is`);
}
