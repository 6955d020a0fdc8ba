// The script of a worker that runs one model with threads of its own.
import { expose } from 'comlink';
import { endpoint } from '#platform/endpoint.js';

import { createHost } from './threaded-runtime.js';

expose(createHost(), endpoint);
