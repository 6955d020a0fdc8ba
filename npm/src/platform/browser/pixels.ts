import { TrefoilError } from '../../errors.js';
import type { HostImage, RawImage } from '../../pixels.js';

let canvas: OffscreenCanvas | undefined;

/** The pixels of a picture, laid on white. A bitmap is used up. */
export function pixelsOf(image: HostImage): RawImage {
  if ('data' in image) return image;
  const { width, height } = image;
  canvas ??= new OffscreenCanvas(width, height);
  // Setting a size also clears; where it stays the same, the white below covers what was there.
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  // Read often: the canvas stays in the processor's memory, and no graphics driver has a say in the bytes.
  const context = canvas.getContext('2d', { willReadFrequently: true, colorSpace: 'srgb' });
  if (!context)
    throw new TrefoilError('NOT_AVAILABLE', 'this browser gives no 2D canvas to read pixels with');
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.drawImage(image, 0, 0);
  image.close();
  const { data } = context.getImageData(0, 0, width, height, { colorSpace: 'srgb' });
  return { data: new Uint8Array(data.buffer), width, height, channels: 4 };
}
