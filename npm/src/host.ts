// What the two hosts share: a host owns an instance of a module, in a worker or on the caller's own thread.
import { pixelsOf } from '#platform/pixels.js';

import { TrefoilError, messageOf, type Reply } from './errors.js';
import type { HostImage, RawImage } from './pixels.js';

/** Runs `work`, and turns what it throws into a reply. */
export async function replying<T>(work: () => Promise<Reply<T>> | Reply<T>): Promise<Reply<T>> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof TrefoilError) {
      return { error: { code: error.code, message: error.message, details: error.details } };
    }
    return { error: { code: 'INTERNAL', message: messageOf(error) } };
  }
}

export function toPixels(image: HostImage): RawImage {
  try {
    return pixelsOf(image);
  } catch (error) {
    if (error instanceof TrefoilError) throw error;
    throw new TrefoilError('BAD_IMAGE', `the pixels of this image can't be read (${messageOf(error)})`);
  }
}
