import type { Endpoint } from 'comlink';

import type { StartedWorker } from '../../link.js';

/** Wraps a worker that the caller has made, where bundlers can see its address. */
export function startedWorker(worker: Worker): StartedWorker {
  return {
    endpoint: worker as Endpoint,
    onFailure(listener) {
      // Browsers say nothing more where the script could not be loaded.
      worker.addEventListener('error', (event) => {
        event.preventDefault();
        listener(event.message || 'its script could not be loaded');
      });
      worker.addEventListener('messageerror', () => listener('a message could not be read'));
    },
    keepAlive: () => undefined,
    terminate: () => worker.terminate(),
  };
}
