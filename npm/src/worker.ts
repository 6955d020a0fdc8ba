// The script of a worker that runs one model.
import { expose } from 'comlink';
import { endpoint } from '#platform/endpoint.js';

import { RuntimeHost } from './runtime-host.js';

expose(new RuntimeHost(), endpoint);
