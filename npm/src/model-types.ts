import type {
  ClassifyOptions,
  Global,
  ImageInput,
  ModelCache,
  Prediction,
  Preprocess,
  Shape,
  TaskOptions,
} from './types.js';

/** Options of {@link loadModel}. */
export interface LoadOptions extends TaskOptions {
  /**
   * So many workers that share the calls: several pictures at a time, without cross-origin isolation. Each has its own copy
   * of the model.
   */
  workers?: number;
  /**
   * Keeps a model that comes from a web address: with `true` in the Cache API, or in memory where there is none or its quota
   * is full. A kept model is used without asking the server again, so give a new model a new address. Default false.
   */
  cache?: boolean | ModelCache;
  /**
   * Threads that work on one picture together: a number up to 16, or 'auto' for what the machine has, up to 4. The
   * answers are the same. Where memory can't be shared (a page without COOP and COEP headers) it is one thread, without
   * an error; `model.info.threads` says how many there are. Default: 1 in Node and with several
   * workers, else 'auto'.
   */
  threads?: number | 'auto';
  /** Forces kernels by name: operation (or "*") to variant. For tests and measurements; the answers are the same. */
  variants?: Readonly<Record<string, string>>;
  /**
   * Kernels that were found to be the fastest in this engine are used; and a second after a model's first answer, those that
   * are not known yet are timed for the next time, in pauses between answers. `false` does neither. Default: in browsers'
   * workers; elsewhere `false`, as the caller's thread would be busy with it.
   */
  tune?: boolean | TuneOptions;
  /** 1: only the first ternary planes, whose part of the file is all that is read. Default: all there are. */
  planes?: 1 | 2;
  /**
   * Starts with the first planes while the rest of the file is still on its way; called once that has come and is in use,
   * between two runs. Not called for a model that has been disposed of.
   */
  onRefine?: (outcome: RefineOutcome) => void;
}

/** Where {@link TuneOptions} are kept: the part of a `Cache` that is needed. */
export interface TuningCache {
  match(url: string): Promise<{ text(): Promise<string> } | undefined>;
  put(url: string, response: Global<'Response'>): Promise<unknown>;
}

/** How the fastest kernels are found by timing them. They all give the same integers, so no answer changes. */
export interface TuneOptions {
  /** Milliseconds of computing that it may take in all. Layers beyond it are left for the next time. Default 200. */
  budget?: number;
  /** Where to remember the kernels; by default in the Cache API, in Node in the user's folder for caches. */
  cache?: TuningCache;
}

/** What {@link Model.tune} found. */
export interface Tuning {
  /** Kernels by kind of convolution, for those that were timed now. */
  kernels: Record<string, string>;
  milliseconds: number;
  /** Kinds of convolutions that the budget did not reach. */
  leftOut: number;
}

/** How {@link LoadOptions.onRefine} ended. Where it failed, the model goes on with its first planes. */
export type RefineOutcome = { refined: true } | { refined: false; error: unknown };

/** One step of a ternary model. */
export interface LayerInfo {
  name: string;
  operation: string;
  /** The kernel that runs it; empty where there is no choice. */
  variant: string;
  /** Of the result. */
  shape: Shape;
  /** Of the values that it takes. */
  inputBits: number;
  /** Multiply-accumulates of the same layer with dense weights. */
  macs: number;
  /**
   * How many of them one vector load and one addition are worth in a ternary convolution that does nothing else: times
   * {@link Profile.loadRate}, its limit in GMAC/s. 0 where that is no measure.
   */
  macsPerLoad: number;
  /** Packed, in memory. */
  weightBytes: number;
}

export interface ModelInfo {
  name: string;
  /** One a class, or empty. */
  labels: string[];
  classes: number;
  inputShape: Shape;
  preprocess: Preprocess;
  layers: LayerInfo[];
  /** The kernels in use, by operation. */
  variants: Record<string, string[]>;
  /** Read so far. */
  fileBytes: number;
  /** The most ternary planes that a layer uses. */
  planes: number;
  /** Packed weights and activations, in WebAssembly memory. */
  memoryBytes: number;
  /** Threads that work on one picture together. */
  threads: number;
  /** Whether the model runs in a worker. */
  worker: boolean;
  /** How many workers share the calls; 0 on the caller's own thread. */
  workers: number;
  /** How it was quantized. */
  recipe: Record<string, unknown>;
  /** From what it was made. */
  provenance: Record<string, unknown>;
}

export interface RunOptions {
  signal?: AbortSignal;
}

/** All outputs of a ternary model. */
export interface Logits {
  /** What the integer arithmetic gives: the same on every machine. */
  integers: Int32Array<ArrayBuffer>;
  /** The same as real numbers, before softmax. */
  logits: Float32Array<ArrayBuffer>;
}

/** What a layer yields for a picture, as real numbers in channels, rows, columns. */
export interface LayerValues {
  name: string;
  values: Float32Array<ArrayBuffer>;
}

/** Options of {@link Model.profile}. */
export interface ProfileOptions extends RunOptions {
  /** How often to run the network, after a warm-up. Default 20. */
  runs?: number;
  /** Whether to time each layer, in further runs that take turns with the others. Default: no. */
  layers?: boolean;
}

/** Times of a network on this machine. Browsers' clocks are coarse, some layers are short: theirs may be 0. */
export interface Profile {
  /** Milliseconds of each run, from the network's input in memory to its logits. */
  runs: number[];
  minimum: number;
  median: number;
  /** Milliseconds of each layer of {@link ModelInfo.layers}, its fastest time; empty where they were not wanted. */
  layers: number[];
  /** `minimum` without all layers: copying the input, logits, and what noise leaves. 0 without `layers`. */
  outside: number;
  /**
   * 16-byte loads from the first-level cache, each with an addition, that this engine does in a nanosecond, from a loop
   * that does nothing else. 0 where the clock is too coarse to tell.
   */
  loadRate: number;
}

/** A ternary model, ready to run. Give it back with {@link dispose}, or declare it with `using`. */
export interface Model {
  /** Another object after {@link LoadOptions.onRefine}. */
  readonly info: ModelInfo;
  readonly disposed: boolean;
  /** The best classes of a picture, best first. Errors: BAD_IMAGE, DISPOSED and others; the signal's reason. */
  classify(image: ImageInput, options?: ClassifyOptions): Promise<Prediction[]>;
  /** The outputs of all classes. */
  logits(image: ImageInput, options?: RunOptions): Promise<Logits>;
  /** The network's input of a picture: resized and cropped, in channels, rows, columns. */
  planes(image: ImageInput, options?: RunOptions): Promise<Uint8Array<ArrayBuffer>>;
  /** The results of all layers, for comparing; of the last one, the logits. */
  layerValues(image: ImageInput, options?: RunOptions): Promise<LayerValues[]>;
  /**
   * The outputs of all classes for the network's input as {@link Model.planes} returns it. Errors: BAD_IMAGE (wrong
   * size), BAD_OPTION, DISPOSED and others; the signal's reason.
   */
  run(planes: Uint8Array<ArrayBufferLike>, options?: RunOptions): Promise<Logits>;
  /**
   * Times kernels now, as the option `tune` does later, and remembers the fastest. They are used when the model is loaded
   * the next time with that option.
   */
  tune(options?: TuneOptions & RunOptions): Promise<Tuning>;
  /** Times the network, on a picture of noise. */
  profile(options?: ProfileOptions): Promise<Profile>;
  /** Gives the memory and the worker back. Calls under way fail with DISPOSED; a second call does nothing. */
  dispose(): void;
  [Symbol.dispose](): void;
}
