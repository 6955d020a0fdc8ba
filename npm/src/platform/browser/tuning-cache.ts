import type { TuningCache } from '../../model-types.js';

/** What tells engines and machines apart, as far as a page may know. */
export function engineName(): string {
  const { userAgent, hardwareConcurrency } = globalThis.navigator;
  return `${userAgent} ${hardwareConcurrency}`;
}

/** None on pages that are not served safely, and where the visitor forbids storage. */
export async function usualCache(): Promise<TuningCache | undefined> {
  return (globalThis as { caches?: CacheStorage }).caches?.open('trefoil-tuning');
}
