// Which build of the runtime module a model gets: the plain one, or the one whose memory threads share.
import { cores, sharesMemory, threadsByDefault } from '#platform/threads.js';
import { threads as engineHasThreads } from 'wasm-feature-detect';

import { TrefoilError } from './errors.js';
import { badOption } from './options.js';
import type { WasmSource } from './types.js';
import { compileWasm } from './wasm.js';

/** As in src/runtime/thread_pool.h. */
const mostThreads = 16;
/** More than this gain little: small layers can't be divided further, and phones have few fast cores. */
const mostByItself = 4;

export interface RuntimeBuild {
  wasm: WebAssembly.Module;
  /** 1: the plain build. */
  threads: number;
}

/** How many threads the caller asks for, for each worker. Errors: BAD_OPTION. */
export function checkThreads(value: unknown, workers: number | undefined): number | 'auto' {
  if (value === undefined) return workers === undefined || workers === 1 ? threadsByDefault : 1;
  if (value === 'auto') return value;
  if (!Number.isInteger(value) || (value as number) < 1 || (value as number) > mostThreads) {
    throw badOption(
      'threads',
      `threads must be 'auto' or a whole number from 1 to ${mostThreads}, not ${String(value)}`,
    );
  }
  return value as number;
}

/** How many there can be: one, without a word, where memory can't be shared. */
export async function possibleThreads(wanted: number | 'auto'): Promise<number> {
  const count = wanted === 'auto' ? Math.min(cores(), mostByItself) : wanted;
  return count > 1 && sharesMemory() && (await engineHasThreads()) ? count : 1;
}

/** The build for threads takes its memory from outside. */
export const importsMemory = (wasm: WebAssembly.Module): boolean =>
  WebAssembly.Module.imports(wasm).some(({ kind }) => kind === 'memory');

/** Errors: those of compileWasm. */
export async function compileRuntime(source: WasmSource | undefined, threads: number): Promise<RuntimeBuild> {
  if (source === undefined) {
    const usual =
      threads > 1
        ? new URL('./trefoil-runtime-threads.wasm', import.meta.url)
        : new URL('./trefoil-runtime.wasm', import.meta.url);
    return { wasm: await compileWasm(undefined, usual), threads };
  }
  // Whoever brings a build has chosen.
  const wasm = await compileWasm(source, new URL('./trefoil-runtime.wasm', import.meta.url));
  if (!importsMemory(wasm)) return { wasm, threads: 1 };
  if (threads === 1) {
    throw new TrefoilError(
      'NOT_AVAILABLE',
      'the option wasm names the build for threads, which are not available here or not asked for; ' +
        'use trefoil-runtime.wasm',
    );
  }
  return { wasm, threads };
}

/** Whether the plain build may succeed where the one for threads failed; threads are never worth an error. */
export function isThreadTrouble(error: unknown): boolean {
  const codes = ['NOT_WASM', 'NOT_AVAILABLE', 'NETWORK', 'FILE_NOT_FOUND', 'OUT_OF_MEMORY', 'INTERNAL'];
  return error instanceof TrefoilError && codes.includes(error.code);
}
