import createRuntime from 'trefoil-wasm/trefoil-runtime-threads.mjs';

import { RuntimeHost } from './runtime-host.js';

export const createHost = (): RuntimeHost => new RuntimeHost(createRuntime);
