import type { StartedWorker } from '../../link.js';
import { startNodeWorker } from './worker.js';

/** Quantizing takes seconds to minutes, during which a process on one thread would answer nothing. */
export const quantizeInWorker = true;
/** One evaluation takes milliseconds. */
export const evaluateInWorker = false;

export function startQuantizerWorker(): StartedWorker {
  return startNodeWorker(new URL('./node-quantize-worker.js', import.meta.url));
}
