// The script of a worker that quantizes, or evaluates a float network.
import { expose } from 'comlink';
import { endpoint } from '#platform/endpoint.js';

import { QuantizerHost } from './quantizer-host.js';

expose(new QuantizerHost(), endpoint);
