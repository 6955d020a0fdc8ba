import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

import type { StartedThread } from '../../threads.js';
import { workerOptions } from './worker.js';

export const cores = availableParallelism;

export const mayBlock = true;

export function startThread(): StartedThread {
  const worker = new Worker(new URL('./node-thread.js', import.meta.url), workerOptions);
  const ready = new Promise<boolean>((resolve) => {
    worker.once('message', () => resolve(true));
    for (const end of ['error', 'exit']) worker.once(end, () => resolve(false));
  });
  // While it starts, the model that is being loaded keeps the process running; then nothing does but the caller.
  void ready.then(() => worker.unref());
  return {
    begin: (start) => worker.postMessage(start),
    ready,
    terminate: () => void worker.terminate(),
  };
}
