// The option `tune` of loadModel().
import type { TuneOptions, TuningCache } from './model-types.js';
import { badOption, checkInteger, checkKeys } from './options.js';

/** After a model's first answer; by then the page has drawn it. */
export const tuneAfterMilliseconds = 1000;

const defaultBudget = 200;
export interface TuneChoice {
  budget: number;
  cache: TuningCache | undefined;
}

/** Errors: BAD_OPTION. */
export function checkTune(options: TuneOptions, where: string): TuneChoice {
  checkKeys(options, ['budget', 'cache', 'signal'], where);
  const { budget = defaultBudget, cache } = options;
  const fits = (['match', 'put'] as const).every((name) => typeof cache?.[name] === 'function');
  if (cache !== undefined && !fits) throw badOption('cache', 'cache must be an object with match and put');
  return { budget: checkInteger(budget, 'budget', 1, 1e6), cache };
}
