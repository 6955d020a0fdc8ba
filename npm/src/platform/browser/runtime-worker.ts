import type { StartedWorker } from '../../link.js';
import { startedWorker } from './worker.js';

export const inWorkerByDefault = true;
export const tuneInWorkerByDefault = true;

export function startRuntimeWorker(): StartedWorker {
  return startedWorker(new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }));
}
