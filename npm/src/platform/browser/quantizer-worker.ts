import type { StartedWorker } from '../../link.js';
import { startedWorker } from './worker.js';

export const quantizeInWorker = true;
export const evaluateInWorker = true;

export function startQuantizerWorker(): StartedWorker {
  return startedWorker(new Worker(new URL('./quantize-worker.js', import.meta.url), { type: 'module' }));
}
