// The entry `trefoil`: loading and running ternary models.
declare const TREFOIL_VERSION: string;

/** This package's version. */
export const version: string = TREFOIL_VERSION;

export { modelCache } from './model-cache.js';
export { loadModel } from './model.js';
export { TrefoilError, type ErrorCode, type ErrorDetails } from './errors.js';
export type * from './model-types.js';
export type * from './types.js';
