// Which build of the runtime module a model gets where memory may be shared: loaded only there.
import { cores } from '#platform/threads.js';
import { threads as engineHasThreads } from 'wasm-feature-detect';

import { importsMemory } from './engine.js';
import { TrefoilError } from './errors.js';

export interface RuntimeBuild {
  wasm: WebAssembly.Module;
  /** 1: the plain build. */
  threads: number;
}

/** More than this gain little: small layers can't be divided further, and phones have few fast cores. */
const mostByItself = 4;

/** Compiles the build for threads, or what the caller brought, if there can be several. Errors: those of `compile`. */
export async function compileShared(
  wanted: number | 'auto',
  compile: (usual: URL) => Promise<WebAssembly.Module>,
  plain: () => Promise<RuntimeBuild>,
): Promise<RuntimeBuild> {
  const count = wanted === 'auto' ? Math.min(cores(), mostByItself) : wanted;
  if (count === 1 || !(await engineHasThreads())) return plain();
  const url = new URL('./trefoil-runtime-threads.wasm', import.meta.url);
  const wasm = await compile(url);
  // Whoever brings a build has chosen.
  return { wasm, threads: importsMemory(wasm) ? count : 1 };
}

/** Whether the plain build may succeed where the one for threads failed; threads are never worth an error. */
export function isThreadTrouble(error: unknown): boolean {
  const codes = ['NOT_WASM', 'NOT_AVAILABLE', 'NETWORK', 'FILE_NOT_FOUND', 'OUT_OF_MEMORY', 'INTERNAL'];
  return error instanceof TrefoilError && codes.includes(error.code);
}
