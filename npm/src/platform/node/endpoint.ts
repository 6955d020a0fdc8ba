import { parentPort } from 'node:worker_threads';

import type { Endpoint } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';

if (!parentPort) throw new Error('this file is the script of a worker');

/** The end of the line inside a worker. */
export const endpoint = nodeEndpoint(parentPort) as Endpoint;
