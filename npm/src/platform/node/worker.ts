import { Worker } from 'node:worker_threads';

import type { Endpoint } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';

import { messageOf } from '../../errors.js';
import type { StartedWorker } from '../../link.js';

/** Without flags of the process that are for its own script: with --input-type, for one, no file would start. */
export const workerOptions = { execArgv: [] };

export function startNodeWorker(script: URL): StartedWorker {
  const worker = new Worker(script, workerOptions);
  return {
    endpoint: nodeEndpoint(worker) as Endpoint,
    onFailure(listener) {
      worker.on('error', (error) => listener(messageOf(error)));
      worker.on('exit', (code) => listener(`it ended with code ${code}`));
    },
    keepAlive: (busy) => (busy ? worker.ref() : worker.unref()),
    terminate: () => void worker.terminate(),
  };
}
