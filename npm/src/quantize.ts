// The entry `trefoil/quantize`: from a float network and some pictures to a ternary model.
import { decode } from '#platform/images.js';
import { nextTask } from '#platform/next-task.js';
import { quantizeInWorker } from '#platform/quantizer-worker.js';
import { proxy } from 'comlink';

import { Reporter } from './abort.js';
import { forHost } from './classifier.js';
import type { Recipe } from './engine.js';
import { hashOf } from './hash.js';
import { checkLabelCount, checkLabels, openNetwork, type OpenNetwork } from './network.js';
import { badOption, checkCallback, checkKeys, checkSignal } from './options.js';
import { checkPreprocess } from './preprocess-options.js';
import type { Quantized, QuantizeOptions, QuantizeReport } from './quantize-types.js';
import type { HostProgress } from './quantizer-host.js';
import { recipeOf } from './recipe.js';
import type { ImageInput, ModelSource } from './types.js';

export { exportOnnx } from './export-onnx.js';
export { modelCache } from './model-cache.js';
export { loadFloatModel } from './float-model.js';
export { TrefoilError, type ErrorCode, type ErrorDetails } from './errors.js';
export type * from './quantize-types.js';
export type { RunOptions } from './model-types.js';
export type * from './types.js';

/** Of the quantizer's module: another one may write other bytes. */
declare const TREFOIL_QUANTIZER: string;

const known = [
  'calibration',
  'recipe',
  'groupSize',
  'activationBits',
  'residualBits',
  'method',
  'planes',
  'scaleLevels',
  'levelKind',
  'layers',
  'labels',
  'preprocess',
  'clip',
  'percentile',
  'affineCorrection',
  'cache',
  'wasm',
  'worker',
  'signal',
  'onProgress',
];

/** Shares of the whole work; measured on small networks, for the bar to move evenly. */
const readShare = 0.02;
const decodeShare = 0.08;
const timeShare = 0.2;

function checkCalibration(images: unknown): Iterable<ImageInput> | AsyncIterable<ImageInput> {
  const iterable =
    typeof images === 'object' &&
    images !== null &&
    (Symbol.iterator in images || Symbol.asyncIterator in images);
  if (!iterable || ArrayBuffer.isView(images)) {
    throw badOption(
      'calibration',
      'calibration must be a list (or any iterable) of images; 32 or more are advised',
    );
  }
  return images as Iterable<ImageInput> | AsyncIterable<ImageInput>;
}

async function addImages(
  network: OpenNetwork,
  images: Iterable<ImageInput> | AsyncIterable<ImageInput>,
  digest: boolean,
  reporter: Reporter,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const hashes: string[] = [];
  const total = Array.isArray(images) ? images.length : undefined;
  let loaded = 0;
  for await (const image of images) {
    const decoded = await decode(image, signal);
    const ready = forHost(network.link, decoded);
    hashes.push(
      await network.link.call((host) => host.addCalibrationImage(ready, network.preprocess, digest), signal),
    );
    ++loaded;
    // Pictures that need no decoding would keep a signal from being heard on the caller's own thread.
    if (signal && !network.link.inWorker) await nextTask();
    reporter.report({
      phase: 'decode',
      fraction: readShare + (total ? (decodeShare * loaded) / total : 0),
      loaded,
      ...(total ? { total } : {}),
    });
  }
  if (loaded === 0) throw badOption('calibration', 'calibration has no images; 32 or more are advised');
  return hashes;
}

/** Layers and figures have the names of JavaScript here, and of C++ in the module's report. */
function camelKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camelKeys);
  if (typeof value !== 'object' || value === null) return value;
  const camel = (key: string) => key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [camel(key), camelKeys(item)]));
}

async function run(
  network: OpenNetwork,
  recipe: Recipe,
  labels: string[],
  hash: string,
  reporter: Reporter,
  signal: AbortSignal | undefined,
): Promise<Quantized> {
  let failure: { error: unknown } | undefined;
  const progress: HostProgress = (phase, fraction, layer) => {
    if (failure) return false;
    try {
      const before = readShare + decodeShare + (recipe.times.length > 0 ? timeShare : 0);
      reporter.report({ phase, fraction: before + (1 - before) * fraction, layer });
      return true;
    } catch (error) {
      failure = { error };
      // Ends a worker, which can't hear an answer while it works. On this thread `false` does it.
      if (network.link.inWorker) network.link.close();
      return false;
    }
  };
  try {
    const heard = network.link.inWorker ? proxy(progress) : progress;
    const { model, report } = await network.link.call(
      (host) => host.quantize(recipe, network.preprocess, labels, hash, heard),
      signal,
    );
    return { model, report: camelKeys(JSON.parse(report)) as QuantizeReport };
  } catch (error) {
    throw failure ? failure.error : error;
  }
}

/**
 * Quantizes an ONNX network to ternary weights. In a worker by default, in Node as well: it takes seconds to minutes.
 *
 * Errors: BAD_ONNX, UNSUPPORTED_OP (details.supported lists the operators that are), BAD_OPTION, BAD_IMAGE, OVERFLOW,
 * OUT_OF_MEMORY, ABORTED and others; the signal's reason.
 */
export async function quantize(onnx: ModelSource, options: QuantizeOptions): Promise<Quantized> {
  checkKeys(options, known, 'quantize');
  const signal = checkSignal(options.signal);
  const images = options.calibration === undefined ? undefined : checkCalibration(options.calibration);
  const labels = checkLabels(options.labels);
  const recipe = recipeOf(options);
  const preprocess = checkPreprocess(options.preprocess, 'quantize');
  const store = options.cache
    ? new (await import('./quantized-store.js')).QuantizedStore(options.cache)
    : undefined;
  const reporter = new Reporter(checkCallback(options.onProgress, 'onProgress'), signal);
  reporter.report({ phase: 'load', fraction: 0 });

  const network = await openNetwork(
    onnx,
    preprocess,
    { ...options, byDefault: quantizeInWorker },
    (loaded, total) =>
      reporter.report({
        phase: 'load',
        fraction: total ? (readShare * loaded) / total : 0,
        loaded,
        ...(total ? { total } : {}),
      }),
  );
  try {
    await network.link.call((host) => host.checkRecipe(recipe), signal);
    checkLabelCount(labels, network.graph.classes);
    const hashes = images ? await addImages(network, images, store !== undefined, reporter, signal) : [];
    const hash = await hashOf(network.bytes);
    const parts = [TREFOIL_QUANTIZER, hash, recipe, network.preprocess, labels, hashes];
    const kept = await store?.find(parts);
    const full =
      recipe.aim === 'milliseconds' && !kept
        ? await (
            await import('./form-times.js')
          ).withTimes(network, recipe, signal, (share) =>
            reporter.report({ phase: 'time', fraction: readShare + decodeShare + timeShare * share }),
          )
        : recipe;
    const quantized = kept ?? (await run(network, full, labels, hash, reporter, signal));
    if (!kept) await store?.keep(parts, quantized);
    reporter.report({ phase: 'write', fraction: 1 });
    return quantized;
  } finally {
    network.link.close();
  }
}
