// From the options of quantize() to the recipe that the module takes. Ranges are the module's to check.
import type { LayerRecipe, Recipe } from './engine.js';
import { badOption, checkBoolean, checkInteger, checkKeys, nearest } from './options.js';
import type { LayerOptions, LevelKind, Method, QuantizeOptions } from './quantize-types.js';

const methods = ['fgq', 'fgq-two-sided', 'compensated'] as const;
const levelKinds = ['fitted', 'powers-of-2', 'powers-of-sqrt-2'] as const;
const clips = ['mse', 'max', 'percentile'] as const;
const largestGroup = 1 << 20;

function checkChoice<T extends string>(value: unknown, name: string, choices: readonly T[]): T {
  if (choices.includes(value as T)) return value as T;
  const suggestion = typeof value === 'string' ? nearest(value, choices) : undefined;
  const hint = suggestion ? `did you mean '${suggestion}'?` : `use ${choices.join(', ')}`;
  throw badOption(name, `${name} '${String(value)}' is unknown; ${hint}`, suggestion ? { suggestion } : {});
}

const checkMethod = (value: unknown): Method => checkChoice(value, 'method', methods);

/** The module writes 0 for one scale a filter. */
function checkGroupSize(value: unknown): number {
  if (value === 'filter') return 0;
  if (typeof value === 'string') {
    throw badOption('groupSize', `groupSize '${value}' is unknown; use a number of channels, or 'filter'`);
  }
  return checkInteger(value, 'groupSize', 1, largestGroup);
}

/** The module writes 0 for free scales. */
function checkScaleLevels(value: unknown): number {
  if (value === 'free') return 0;
  if (value === 2 || value === 4 || value === 8) return value;
  throw badOption('scaleLevels', `scaleLevels must be 2, 4, 8 or 'free', not '${String(value)}'`);
}

const checkLevelKind = (value: unknown): LevelKind => checkChoice(value, 'levelKind', levelKinds);
const checkPlanes = (value: unknown): number => checkInteger(value, 'planes', 1, 2);

const layerKeys = [
  'weights',
  'method',
  'groupSize',
  'scaleLevels',
  'levelKind',
  'planes',
  'activationBits',
] as const;

function layerRecipe(layer: string, options: LayerOptions): LayerRecipe {
  checkKeys(options, layerKeys, `quantize: layer '${layer}'`);
  return {
    layer,
    ...(options.weights !== undefined && {
      weights: checkChoice(options.weights, 'weights', ['ternary', 'int8'] as const),
    }),
    ...(options.method !== undefined && { method: checkMethod(options.method) }),
    ...(options.groupSize !== undefined && { groupSize: checkGroupSize(options.groupSize) }),
    ...(options.scaleLevels !== undefined && { scaleLevels: checkScaleLevels(options.scaleLevels) }),
    ...(options.levelKind !== undefined && { levelKind: checkLevelKind(options.levelKind) }),
    ...(options.planes !== undefined && { planes: checkPlanes(options.planes) }),
    ...(options.activationBits !== undefined && {
      activationBits: checkInteger(options.activationBits, 'activationBits', 4, 8),
    }),
  };
}

const budgets = ['bytes', 'top1Loss', 'milliseconds'] as const;
const formKeys = ['groupSize', 'scaleLevels', 'levelKind', 'planes', 'method'] as const;

/** Who decides on the form of the layers' weights. */
function aimOf(options: QuantizeOptions): Pick<Recipe, 'aim' | 'target'> {
  const given = formKeys.filter((key) => options[key] !== undefined);
  if (options.recipe === undefined) return { aim: given.length > 0 ? 'uniform' : 'protect', target: 0 };
  if (typeof options.recipe !== 'object' || options.recipe === null) {
    throw badOption('recipe', 'recipe must be { bytes }, { top1Loss } or { milliseconds }');
  }
  checkKeys(options.recipe, budgets, 'quantize: recipe');
  const named = Object.entries(options.recipe).filter(([, value]) => value !== undefined);
  const [first] = named;
  if (!first || named.length > 1) {
    throw badOption('recipe', `recipe takes one of ${budgets.join(', ')}, not ${named.length} of them`);
  }
  const [aim, target] = first as [(typeof budgets)[number], unknown];
  if (typeof target !== 'number' || !(target > 0) || !Number.isFinite(target)) {
    throw badOption('recipe', `recipe.${aim} must be a number above 0, not ${String(target)}`);
  }
  if (given.length > 0) {
    throw badOption(
      given[0]!,
      `recipe chooses each layer's weights itself: leave ${given.join(', ')} out, or say it of single layers`,
    );
  }
  return { aim, target };
}

export function recipeOf(options: QuantizeOptions): Recipe {
  const layers = options.layers ?? {};
  if (typeof layers !== 'object' || Array.isArray(layers)) {
    throw badOption('layers', 'layers must be an object: { layer name: options }');
  }
  const percentile = options.percentile ?? 99.99;
  if (typeof percentile !== 'number' || !(percentile >= 50 && percentile <= 100)) {
    throw badOption('percentile', `percentile must be from 50 to 100, not ${String(percentile)}`);
  }
  const method = checkMethod(options.method ?? 'compensated');
  return {
    ...aimOf(options),
    times: [],
    otherMilliseconds: 0,
    method,
    groupSize: checkGroupSize(options.groupSize ?? 4),
    scaleLevels: checkScaleLevels(options.scaleLevels ?? (method === 'fgq-two-sided' ? 'free' : 4)),
    levelKind: checkLevelKind(options.levelKind ?? 'fitted'),
    planes: checkPlanes(options.planes ?? 1),
    activationBits: checkInteger(options.activationBits ?? 8, 'activationBits', 4, 8),
    residualBits: checkInteger(options.residualBits ?? 8, 'residualBits', 4, 8),
    clip: checkChoice(options.clip ?? 'mse', 'clip', clips),
    percentile,
    affineCorrection: checkBoolean(options.affineCorrection ?? true, 'affineCorrection'),
    layers: Object.entries(layers).map(([name, layer]) => layerRecipe(name, layer)),
  };
}
