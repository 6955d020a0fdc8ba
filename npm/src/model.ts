import {
  inWorkerByDefault,
  startRuntimeWorker,
  sharesMemory,
  startThreadedWorker,
  threadsByDefault,
  tuneInWorkerByDefault,
} from '#platform/runtime-worker.js';

import { Reporter, abortable } from './abort.js';
import { ByteReader, checkNotHtml, openBytes } from './bytes.js';
import { Classifier } from './classifier.js';
import type { RuntimeInfo } from './engine.js';
import { TrefoilError } from './errors.js';
import type { Calls, Link } from './link.js';
import type {
  LayerInfo,
  LayerValues,
  LoadOptions,
  Logits,
  Model,
  ModelInfo,
  RefineOutcome,
  Profile,
  ProfileOptions,
  RunOptions,
  TuneOptions,
  Tuning,
} from './model-types.js';
import { openLink } from './open-link.js';
import {
  badOption,
  checkBoolean,
  checkCallback,
  checkInteger,
  checkKeys,
  checkSignal,
  checkThreads,
} from './options.js';
import type { HostImage } from './pixels.js';
import type { RuntimeHost } from './runtime-host.js';
import { checkTune, tuneAfterMilliseconds, type TuneChoice } from './tuning.js';
import type { ImageInput, ModelSource, WasmSource } from './types.js';
import { compileWasm } from './wasm.js';
import { sectionHeaderBytes, sectionsOf, type Sections } from './sections.js';
import type { RuntimeBuild } from './sharing.js';

const known = [
  'wasm',
  'worker',
  'workers',
  'threads',
  'cache',
  'signal',
  'onProgress',
  'variants',
  'tune',
  'planes',
  'onRefine',
];
const maxWorkers = 64;
/** What a kept file may suffer from and a fresh one not: damage, or an older version of this package. */
const replaced: readonly string[] = ['BAD_MODEL', 'MODEL_VERSION'];

class TernaryModel extends Classifier<RuntimeHost> implements Model {
  info: ModelInfo;
  #rest: ByteReader | undefined;
  /** Wanted after the first answer, until that has come. */
  #tuneLater: TuneChoice | undefined;
  #tuneTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(link: Link<RuntimeHost>, info: ModelInfo, tuneLater: TuneChoice | undefined) {
    super(link, info.labels);
    this.info = info;
    this.#tuneLater = tuneLater;
  }

  async logits(image: ImageInput, options: RunOptions = {}): Promise<Logits> {
    checkKeys(options, ['signal'], 'logits');
    const { integers, logits } = await this.withImage(image, options.signal, (host, ready, ticket) => {
      this.#tuneSoon();
      return host.run(ready, 1, ticket);
    });
    return { integers, logits };
  }

  async run(planes: Uint8Array, options: RunOptions = {}): Promise<Logits> {
    checkKeys(options, ['signal'], 'run');
    if (!(planes instanceof Uint8Array)) {
      throw badOption('planes', 'planes must be a Uint8Array: bytes in channels, rows, columns');
    }
    // A worker would be sent the whole buffer behind a view.
    const whole = planes.byteLength < planes.buffer.byteLength ? planes.slice() : planes;
    this.#tuneSoon();
    const { integers, logits } = await this.withHost(options.signal, (host, ticket) =>
      host.runPlanes(whole, 1, ticket),
    );
    return { integers, logits };
  }

  async planes(image: ImageInput, options: RunOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    checkKeys(options, ['signal'], 'planes');
    return this.withImage(image, options.signal, (host, ready) => host.planes(ready));
  }

  async layerValues(image: ImageInput, options: RunOptions = {}): Promise<LayerValues[]> {
    checkKeys(options, ['signal'], 'layerValues');
    return this.withImage(image, options.signal, (host, ready, ticket) => host.layerValues(ready, ticket));
  }

  async profile(options: ProfileOptions = {}): Promise<Profile> {
    checkKeys(options, ['runs', 'layers', 'signal'], 'profile');
    const { runs = 20, layers = false } = options;
    checkInteger(runs, 'runs', 1, 1e6);
    checkBoolean(layers, 'layers');
    const signal = checkSignal(options.signal);
    const { profileModel } = await import('./profile.js');
    return profileModel(runs, layers, signal, (signal, use) => this.withHost(signal, use));
  }

  async tune(options: TuneOptions & RunOptions = {}): Promise<Tuning> {
    const choice = checkTune(options, 'tune');
    const signal = checkSignal(options.signal);
    this.#tuneLater = undefined;
    clearTimeout(this.#tuneTimer);
    return this.#tuneNow(choice, signal);
  }

  async #tuneNow({ budget, cache }: TuneChoice, signal?: AbortSignal): Promise<Tuning> {
    const store = await storeOf(cache);
    const known = await store.pairs();
    const { kernels, milliseconds, leftOut } = await this.withHost(signal, (host, ticket) =>
      host.tune(budget, known, ticket),
    );
    return { kernels: await store.add(kernels), milliseconds, leftOut };
  }

  #tuneSoon(): void {
    const choice = this.#tuneLater;
    if (!choice) return;
    this.#tuneLater = undefined;
    // What fails here, fails because the model has been disposed of, or will show in the next answer.
    this.#tuneTimer = setTimeout(
      () => void this.#tuneNow(choice).catch(() => undefined),
      tuneAfterMilliseconds,
    );
    // In Node: not worth keeping a program running.
    (this.#tuneTimer as { unref?: () => void }).unref?.();
  }

  /** Goes on with the whole file in place of its first planes, once the reader has it. */
  async refine(
    reader: ByteReader,
    variants: string[],
    kernels: string[],
    keep: ((file: Uint8Array<ArrayBuffer>) => Promise<void>) | undefined,
    onRefine: NonNullable<LoadOptions['onRefine']>,
  ): Promise<void> {
    this.#rest = reader;
    let outcome: RefineOutcome = { refined: true };
    try {
      const file = await reader.read(Infinity);
      const info = await this.withEachHost((host) => host.refine(file, variants, kernels));
      this.info = infoOf(info, file.byteLength, this.info.workers);
      await keep?.(file);
    } catch (error) {
      outcome = { refined: false, error };
    }
    this.#rest = undefined;
    if (!this.disposed) onRefine(outcome);
  }

  override dispose(): void {
    super.dispose();
    this.#rest?.cancel();
  }

  protected override best(host: Calls<RuntimeHost>, image: HostImage, topK: number, ticket: number) {
    this.#tuneSoon();
    return host.run(image, topK, ticket);
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

function infoOf(info: RuntimeInfo, fileBytes: number, workers: number): ModelInfo {
  return {
    name: info.name,
    labels: info.labels,
    classes: info.classes,
    inputShape: info.inputShape,
    preprocess: info.preprocess,
    layers: info.layers,
    variants: usedVariants(info.layers),
    fileBytes,
    planes: info.planes,
    memoryBytes: info.memoryBytes,
    threads: info.threads,
    worker: workers > 0,
    workers,
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

/** Addresses of the web are worth caching; files and what was given as bytes are there already. */
function webAddress(source: ModelSource): string | undefined {
  if (source instanceof Request) return source.method === 'GET' ? source.url : undefined;
  if (typeof source !== 'string' && !(source instanceof URL)) return undefined;
  const base = (globalThis as { location?: { href: string } }).location?.href;
  const url = URL.canParse(source, base) ? new URL(source, base) : undefined;
  return url?.protocol === 'http:' || url?.protocol === 'https:' ? url.href : undefined;
}

async function compilePlain(source: WasmSource | undefined): Promise<RuntimeBuild> {
  const wasm = await compileWasm(source, new URL('./trefoil-runtime.wasm', import.meta.url));
  return { wasm, threads: 1 };
}

type Open = { link: Link<RuntimeHost>; value: RuntimeInfo; workers: number };

/** One host, or a pool of them: the others follow where the first has found that workers can be had. */
async function openHosts(
  options: LoadOptions,
  threads: number,
  load: (link: Link<RuntimeHost>) => Promise<RuntimeInfo>,
): Promise<Open> {
  const wanted = options.workers === undefined ? 1 : checkInteger(options.workers, 'workers', 1, maxWorkers);
  if (options.workers !== undefined && options.worker === false) {
    throw badOption('workers', 'workers needs workers: leave out worker: false');
  }
  const choice = {
    worker: options.worker,
    byDefault: inWorkerByDefault || options.workers !== undefined,
    start: threads > 1 ? startThreadedWorker : startRuntimeWorker,
    local: async () =>
      (threads > 1 ? await import('./threaded-runtime.js') : await import('./plain-runtime.js')).createHost(),
  };
  const first = await openLink<RuntimeHost, RuntimeInfo>(choice, load);
  if (!first.link.inWorker) return { ...first, workers: 0 };
  if (wanted === 1) return { ...first, workers: 1 };
  const { poolWith } = await import('./pool-link.js');
  const another = () => openLink<RuntimeHost, RuntimeInfo>({ ...choice, worker: true }, load);
  const link = await poolWith(first.link, wanted - 1, async () => (await another()).link);
  return { link, value: first.value, workers: wanted };
}

async function storeOf(cache: TuneChoice['cache']) {
  return new (await import('./tuning-store.js')).TuningStore(cache);
}

/** What was asked for, or what is usual in this platform's workers. Errors: BAD_OPTION. */
function tuneChoice(tune: unknown): TuneChoice | undefined {
  if (tune === undefined) return tuneInWorkerByDefault ? checkTune({}, 'tune') : undefined;
  if (typeof tune === 'boolean') return tune ? checkTune({}, 'tune') : undefined;
  return checkTune(tune as TuneOptions, 'loadModel: tune');
}

/**
 * Loads a `.trefoil` model.
 *
 * Errors: BAD_MODEL, MODEL_VERSION, NETWORK, FILE_NOT_FOUND, NOT_WASM, BAD_OPTION, OUT_OF_MEMORY, UNKNOWN_VARIANT and
 * others; the signal's reason.
 */
export async function loadModel(source: ModelSource, options: LoadOptions = {}): Promise<Model> {
  checkKeys(options, known, 'loadModel');
  const signal = checkSignal(options.signal);
  const planes = options.planes === undefined ? 2 : checkInteger(options.planes, 'planes', 1, 2);
  const onRefine = checkCallback(options.onRefine, 'onRefine');
  if (onRefine && planes === 1) {
    throw badOption(
      'onRefine',
      'planes: 1 asks for the first planes only, so onRefine would never be called',
    );
  }
  const severalWorkers = options.workers !== undefined && options.workers !== 1;
  const wanted = checkThreads(options.threads, severalWorkers ? 1 : threadsByDefault);
  const variants = variantPairs(options.variants);
  const tuning = tuneChoice(options.tune);
  // Read while the model comes. Who has not asked for it does not wait for it.
  let ready: string[] = [];
  const reading =
    tuning &&
    storeOf(tuning.cache)
      .then((tunings) => tunings.pairs())
      .then((kernels) => (ready = kernels));
  const tuned = async () => (options.tune === undefined ? ready : ((await reading) ?? []));
  const reporter = new Reporter(checkCallback(options.onProgress, 'onProgress'), signal);
  reporter.report({ phase: 'load', fraction: 0 });

  // The .wasm comes while the model does. Its failure is heard below, after the model's.
  const sharing = wanted !== 1 && sharesMemory() ? import('./sharing.js') : undefined;
  const compiling = sharing
    ? sharing.then(({ compileShared }) =>
        compileShared(
          wanted,
          (usual) => compileWasm(options.wasm, usual),
          () => compilePlain(options.wasm),
        ),
      )
    : compilePlain(options.wasm);
  compiling.catch(() => undefined);
  // So does the code that is needed without a worker. Should it fail, it is asked for again.
  if (options.worker === false && !sharing) import('./plain-runtime.js').catch(() => undefined);
  const store = options.cache ? new (await import('./cache.js')).ModelStore(options.cache) : undefined;
  const address = store && webAddress(source);
  let sections: Sections | undefined;
  const openSource = () =>
    openBytes(source, 'the model', {
      signal,
      onBytes: (loaded, total) => {
        // What lies behind the wanted part comes after the model is ready.
        if (sections && loaded > sections.first) return;
        const end = sections?.first ?? total;
        reporter.report({
          phase: 'load',
          fraction: end ? (0.9 * loaded) / end : 0,
          loaded,
          ...(end ? { total: end } : {}),
        });
      },
    });
  const open = async (reader: ByteReader) => {
    try {
      const byParts = planes === 1 || onRefine !== undefined;
      sections = byParts ? sectionsOf(await reader.read(sectionHeaderBytes)) : undefined;
      const bytes = await reader.read(sections?.first ?? Infinity);
      if (!onRefine) reader.cancel();
      checkNotHtml(bytes, source, 'BAD_MODEL');
      const first = onRefine ? 1 : planes;
      const openWith = async (compiled: Promise<RuntimeBuild>) => {
        const build = await abortable(compiled, signal);
        reporter.report({ phase: 'prepare', fraction: 0.9 });
        const sharing = { threads: build.threads, fileBytes: sections?.whole ?? bytes.length };
        return openHosts(options, build.threads, (link) =>
          // The worker's script starts while the kernels are read.
          link.call(
            async (host, ticket) =>
              host.load(build.wasm, bytes, variants, await tuned(), first, sharing, ticket),
            signal,
          ),
        );
      };
      const opened = await openWith(compiling).catch(async (error: unknown) => {
        if (options.wasm || !(await sharing)?.isThreadTrouble(error)) throw error;
        return openWith(compilePlain(undefined));
      });
      return { ...opened, reader, bytes };
    } catch (error) {
      reader.cancel();
      throw error;
    }
  };
  // Only what has proved to be a model is kept, and only the whole of it.
  const keep = async (bytes: Uint8Array<ArrayBuffer>) => {
    if (address) await store.set(address, bytes);
  };
  const fresh = async () => {
    const opened = await open(await openSource());
    if (!onRefine && opened.bytes.length >= (sections?.whole ?? 0)) await keep(opened.bytes);
    return opened;
  };
  const kept = address ? await store.get(address) : undefined;
  const { link, value, reader, bytes, workers } = await (kept
    ? open(ByteReader.of(kept)).catch(async (error: unknown) => {
        if (!(error instanceof TrefoilError) || !replaced.includes(error.code)) throw error;
        await store!.drop(address!);
        return fresh();
      })
    : fresh());
  const fileBytes = Math.min(bytes.byteLength, sections?.first ?? Infinity);
  const tuneLater = options.tune !== undefined || link.inWorker ? tuning : undefined;
  const model = new TernaryModel(link, infoOf(value, fileBytes, workers), tuneLater);
  try {
    reporter.report({ phase: 'prepare', fraction: 1 });
  } catch (error) {
    model.dispose();
    reader.cancel();
    throw error;
  }
  // Its own failures go to the callback; what the callback throws is for everybody to see.
  if (onRefine) void model.refine(reader, variants, await tuned(), kept ? undefined : keep, onRefine);
  return model;
}
