// Options are checked strictly: an unknown key is a spelling mistake that would otherwise change a result in silence.
import leven from 'leven';

import { TrefoilError } from './errors.js';
import type { Preprocess, PreprocessOptions, Shape } from './types.js';

function nearest(name: string, known: readonly string[]): string | undefined {
  const distance = (other: string) => leven(name.toLowerCase(), other.toLowerCase());
  const best = [...known].sort((a, b) => distance(a) - distance(b))[0];
  return best !== undefined && distance(best) <= Math.max(2, name.length / 3) ? best : undefined;
}

export function badOption(
  option: string,
  message: string,
  details: Record<string, unknown> = {},
): TrefoilError {
  return new TrefoilError('BAD_OPTION', message, { option, ...details });
}

/** `where` begins a message: "loadModel", "quantize: preprocess". */
export function checkKeys(options: unknown, known: readonly string[], where: string): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw badOption(where, `${where}: options must be an object`);
  }
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    const suggestion = nearest(key, known);
    const hint = suggestion ? `did you mean '${suggestion}'?` : `the options are ${known.join(', ')}`;
    throw badOption(key, `${where}: unknown option '${key}'; ${hint}`, suggestion ? { suggestion } : {});
  }
}

export function checkInteger(value: unknown, name: string, low: number, high: number): number {
  if (!Number.isInteger(value) || (value as number) < low || (value as number) > high) {
    throw badOption(name, `${name} must be a whole number from ${low} to ${high}, not ${String(value)}`);
  }
  return value as number;
}

export function checkChoice<T extends string>(value: unknown, name: string, choices: readonly T[]): T {
  if (choices.includes(value as T)) return value as T;
  const suggestion = typeof value === 'string' ? nearest(value, choices) : undefined;
  const hint = suggestion ? `did you mean '${suggestion}'?` : `use ${choices.join(', ')}`;
  throw badOption(name, `${name} '${String(value)}' is unknown; ${hint}`, suggestion ? { suggestion } : {});
}

export function checkBoolean(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean')
    throw badOption(name, `${name} must be true or false, not ${String(value)}`);
  return value;
}

export function checkCallback<T>(value: T | undefined, name: string): T | undefined {
  if (value !== undefined && typeof value !== 'function') throw badOption(name, `${name} must be a function`);
  return value;
}

export function checkSignal(value: unknown): AbortSignal | undefined {
  if (value === undefined) return undefined;
  if (
    typeof value !== 'object' ||
    value === null ||
    !('aborted' in value) ||
    !('addEventListener' in value)
  ) {
    throw badOption('signal', 'signal must be an AbortSignal');
  }
  return value as AbortSignal;
}

export function checkTopK(value: unknown): number {
  return value === undefined ? 5 : checkInteger(value, 'topK', 1, 1 << 20);
}

export function checkLabels(value: unknown): string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.some((label) => typeof label !== 'string')) {
    throw badOption('labels', 'labels must be an array of strings, one a class');
  }
  return [...(value as string[])];
}

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
