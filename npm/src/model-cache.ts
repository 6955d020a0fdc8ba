import type { CachedModel } from './types.js';

/** What the option `cache: true` has kept. Caches that were given instead are their owners' to look after. */
export const modelCache = {
  async list(): Promise<CachedModel[]> {
    return (await import('./cache.js')).listModels();
  },
  /** Tells whether there was such a model. */
  async delete(url: string): Promise<boolean> {
    return new (await import('./cache.js')).ModelStore(true).drop(url);
  },
  async clear(): Promise<void> {
    return (await import('./cache.js')).clearModels();
  },
};
