import type { StartedThread } from '../../threads.js';

export const cores = (): number => navigator.hardwareConcurrency || 1;

/** A window must not sleep. */
export const mayBlock = typeof document === 'undefined';

export function startThread(): StartedThread {
  const worker = new Worker(new URL('./thread.js', import.meta.url), { type: 'module' });
  return {
    begin: (start) => worker.postMessage(start),
    ready: new Promise((resolve) => {
      worker.addEventListener('message', () => resolve(true), { once: true });
      for (const failure of ['error', 'messageerror']) {
        worker.addEventListener(failure, (event) => {
          event.preventDefault();
          resolve(false);
        });
      }
    }),
    terminate: () => worker.terminate(),
  };
}
