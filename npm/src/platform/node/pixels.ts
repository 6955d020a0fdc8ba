import { TrefoilError } from '../../errors.js';
import type { HostImage, RawImage } from '../../pixels.js';

/** Node has no bitmaps: sharp decodes to pixels. */
export function pixelsOf(image: HostImage): RawImage {
  if ('data' in image) return image;
  throw new TrefoilError('BAD_IMAGE', 'an ImageBitmap has no pixels in Node');
}
