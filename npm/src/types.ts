/// <reference lib="esnext.disposable" preserve="true" />
// The types that people meet. Names of the browser's and of Node's own types are looked up, not assumed, so that a
// project may use either library of types.
export type Global<Name extends string> = typeof globalThis extends { [key in Name]: { prototype: infer T } }
  ? T
  : never;

/** Raw pixels, rows from the top: RGBA (alpha is ignored), RGB or gray. An `ImageData` is one too. */
export interface Pixels {
  data: Uint8Array | Uint8ClampedArray;
  width: number;
  height: number;
  /** Worked out from the length of `data` where it is not given. */
  channels?: 1 | 3 | 4;
}

/** Bytes of an encoded file, in one of the ways in which they come. */
export type Bytes = ArrayBuffer | Uint8Array<ArrayBufferLike>;

/** Bytes that arrive over time: a web stream or a Node stream. */
export type ByteStream = Global<'ReadableStream'> | AsyncIterable<Uint8Array<ArrayBufferLike>>;

/**
 * Where a model file comes from. A string is a URL in browsers; in Node it is a path, or a URL if it begins with
 * `http:`, `https:`, `file:` or `data:`.
 */
export type ModelSource =
  string | URL | Global<'Request'> | Global<'Response'> | Global<'Blob'> | Bytes | ByteStream;

/**
 * A picture. Strings, URLs, blobs, bytes and streams hold an encoded image (JPEG, PNG, WebP, ...), which the browser
 * or, in Node, sharp decodes. EXIF orientation is applied, transparency is laid on white.
 */
export type ImageInput =
  | string
  | URL
  | Global<'Blob'>
  | Bytes
  | ByteStream
  | Pixels
  | Global<'ImageBitmap'>
  | Global<'ImageData'>
  | Global<'HTMLImageElement'>
  | Global<'HTMLCanvasElement'>
  | Global<'HTMLVideoElement'>
  | Global<'OffscreenCanvas'>
  | Global<'VideoFrame'>;

type CompiledWasm = typeof globalThis extends { WebAssembly: { Module: { prototype: infer T } } }
  ? T
  : object;

/** The `.wasm` file: at another address, already compiled, or as bytes. Only one of the three. */
export interface WasmSource {
  url?: string | URL;
  module?: CompiledWasm;
  bytes?: Bytes;
}

/** News of long work. `fraction` is of the whole work, from 0 to 1, and never falls. */
export interface Progress {
  phase: string;
  fraction: number;
  /** Bytes or images, where the phase counts them. */
  loaded?: number;
  /** Their number in all, where it is known. */
  total?: number;
  /** The layer at hand, or an empty string. */
  layer: string;
}

/** Returning `false` cancels the work, which then fails with `ABORTED`. */
export type OnProgress = (progress: Progress) => boolean | void;

/** A place where models are kept, such as one of the Cache API. In Node, one of your own. */
export interface ModelCache {
  match(url: string): Promise<Global<'Response'> | undefined>;
  put(url: string, response: Global<'Response'>): Promise<unknown>;
  delete(url: string): Promise<boolean>;
}

/** A model that `cache: true` has kept. */
export interface CachedModel {
  /** Where it came from; for a quantized one, an address made of what it was made of. */
  url: string;
  bytes: number;
  stored: Date;
  /** False: it is in memory, because no other place took it, and is gone with the page. */
  persistent: boolean;
}

/** What all tasks take. */
export interface TaskOptions {
  /** Where the `.wasm` is; by default beside this package's JavaScript. */
  wasm?: WasmSource;
  /** Cancels: the task then throws `signal.reason`. */
  signal?: AbortSignal;
  onProgress?: OnProgress;
  /** Whether to work in a worker. */
  worker?: boolean;
}

/** The network's channels: red, green, blue, or blue, green, red. */
export type ChannelOrder = 'rgb' | 'bgr';

/**
 * How a picture becomes the network's input: x = (p / 255 - mean) / std for each channel of each pixel p (0..255). What has
 * three numbers has them in the order of the network's channels; a gray network takes the first.
 */
export interface Preprocess {
  /** The shorter side is brought to this many pixels before the crop; 0: straight to the size of the crop. */
  resize: number;
  /** Height and width of the centre that is cut out: the network's input. */
  crop: [number, number];
  /** The colour (0..255) of the bars around a picture that was fitted into the size of the crop; false: no such bars. */
  letterbox: false | [number, number, number];
  channelOrder: ChannelOrder;
  mean: [number, number, number];
  std: [number, number, number];
}

/** Preprocessing as people state it; what is left out is: no resize, the network's input size, mean 0, std 1. */
export interface PreprocessOptions {
  resize?: number;
  /** One number for a square. Needed where the model leaves its input size open. */
  crop?: number | [number, number];
  /**
   * The whole picture, fitted into the network's input in its own proportions, in the middle: true for bars of gray 114, or their
   * colour, three whole numbers from 0 to 255. Without `resize`.
   */
  letterbox?: boolean | readonly [number, number, number];
  /** Default 'rgb'. */
  channelOrder?: ChannelOrder;
  /** One number for all channels, or one each, in their order. */
  mean?: number | readonly number[];
  std?: number | readonly number[];
}

/** One class and how likely it is. */
export interface Prediction {
  /** The class's label, or its index as text in a model without labels. */
  label: string;
  /** Softmax probability, 0 to 1. */
  score: number;
  index: number;
}

export interface ClassifyOptions {
  /** How many classes to return, best first. Default 5. */
  topK?: number;
  signal?: AbortSignal;
}

/** Channels, height, width. */
export type Shape = [number, number, number];
