import type { StartedWorker } from '../../link.js';
import { startedWorker } from './worker.js';

export const inWorkerByDefault = true;
export const tuneInWorkerByDefault = true;

export const threadsByDefault = 'auto';

/** Only pages that isolate themselves (COOP and COEP headers) may share memory between workers. */
export const sharesMemory = (): boolean => globalThis.crossOriginIsolated === true;

/** Its script holds the module's build for threads. */
export function startThreadedWorker(): StartedWorker {
  return startedWorker(new Worker(new URL('./threads-worker.js', import.meta.url), { type: 'module' }));
}

export function startRuntimeWorker(): StartedWorker {
  return startedWorker(new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }));
}
