import { inWorkerByDefault, startRuntimeWorker } from '#platform/runtime-worker.js';

import { Reporter, abortable } from './abort.js';
import { checkNotHtml, readBytes } from './bytes.js';
import { Classifier } from './classifier.js';
import type { RuntimeInfo } from './engine.js';
import type { Calls, Link } from './link.js';
import type {
  LayerInfo,
  LayerValues,
  LoadOptions,
  Logits,
  Model,
  ModelInfo,
  Profile,
  ProfileOptions,
  RunOptions,
} from './model-types.js';
import { openLink } from './open-link.js';
import { badOption, checkCallback, checkKeys, checkSignal } from './options.js';
import type { HostImage } from './pixels.js';
import { profileModel } from './profile.js';
import type { RuntimeHost } from './runtime-host.js';
import type { ImageInput, ModelSource } from './types.js';
import { compileWasm } from './wasm.js';

class TernaryModel extends Classifier<RuntimeHost> implements Model {
  readonly info: ModelInfo;

  constructor(link: Link<RuntimeHost>, info: ModelInfo) {
    super(link, info.labels);
    this.info = info;
  }

  async logits(image: ImageInput, options: RunOptions = {}): Promise<Logits> {
    checkKeys(options, ['signal'], 'logits');
    const { integers, logits } = await this.withImage(image, options.signal, (host, ready) =>
      host.run(ready, 1),
    );
    return { integers, logits };
  }

  async run(planes: Uint8Array, options: RunOptions = {}): Promise<Logits> {
    checkKeys(options, ['signal'], 'run');
    if (!(planes instanceof Uint8Array)) {
      throw badOption('planes', 'planes must be a Uint8Array: bytes in channels, rows, columns');
    }
    // A worker would be sent the whole buffer behind a view.
    const whole = planes.byteLength < planes.buffer.byteLength ? planes.slice() : planes;
    const { integers, logits } = await this.withHost(options.signal, (host) => host.runPlanes(whole, 1));
    return { integers, logits };
  }

  async planes(image: ImageInput, options: RunOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    checkKeys(options, ['signal'], 'planes');
    return this.withImage(image, options.signal, (host, ready) => host.planes(ready));
  }

  async layerValues(image: ImageInput, options: RunOptions = {}): Promise<LayerValues[]> {
    checkKeys(options, ['signal'], 'layerValues');
    return this.withImage(image, options.signal, (host, ready) => host.layerValues(ready));
  }

  async profile(options: ProfileOptions = {}): Promise<Profile> {
    return profileModel(options, (signal, use) => this.withHost(signal, use));
  }

  protected override best(host: Calls<RuntimeHost>, image: HostImage, topK: number) {
    return host.run(image, topK);
  }
}

function parseObject(json: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(json);
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function usedVariants(layers: readonly LayerInfo[]): Record<string, string[]> {
  const used: Record<string, string[]> = {};
  for (const { operation, variant } of layers) {
    if (!variant) continue;
    const names = (used[operation] ??= []);
    if (!names.includes(variant)) names.push(variant);
  }
  return used;
}

function infoOf(info: RuntimeInfo, fileBytes: number, worker: boolean): ModelInfo {
  return {
    name: info.name,
    labels: info.labels,
    classes: info.classes,
    inputShape: info.inputShape,
    preprocess: info.preprocess,
    layers: info.layers,
    variants: usedVariants(info.layers),
    fileBytes,
    memoryBytes: info.memoryBytes,
    threads: 1,
    worker,
    recipe: parseObject(info.recipe),
    provenance: parseObject(info.provenance),
  };
}

function variantPairs(variants: unknown): string[] {
  if (variants === undefined) return [];
  if (typeof variants !== 'object' || variants === null || Array.isArray(variants)) {
    throw badOption('variants', 'variants must be an object: { operation: variant name }');
  }
  const pairs = Object.entries(variants).flat();
  if (pairs.some((text) => typeof text !== 'string')) {
    throw badOption('variants', 'variants must name a variant, a string, for each operation');
  }
  return pairs as string[];
}

/**
 * Loads a `.trefoil` model.
 *
 * Errors: BAD_MODEL, MODEL_VERSION, NETWORK, FILE_NOT_FOUND, NOT_WASM, BAD_OPTION, OUT_OF_MEMORY, UNKNOWN_VARIANT and
 * others; the signal's reason.
 */
export async function loadModel(source: ModelSource, options: LoadOptions = {}): Promise<Model> {
  checkKeys(options, ['wasm', 'worker', 'signal', 'onProgress', 'variants'], 'loadModel');
  const signal = checkSignal(options.signal);
  const variants = variantPairs(options.variants);
  const reporter = new Reporter(checkCallback(options.onProgress, 'onProgress'), signal);
  reporter.report({ phase: 'load', fraction: 0 });

  // The .wasm comes while the model does. Its failure is heard below, after the model's.
  const compiling = compileWasm(options.wasm, new URL('./trefoil-runtime.wasm', import.meta.url));
  compiling.catch(() => undefined);
  const bytes = await readBytes(source, 'the model', {
    signal,
    onBytes: (loaded, total) =>
      reporter.report({
        phase: 'load',
        fraction: total ? (0.9 * loaded) / total : 0,
        loaded,
        ...(total ? { total } : {}),
      }),
  });
  checkNotHtml(bytes, source, 'BAD_MODEL');
  const wasm = await abortable(compiling, signal);
  reporter.report({ phase: 'prepare', fraction: 0.9 });

  const fileBytes = bytes.byteLength;
  const { link, value } = await openLink<RuntimeHost, RuntimeInfo>(
    {
      worker: options.worker,
      byDefault: inWorkerByDefault,
      start: startRuntimeWorker,
      local: async () => new (await import('./runtime-host.js')).RuntimeHost(),
    },
    (opening) => opening.call((host) => host.load(wasm, bytes, variants), signal),
  );
  const model = new TernaryModel(link, infoOf(value, fileBytes, link.inWorker));
  try {
    reporter.report({ phase: 'prepare', fraction: 1 });
  } catch (error) {
    model.dispose();
    throw error;
  }
  return model;
}
