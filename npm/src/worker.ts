// The script of a worker that runs one model.
import { expose } from 'comlink';
import { endpoint } from '#platform/endpoint.js';

import { createHost } from './plain-runtime.js';

expose(createHost(), endpoint);
