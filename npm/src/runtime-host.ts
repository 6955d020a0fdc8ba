import { mayBlock } from '#platform/threads.js';

import {
  Engine,
  type Factory,
  type RuntimeInfo,
  type RuntimeModule,
  type RuntimeProfile,
  type RuntimeRun,
  type RuntimeTuning,
} from './engine.js';
import { TrefoilError, valueOf, type Reply } from './errors.js';
import { ModuleHost, replying, stopped, toPixels, type Portions } from './host.js';
import type { LayerValues } from './model-types.js';
import type { HostImage } from './pixels.js';
import { Threads } from './threads.js';

/** An instance that a disposed model left behind, kept for the next one; a large one is given back instead. */
const spare: { wasm: WebAssembly.Module; engine: Engine<RuntimeModule> }[] = [];
const keptSpares = 2;
const keptBytes = 32 << 20;

/** Kernels are run once, and timed after what the engine should need to compile them well. */
const tuning = { compileMilliseconds: 500, sliceMilliseconds: 10 };

const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

/**
 * Memory for threads to share. Some systems (iOS) take all of the maximum at once and refuse a large one, so it follows
 * the model: preparing weights takes a few times the file, activations some tens of megabytes.
 */
function sharedMemory(fileBytes: number): WebAssembly.Memory {
  const [page, mebibyte, step] = [1 << 16, 1 << 20, 64 << 20];
  const most = Math.min(1024 * mebibyte, 128 * mebibyte + Math.ceil((16 * fileBytes) / step) * step);
  return new WebAssembly.Memory({ initial: (4 * mebibyte) / page, maximum: most / page, shared: true });
}

const loading = (
  file: Uint8Array,
  variants: string[],
  kernels: string[],
  planes: number,
): Portions<RuntimeModule, RuntimeInfo> => ({
  begin: (module) => module.beginLoad(file, variants, kernels, planes),
  advance: (module, milliseconds) => module.advanceLoad(milliseconds),
});

/** Owns one instance of the runtime module, and the model in it. */
export class RuntimeHost extends ModuleHost<RuntimeModule> {
  readonly #factory: Factory<RuntimeModule>;
  /** Where the instance may serve another model later. */
  #wasm: WebAssembly.Module | undefined;
  #tuning: Promise<Reply<RuntimeTuning>> | undefined;
  #threads: Threads | undefined;

  constructor(factory: Factory<RuntimeModule>) {
    super('model');
    this.#factory = factory;
  }

  /** sharing: more threads than one only with the build for them; the whole file's size. */
  load(
    wasm: WebAssembly.Module,
    file: Uint8Array,
    variants: string[],
    kernels: string[],
    planes: number,
    sharing: { threads: number; fileBytes: number },
    ticket: number,
  ): Promise<Reply<RuntimeInfo>> {
    return this.ticketed(ticket, async (wanted) => {
      this.close();
      const { threads, fileBytes } = sharing;
      this.engine =
        threads > 1 ? await this.#startThreads(wasm, threads, fileBytes) : await this.#takeEngine(wasm);
      const reply = await this.inPortions(ticket > 0, wanted, loading(file, variants, kernels, planes));
      // Without a model nobody would close it.
      if ('error' in reply && threads > 1) this.close();
      return this.#withThreads(reply);
    });
  }

  /** The whole file for its first planes; where it fails, those go on. In slices, as nobody waits for it. */
  refine(file: Uint8Array, variants: string[], kernels: string[]): Promise<Reply<RuntimeInfo>> {
    return this.inTurn(async () =>
      this.#withThreads(await this.inPortions(true, () => true, loading(file, variants, kernels, 2))),
    );
  }

  run(image: HostImage, topK: number, ticket: number): Promise<Reply<RuntimeRun>> {
    return this.#run(topK, ticket, (module) => {
      const { data, width, height, channels } = toPixels(image);
      return module.begin(data, width, height, channels);
    });
  }

  runPlanes(planes: Uint8Array, topK: number, ticket: number): Promise<Reply<RuntimeRun>> {
    return this.#run(topK, ticket, (module) => module.beginPlanes(planes));
  }

  planes(image: HostImage): Promise<Reply<Uint8Array<ArrayBuffer>>> {
    return replying(() => {
      const { data, width, height, channels } = toPixels(image);
      return this.withModule((module) => module.planes(data, width, height, channels));
    });
  }

  layerValues(image: HostImage, ticket: number): Promise<Reply<LayerValues[]>> {
    return this.#run(1, ticket, (module) => {
      const { data, width, height, channels } = toPixels(image);
      return module.beginLayers(data, width, height, channels);
    });
  }

  profile(runs: number, layers: boolean): Promise<Reply<RuntimeProfile>> {
    return this.inTurn(() => this.withModule((module) => module.profile(runs, layers)));
  }

  /** In slices, so that pictures need not wait for the end. */
  tune(budget: number, known: string[], ticket: number): Promise<Reply<RuntimeTuning>> {
    const before = this.#tuning;
    return (this.#tuning = this.ticketed(ticket, async (wanted) => {
      await before; // one at a time
      const started = this.withModule((module) => module.startTuning(budget, known));
      if ('error' in started) return started;
      if (started.value > 0) await pause(tuning.compileMilliseconds);
      for (;;) {
        const reply = this.withModule((module) => module.tune(tuning.sliceMilliseconds));
        if ('error' in reply || reply.value.done) return reply;
        await pause(0);
        if (!wanted()) return stopped;
      }
    }));
  }

  loadRate(milliseconds: number): Promise<Reply<number>> {
    return replying(() => this.withModule((module) => ({ value: module.loadRate(milliseconds) })));
  }

  close(): void {
    const engine = this.engine;
    const wasm = this.#wasm;
    this.engine = undefined;
    this.#wasm = undefined;
    this.#threads?.terminate();
    this.#threads = undefined;
    if (!engine || !wasm || !engine.usable) return;
    engine.call((module) => {
      module.unload();
      return { value: undefined };
    });
    if (engine.memoryBytes <= keptBytes && spare.length < keptSpares) spare.push({ wasm, engine });
  }

  async #takeEngine(wasm: WebAssembly.Module): Promise<Engine<RuntimeModule>> {
    this.#wasm = wasm;
    const found = spare.findIndex((item) => item.wasm === wasm);
    return found >= 0 ? spare.splice(found, 1)[0]!.engine : Engine.create<RuntimeModule>(this.#factory, wasm);
  }

  /** Such an instance ends with its model: its threads are terminated wherever they are. */
  async #startThreads(
    wasm: WebAssembly.Module,
    count: number,
    fileBytes: number,
  ): Promise<Engine<RuntimeModule>> {
    const threads = new Threads(count - 1);
    this.#threads = threads;
    try {
      const memory = sharedMemory(fileBytes);
      const engine = await Engine.create<RuntimeModule>(this.#factory, wasm, memory);
      const { entry, stacks } = valueOf(engine.call((module) => module.prepareThreads!(count, mayBlock)));
      threads.begin((thread) => ({ wasm, memory, entry, stack: stacks[thread - 1]!, thread }));
      return engine;
    } catch (error) {
      this.close();
      if (!(error instanceof RangeError)) throw error;
      throw new TrefoilError('OUT_OF_MEMORY', `no memory to share: ${error.message}`, {}, error);
    }
  }

  /** Adds how many threads there are, once all have come or failed to. */
  async #withThreads(reply: Reply<RuntimeInfo>): Promise<Reply<RuntimeInfo>> {
    if ('error' in reply) return reply;
    return { value: { ...reply.value, threads: 1 + ((await this.#threads?.begun) ?? 0) } };
  }

  #run<T>(topK: number, ticket: number, begin: Portions<RuntimeModule, T>['begin']): Promise<Reply<T>> {
    return this.running(ticket, {
      begin,
      advance: (module, milliseconds) => module.advance(milliseconds, topK) as Reply<T | undefined>,
    });
  }
}
