import type { StartedWorker } from '../../link.js';
import { startNodeWorker } from './worker.js';

/** A classification takes milliseconds: less than a server's user notices, and no copy to a thread. */
export const inWorkerByDefault = false;
/** Programs are often over before a second has passed, and nobody expects them to leave files behind. */
export const tuneInWorkerByDefault = false;

/** A server's cores are busy with other requests already. */
export const threadsByDefault = 1;

export const sharesMemory = (): boolean => true;

/** Its script holds the module's build for threads. */
export function startThreadedWorker(): StartedWorker {
  return startNodeWorker(new URL('./node-threads-worker.js', import.meta.url));
}

export function startRuntimeWorker(): StartedWorker {
  return startNodeWorker(new URL('./node-worker.js', import.meta.url));
}
