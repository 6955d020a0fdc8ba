// The fixtures of tests/images/make.py.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import sharp from 'sharp';
import type { Preprocess } from 'trefoil';

import { root } from './signs.js';

export interface PillowCase {
  file: string;
  preprocess: Pick<Preprocess, 'resize' | 'crop' | 'letterbox' | 'channelOrder'>;
  /** The picture that the network is to see. */
  expected: string;
}

export const pillowFolder = join(root, 'tests/images/fixtures');
export const pillowCases = JSON.parse(readFileSync(join(pillowFolder, 'cases.json'), 'utf8')) as PillowCase[];

/** The three planes of a plain PNG. */
export async function planesOf(path: string): Promise<Uint8Array> {
  const { data, info } = await sharp(path).raw().toBuffer({ resolveWithObject: true });
  const size = info.width * info.height;
  return Uint8Array.from({ length: 3 * size }, (_, i) => data[(i % size) * 3 + Math.floor(i / size)]!);
}
