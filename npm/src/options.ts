// Options are checked strictly: an unknown key is a spelling mistake that would otherwise change a result in silence.
import leven from 'leven';

import { badOption } from './errors.js';

export { badOption };

/** For a suggestion: the known name that was probably meant. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const distance = (other: string) => leven(name.toLowerCase(), other.toLowerCase());
  const best = [...known].sort((a, b) => distance(a) - distance(b))[0];
  return best !== undefined && distance(best) <= Math.max(2, name.length / 3) ? best : undefined;
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

/** As in src/runtime/thread_pool.h. */
const mostThreads = 16;

/** Errors: BAD_OPTION. */
export function checkThreads(value: unknown, usual: number | 'auto'): number | 'auto' {
  if (value === undefined) return usual;
  if (
    value === 'auto' ||
    (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= mostThreads)
  ) {
    return value as number | 'auto';
  }
  throw badOption(
    'threads',
    `threads must be 'auto' or a whole number from 1 to ${mostThreads}, not ${String(value)}`,
  );
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
