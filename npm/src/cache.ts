// Models kept between visits: in the Cache API, in a cache that the caller gives, or else in memory.
import { badOption } from './errors.js';
import type { CachedModel, ModelCache } from './types.js';

const cacheName = 'trefoil';
/** Of models that no cache takes; the oldest go first. */
const memoryLimit = 256 << 20;

interface Kept {
  bytes: Uint8Array<ArrayBuffer>;
  stored: Date;
}

const memory = new Map<string, Kept>();

function keepInMemory(url: string, bytes: Uint8Array<ArrayBuffer>): void {
  memory.delete(url);
  let total = bytes.length;
  for (const { bytes: other } of memory.values()) total += other.length;
  for (const [oldest, { bytes: other }] of memory) {
    if (total <= memoryLimit) break;
    memory.delete(oldest);
    total -= other.length;
  }
  // A copy: the caller's bytes are the caller's to change.
  if (bytes.length <= memoryLimit) memory.set(url, { bytes: bytes.slice(), stored: new Date() });
}

/** None in Node, on pages that are not served safely, and where the visitor forbids storage. */
async function browserCache(): Promise<Cache | undefined> {
  try {
    return await (globalThis as { caches?: CacheStorage }).caches?.open(cacheName);
  } catch {
    return undefined;
  }
}

function checkCache(given: unknown): ModelCache | undefined {
  if (given === true) return undefined;
  const methods = ['match', 'put', 'delete'] as const;
  const fits =
    typeof given === 'object' &&
    given !== null &&
    methods.every((name) => typeof (given as Record<string, unknown>)[name] === 'function');
  if (!fits) throw badOption('cache', 'cache must be true, false or an object with match, put and delete');
  return given as ModelCache;
}

/** Where models are kept. Nothing that goes wrong here ends a task: without a cache it only takes longer. */
export class ModelStore {
  readonly #given: ModelCache | undefined;

  /** Errors: BAD_OPTION. */
  constructor(option: unknown) {
    this.#given = checkCache(option);
  }

  async get(url: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const kept = memory.get(url);
    if (kept && !this.#given) return kept.bytes.slice();
    try {
      const found = await (await this.#cache())?.match(url);
      return found && new Uint8Array(await found.arrayBuffer());
    } catch {
      return undefined;
    }
  }

  async set(url: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const cache = await this.#cache();
    try {
      if (!cache) throw new Error('no cache');
      const headers = {
        'content-type': 'application/octet-stream',
        'content-length': String(bytes.length),
        'x-trefoil-stored': new Date().toISOString(),
      };
      await cache.put(url, new Response(bytes, { headers }));
    } catch {
      // The quota is full, or there is no cache: for as long as the page lives, memory serves.
      if (!this.#given) keepInMemory(url, bytes);
    }
  }

  async drop(url: string): Promise<boolean> {
    const inMemory = !this.#given && memory.delete(url);
    try {
      return ((await (await this.#cache())?.delete(url)) ?? false) || inMemory;
    } catch {
      return inMemory;
    }
  }

  async #cache(): Promise<ModelCache | undefined> {
    return this.#given ?? (await browserCache());
  }
}

export async function listModels(): Promise<CachedModel[]> {
  const models = [...memory].map(([url, { bytes, stored }]): CachedModel => ({
    url,
    bytes: bytes.length,
    stored,
    persistent: false,
  }));
  const cache = await browserCache();
  for (const request of (await cache?.keys()) ?? []) {
    const headers = (await cache?.match(request))?.headers;
    models.push({
      url: request.url,
      bytes: Number(headers?.get('content-length')),
      stored: new Date(headers?.get('x-trefoil-stored') ?? NaN),
      persistent: true,
    });
  }
  return models;
}

export async function clearModels(): Promise<void> {
  memory.clear();
  await (globalThis as { caches?: CacheStorage }).caches?.delete(cacheName).catch(() => false);
}
