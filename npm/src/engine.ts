// Instances of the two WebAssembly modules, with what their functions take and return (bindings/*.cpp).
import { TrefoilError, messageOf, type ErrorCode, type ErrorDetails, type Reply } from './errors.js';
import type { LayerValues } from './model-types.js';
import type { GraphLayer } from './quantize-types.js';
import type { Preprocess, Shape } from './types.js';

export type ModuleReply<T> =
  { value: T } | { error: { code: ErrorCode; message: string; details?: ErrorDetails } };

export interface BestClasses {
  indices: number[];
  scores: number[];
}

export interface RuntimeLayer {
  name: string;
  operation: string;
  variant: string;
  shape: Shape;
  inputBits: number;
  macs: number;
  macsPerLoad: number;
  weightBytes: number;
}

export interface RuntimeInfo {
  name: string;
  labels: string[];
  recipe: string;
  provenance: string;
  inputShape: Shape;
  classes: number;
  preprocess: Preprocess;
  layers: RuntimeLayer[];
  planes: number;
  memoryBytes: number;
  threads: number;
}

export interface RuntimeRun extends BestClasses {
  integers: Int32Array<ArrayBuffer>;
  logits: Float32Array<ArrayBuffer>;
}

export interface RuntimeProfile {
  runs: Float64Array<ArrayBuffer>;
  layers: Float64Array<ArrayBuffer>;
}

export interface RuntimeTuning {
  done: boolean;
  /** A kind of convolution and its kernel in turn. */
  kernels: string[];
  milliseconds: number;
  leftOut: number;
}

export interface RuntimeModule {
  /** The model that is there stays until the new one is complete. */
  beginLoad(file: Uint8Array, variants: string[], kernels: string[], planes: number): ModuleReply<undefined>;
  /** Goes on with what has begun for some milliseconds; undefined while there is more to do. */
  advanceLoad(milliseconds: number): ModuleReply<RuntimeInfo | undefined>;
  /** Only in the build for threads, and to be called before loading. */
  prepareThreads?(threads: number, mayBlock: boolean): ModuleReply<{ entry: number; stacks: number[] }>;
  unload(): void;
  planes(
    pixels: Uint8Array,
    width: number,
    height: number,
    channels: number,
  ): ModuleReply<Uint8Array<ArrayBuffer>>;
  begin(pixels: Uint8Array, width: number, height: number, channels: number): ModuleReply<undefined>;
  beginPlanes(planes: Uint8Array): ModuleReply<undefined>;
  beginLayers(pixels: Uint8Array, width: number, height: number, channels: number): ModuleReply<undefined>;
  /** Goes on with what has begun for some milliseconds; undefined while there is more to do, values after beginLayers(). */
  advance(milliseconds: number, topK: number): ModuleReply<RuntimeRun | LayerValues[] | undefined>;
  profile(runs: number, layers: boolean): ModuleReply<RuntimeProfile>;
  loadRate(milliseconds: number): number;
  startTuning(budget: number, known: string[]): ModuleReply<number>;
  tune(milliseconds: number): ModuleReply<RuntimeTuning>;
}

export interface GraphInfo {
  name: string;
  inputShape: Shape;
  classes: number;
  layers: GraphLayer[];
}

export interface FloatRun extends BestClasses {
  logits: Float32Array<ArrayBuffer>;
}

export interface LayerRecipe {
  layer: string;
  weights?: 'ternary' | 'int8';
  method?: string;
  groupSize?: number;
  scaleLevels?: number;
  levelKind?: string;
  planes?: number;
  activationBits?: number;
}

/** Milliseconds of a layer in each of the module's forms. */
export interface LayerTimes {
  layer: string;
  milliseconds: number[];
}

export interface Recipe {
  aim: 'uniform' | 'protect' | 'bytes' | 'top1Loss' | 'milliseconds';
  /** Of the aims that are named after it; else 0. */
  target: number;
  times: LayerTimes[];
  otherMilliseconds: number;
  method: string;
  groupSize: number;
  /** 0: free. */
  scaleLevels: number;
  levelKind: string;
  planes: number;
  activationBits: number;
  residualBits: number;
  clip: string;
  percentile: number;
  affineCorrection: boolean;
  layers: LayerRecipe[];
}

type ModuleProgress = (phase: string, fraction: number, layer: string) => boolean;

export interface QuantizerModule {
  beginOpen(file: Uint8Array, height: number, width: number): ModuleReply<undefined>;
  /** Like the others that advance: goes on for some milliseconds; undefined while there is more to do. */
  advanceOpen(milliseconds: number): ModuleReply<GraphInfo | undefined>;
  begin(
    pixels: Uint8Array,
    width: number,
    height: number,
    channels: number,
    preprocess: Preprocess,
  ): ModuleReply<undefined>;
  advance(milliseconds: number, topK: number): ModuleReply<FloatRun | undefined>;
  beginLayers(
    pixels: Uint8Array,
    width: number,
    height: number,
    channels: number,
    preprocess: Preprocess,
  ): ModuleReply<undefined>;
  advanceLayers(milliseconds: number): ModuleReply<LayerValues[] | undefined>;
  planes(
    pixels: Uint8Array,
    width: number,
    height: number,
    channels: number,
    preprocess: Preprocess,
  ): ModuleReply<Uint8Array<ArrayBuffer>>;
  addCalibrationImage(
    pixels: Uint8Array,
    width: number,
    height: number,
    channels: number,
    preprocess: Preprocess,
  ): ModuleReply<number>;
  checkRecipe(recipe: Recipe): ModuleReply<undefined>;
  quantize(
    recipe: Recipe,
    preprocess: Preprocess,
    labels: string[],
    sourceHash: string,
    trialImages: number,
    progress: ModuleProgress,
  ): ModuleReply<{ model: Uint8Array<ArrayBuffer>; report: string }>;
  exportOnnx(file: Uint8Array): ModuleReply<Uint8Array<ArrayBuffer>>;
  mixedForms(activationBits: number): Omit<LayerRecipe, 'layer'>[];
}

/** The build of the runtime for threads takes its memory from outside. */
export const importsMemory = (wasm: WebAssembly.Module): boolean =>
  WebAssembly.Module.imports(wasm).some(({ kind }) => kind === 'memory');

/** What Emscripten's generated JavaScript exports. */
export type Factory<Module> = (overrides: {
  wasmMemory?: WebAssembly.Memory;
  instantiateWasm(imports: WebAssembly.Imports, receive: (instance: WebAssembly.Instance) => void): object;
}) => Promise<Module>;

/** One instance. After a trap its state is unknown, so it answers nothing more. */
export class Engine<Module> {
  readonly module: Module;
  readonly #memory: WebAssembly.Memory;
  #trapped: Reply<never> | undefined;

  private constructor(module: Module, memory: WebAssembly.Memory) {
    this.module = module;
    this.#memory = memory;
  }

  /** shared: the memory of a build that imports one. */
  static async create<Module>(
    factory: Factory<Module>,
    wasm: WebAssembly.Module,
    shared?: WebAssembly.Memory,
  ): Promise<Engine<Module>> {
    if (!shared && importsMemory(wasm)) {
      throw new TrefoilError(
        'NOT_AVAILABLE',
        'the option wasm names the build for threads, which are not available here or not asked for; ' +
          'use trefoil-runtime.wasm',
      );
    }
    let memory = shared;
    const module = await new Promise<Module>((resolve, reject) => {
      const instantiateWasm = (
        imports: WebAssembly.Imports,
        receive: (instance: WebAssembly.Instance) => void,
      ) => {
        WebAssembly.instantiate(wasm, imports)
          .then((instance) => {
            memory ??= Object.values(instance.exports).find((item) => item instanceof WebAssembly.Memory);
            receive(instance);
          })
          .catch(reject);
        return {};
      };
      factory({ instantiateWasm, ...(shared ? { wasmMemory: shared } : {}) }).then(resolve, reject);
    }).catch((error: unknown) => {
      if (error instanceof RangeError && /memory/i.test(error.message)) {
        throw new TrefoilError('OUT_OF_MEMORY', `no memory for WebAssembly: ${error.message}`, {}, error);
      }
      throw new TrefoilError(
        'NOT_WASM',
        `this .wasm does not fit this package: ${messageOf(error)}`,
        {},
        error,
      );
    });
    if (!memory)
      throw new TrefoilError('NOT_WASM', 'this .wasm does not fit this package: it exports no memory');
    return new Engine(module, memory);
  }

  get memoryBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  get usable(): boolean {
    return this.#trapped === undefined;
  }

  call<T>(work: (module: Module) => Reply<T>): Reply<T> {
    if (this.#trapped) return this.#trapped;
    try {
      return work(this.module);
    } catch (error) {
      this.#trapped = trapReply(error);
      return this.#trapped;
    }
  }
}

/** Without C++ exceptions, memory that can't be had ends in abort(); nothing else in the library calls it. */
function trapReply(error: unknown): Reply<never> {
  const message = messageOf(error);
  if (error instanceof RangeError || /native code called abort|out of memory|OOM/i.test(message)) {
    return {
      error: {
        code: 'OUT_OF_MEMORY',
        message: `WebAssembly has no memory left (${message}); dispose of other models`,
      },
    };
  }
  return {
    error: {
      code: 'INTERNAL',
      message: `the WebAssembly code failed: ${message}. Please report this as a bug.`,
    },
  };
}
