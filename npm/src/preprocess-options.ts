// Options of preprocessing: a file of its own, which pages that only run a model do not download.
import { badOption, checkInteger, checkKeys } from './options.js';
import type { Preprocess, PreprocessOptions, Shape } from './types.js';

type Triple = [number, number, number];

function checkTriple(value: unknown, name: string, fallback: number, positive: boolean): Triple {
  const list: unknown[] = Array.isArray(value) ? value : [value ?? fallback];
  const [first, second = first, third = first] = list;
  const triple = [first, second, third];
  const good = (x: unknown) => typeof x === 'number' && Number.isFinite(x) && (!positive || x > 0);
  if (![1, 3].includes(list.length) || !triple.every(good)) {
    const what = positive ? 'numbers above 0' : 'numbers';
    throw badOption(
      name,
      `${name} must be one number or three (R, G, B), ${what}, in units where white is 1`,
    );
  }
  return triple as Triple;
}

const maxSide = 1 << 20;

/** Preprocessing before the network's input size is known: the crop is [0, 0] where it was not given. */
export function checkPreprocess(options: PreprocessOptions | undefined, where: string): Preprocess {
  const given = options ?? {};
  checkKeys(given, ['resize', 'crop', 'mean', 'std'], `${where}: preprocess`);
  const crop = given.crop ?? [0, 0];
  const sides = typeof crop === 'number' ? [crop, crop] : crop;
  if (!Array.isArray(sides) || sides.length !== 2) {
    throw badOption('crop', 'crop must be a number of pixels, or [height, width]');
  }
  const [height, width] = sides as [number, number];
  const low = given.crop === undefined ? 0 : 1;
  return {
    resize: given.resize === undefined ? 0 : checkInteger(given.resize, 'resize', 0, maxSide),
    crop: [checkInteger(height, 'crop', low, maxSide), checkInteger(width, 'crop', low, maxSide)],
    mean: checkTriple(given.mean, 'mean', 0, false),
    std: checkTriple(given.std, 'std', 1, true),
  };
}

/** The same once the size is known: a crop that was given must agree with the network. */
export function fitPreprocess(preprocess: Preprocess, input: Shape): Preprocess {
  const [height, width] = preprocess.crop;
  const [, rows, columns] = input;
  if (height !== 0 && (height !== rows || width !== columns)) {
    throw badOption(
      'crop',
      `crop is ${height} x ${width}, but the network's input is ${rows} x ${columns}; leave it out`,
    );
  }
  if (preprocess.resize !== 0 && preprocess.resize < Math.min(rows, columns)) {
    throw badOption(
      'resize',
      `resize ${preprocess.resize} is smaller than the network's input, ${rows} x ${columns}`,
    );
  }
  return { ...preprocess, crop: [rows, columns] };
}
