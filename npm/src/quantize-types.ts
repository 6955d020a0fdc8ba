import type { LayerValues, RunOptions } from './model-types.js';
import type {
  ClassifyOptions,
  ImageInput,
  ModelCache,
  Prediction,
  Preprocess,
  PreprocessOptions,
  Shape,
  TaskOptions,
} from './types.js';

/**
 * One scale a group; one a group and sign; or one a group, with error compensation: codes are chosen for what the layer meets
 * on the calibration images, which takes longer and is nearer to the float network.
 */
export type Method = 'fgq' | 'fgq-two-sided' | 'compensated';

/** Scales of a codebook: fitted to the filter, or the largest one divided by powers. */
export type LevelKind = 'fitted' | 'powers-of-2' | 'powers-of-sqrt-2';

/** How the range of an activation is found: by least squared error, the largest value, or a percentile. */
export type Clip = 'mse' | 'max' | 'percentile';

/** What one layer does differently. */
export interface LayerOptions {
  weights?: 'ternary' | 'int8';
  method?: Method;
  groupSize?: number | 'filter';
  scaleLevels?: 2 | 4 | 8 | 'free';
  levelKind?: LevelKind;
  planes?: 1 | 2;
  /** Of the layer's result. */
  activationBits?: number;
}

/**
 * What a mixed recipe keeps to: at most so many bytes of file; at most so many points of top-1 lost, as measured on a quarter of
 * the calibration pictures, which are held out for it; about so many milliseconds from a picture's tensor to logits on this
 * machine, whose kernels are timed for it.
 */
export type Budget =
  | { bytes: number; top1Loss?: undefined; milliseconds?: undefined }
  | { top1Loss: number; bytes?: undefined; milliseconds?: undefined }
  | { milliseconds: number; bytes?: undefined; top1Loss?: undefined };

/** Options of {@link quantize}. */
export interface QuantizeOptions extends TaskOptions {
  /**
   * Pictures like those that the network will see; 32 or more are advised, and none that accuracy is measured on. Left out,
   * ranges come from the network's batch norms, which costs accuracy: a warning in the report says so.
   */
  calibration?: Iterable<ImageInput> | AsyncIterable<ImageInput>;
  /**
   * Chooses the form of each layer's weights (groups of 4 or 64, one plane or two, or int8) by what it costs and by how much it
   * changes the network's answers on the calibration pictures: the best accuracy in a file of so many bytes or at a
   * time, or the fewest bits at a loss. With milliseconds activations get 4 bits where that pays, and the file depends on the machine, as nothing else does. Goes with `layers`, and with none of groupSize, scaleLevels, levelKind, planes and method. Left out with
   * all of these, layers have groups of 4 with 4 scale levels, but int8 where that would cost accuracy.
   */
  recipe?: Budget;
  /** Weights that share a scale: consecutive input channels, or all of a filter. Default 4; given, it is that of all layers. */
  groupSize?: number | 'filter';
  /** 4 to 8. Default 8. With a recipe of milliseconds the most: layers may get 4. */
  activationBits?: number;
  /**
   * Of sums (residual streams), 4 to 8; where that is more than activationBits, of linear bottlenecks too, and of what only depthwise
   * layers read, which fewer bits don't make faster.
   * What only a sum reads has two more, up to 8. Default 8.
   */
  residualBits?: number;
  /** Default 'compensated'. */
  method?: Method;
  /** Ternary planes that a filter is the sum of. Default 1. */
  planes?: 1 | 2;
  /** Different scales that a filter may have; 'free': as many as it has groups. Default 4, or 'free' with 'fgq-two-sided'. */
  scaleLevels?: 2 | 4 | 8 | 'free';
  /** Default 'fitted'. */
  levelKind?: LevelKind;
  /** By exact layer name. */
  layers?: Readonly<Record<string, LayerOptions>>;
  /** One a class. */
  labels?: readonly string[];
  preprocess?: PreprocessOptions;
  /** Default 'mse'. */
  clip?: Clip;
  /** For the clip 'percentile', 50 to 100. Default 99.99. */
  percentile?: number;
  /** Matches each filter's mean and deviation to the float network's. Default true. */
  affineCorrection?: boolean;
  /**
   * Keeps the result, as the option of loadModel() does: the same network, recipe, labels and pictures then give it without
   * the work. Default false.
   */
  cache?: boolean | ModelCache;
}

/** How many weights lie in each of 81 equal bins from -limit to limit, before and after. */
export interface WeightHistogram {
  /** The largest magnitude of a float weight. */
  limit: number;
  float: number[];
  quantized: number[];
}

/** Figures of one layer, or of the whole network. */
export interface LayerReport {
  name: string;
  kind: string;
  shape: Shape;
  weights: number;
  /** Of one image. */
  macs: number;
  groupSize: number;
  /** 0: free. */
  scaleLevels: number;
  planes: number;
  /** Of the activations that the layer reads; 0 in the total. */
  inputBits: number;
  floatBytes: number;
  fileBytes: number;
  /** Codes at 2 bits plus scales of 8 bits, or plus indices into codebooks; 8 for int8. */
  bitsPerWeight: number;
  zeroShare: number;
  /** The share of multiplications that is gone, 0 to 1. */
  multiplicationsRemoved: number;
  /** Signal to quantization noise of the weights, in decibels; null where there is no noise. */
  weightSqnrDb: number | null;
  /** The same of the layer's result on the calibration images, against the float network. */
  outputSqnrDb: number | null;
  /** Of the weights, batch norm folded in; not of the whole network, and not of weights that are all zero. */
  histogram?: WeightHistogram;
}

/** One choice of all layers' weights that no other betters both in accuracy and in cost, as predicted before quantizing. */
export interface FrontierPoint {
  /** Of the file. */
  bytes: number;
  /** Points of top-1. */
  top1Loss: number;
  /** Of one picture; null where kernels were not timed. */
  milliseconds: number | null;
  chosen: boolean;
}

/**
 * What a recipe of top1Loss was chosen by: mixtures calibrated with three quarters of the pictures and run on the others. These
 * have no labels: what the float network gives its own best class is taken for the chance that it is right. In points of top-1.
 */
export interface LossCheck {
  wished: number;
  /** Of the mixture that was chosen, as `measured` and `agreement`. */
  predicted: number;
  measured: number;
  /** Of `measured`, from how much it varies between pictures. */
  standardError: number;
  /** Share of the pictures that get the float network's class, 0 to 1. */
  agreement: number;
  /** Pictures held out. The file itself is then calibrated with all. */
  images: number;
  /** Mixtures that were quantized to be measured, in their order. */
  tries: { predicted: number; measured: number }[];
}

export interface QuantizeReport {
  layers: LayerReport[];
  total: LayerReport;
  sourceBytes: number;
  fileBytes: number;
  calibrationImages: number;
  /** By rising cost; left out where all layers have one form. */
  frontier?: FrontierPoint[];
  /** Of a recipe of top1Loss with 8 calibration pictures or more. */
  lossCheck?: LossCheck;
  /** What to beware of; left out where there is nothing. */
  warnings?: string[];
}

export interface Quantized {
  /** A `.trefoil` file. The same network, pictures and options give the same bytes everywhere. */
  model: Uint8Array<ArrayBuffer>;
  report: QuantizeReport;
}

/** Options of {@link loadFloatModel}. */
export interface FloatOptions extends TaskOptions {
  preprocess?: PreprocessOptions;
  labels?: readonly string[];
}

/** One step of a float network. */
export interface GraphLayer {
  name: string;
  operation: string;
  /** Of the result. */
  shape: Shape;
  /** Multiply-accumulates of one image. */
  macs: number;
  /** Count. */
  weights: number;
}

export interface FloatModelInfo {
  name: string;
  labels: string[];
  classes: number;
  inputShape: Shape;
  preprocess: Preprocess;
  /** After batch norm is folded; convolutions have the names that `layers` of {@link QuantizeOptions} takes. */
  layers: GraphLayer[];
  fileBytes: number;
  worker: boolean;
}

/** An ONNX network run in plain float: what a quantized model is compared with. */
export interface FloatModel {
  readonly info: FloatModelInfo;
  readonly disposed: boolean;
  /** The best classes of a picture, best first. Errors: BAD_IMAGE, DISPOSED and others; the signal's reason. */
  classify(image: ImageInput, options?: ClassifyOptions): Promise<Prediction[]>;
  /** The outputs of all classes, before softmax. */
  logits(image: ImageInput, options?: RunOptions): Promise<{ logits: Float32Array<ArrayBuffer> }>;
  /** The network's input of a picture: resized and cropped, in channels, rows, columns. */
  planes(image: ImageInput, options?: RunOptions): Promise<Uint8Array<ArrayBuffer>>;
  /** What the layers of a quantized model stand for, by their names there. */
  layerValues(image: ImageInput, options?: RunOptions): Promise<LayerValues[]>;
  /** Gives the memory and the worker back. Calls under way fail with DISPOSED; a second call does nothing. */
  dispose(): void;
  [Symbol.dispose](): void;
}
