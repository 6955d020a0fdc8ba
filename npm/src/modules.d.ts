// Modules without types of their own.

declare module 'trefoil-wasm/trefoil-runtime.mjs' {
  import type { Factory, RuntimeModule } from './engine.js';
  const factory: Factory<RuntimeModule>;
  export default factory;
}

declare module 'trefoil-wasm/trefoil-runtime-threads.mjs' {
  import type { Factory, RuntimeModule } from './engine.js';
  const factory: Factory<RuntimeModule>;
  export default factory;
}

declare module 'trefoil-wasm/trefoil-quantizer.mjs' {
  import type { Factory, QuantizerModule } from './engine.js';
  const factory: Factory<QuantizerModule>;
  export default factory;
}

declare module 'comlink/dist/esm/node-adapter.mjs' {
  import type { Endpoint } from 'comlink';
  export default function nodeEndpoint(port: object): Endpoint;
}
