// What is remembered of kernels that were timed: by engine and machine, and by kind of convolution. A file of its own, which
// a page need not wait for.
import { engineName, usualCache } from '#platform/tuning-cache.js';

import { hashOf } from './hash.js';
import type { TuningCache } from './model-types.js';

declare const TREFOIL_VERSION: string;

/** Far above what any set of models needs; a cache that grew beyond it is begun anew. */
const mostKernels = 5000;
const mostLetters = 300;

/** The kernels of a file that anybody may have changed: what does not read as it should is nothing. */
function parseKernels(text: string): Record<string, string> {
  const parsed: unknown = JSON.parse(text);
  const kernels: unknown = (parsed as { kernels?: unknown } | null)?.kernels;
  if (typeof kernels !== 'object' || kernels === null || Array.isArray(kernels)) return {};
  const entries = Object.entries(kernels as Record<string, unknown>);
  const good = (text: unknown) => typeof text === 'string' && text.length <= mostLetters;
  if (entries.length > mostKernels || !entries.every((pair) => pair.every(good))) return {};
  return Object.fromEntries(entries) as Record<string, string>;
}

/** Nothing that goes wrong here ends a task: without a memory of kernels the usual ones serve. */
export class TuningStore {
  readonly #given: TuningCache | undefined;

  constructor(given: TuningCache | undefined) {
    this.#given = given;
  }

  /** Of every kind of convolution that was timed in this engine, as the module takes them. */
  async pairs(): Promise<string[]> {
    return Object.entries(await this.#get()).flat();
  }

  /** What the module found, a kind of convolution and its kernel in turn; the same by kind. */
  async add(pairs: readonly string[]): Promise<Record<string, string>> {
    const kernels = Object.fromEntries(
      Array.from({ length: pairs.length >> 1 }, (_, i) => [pairs[2 * i]!, pairs[2 * i + 1]!]),
    );
    if (pairs.length > 0) await this.#put(kernels);
    return kernels;
  }

  async #get(): Promise<Record<string, string>> {
    try {
      const found = await (await this.#cache())?.match(await address());
      return found ? parseKernels(await found.text()) : {};
    } catch {
      return {};
    }
  }

  async #put(kernels: Record<string, string>): Promise<void> {
    try {
      const all = { ...(await this.#get()), ...kernels };
      const text = JSON.stringify({ engine: engineName(), kernels: all });
      await (
        await this.#cache()
      )?.put(await address(), new Response(text, { headers: { 'content-type': 'application/json' } }));
    } catch {
      // The quota is full, or the folder can't be written: then they are timed again the next time.
    }
  }

  async #cache(): Promise<TuningCache | undefined> {
    return this.#given ?? (await usualCache());
  }
}

/** Another version of this package has other kernels. The Cache API takes addresses of the web only. */
async function address(): Promise<string> {
  const parts = new TextEncoder().encode(`${TREFOIL_VERSION} ${engineName()}`);
  return `https://trefoil.invalid/tuning/${(await hashOf(parts)).replace('sha256:', '')}.json`;
}
