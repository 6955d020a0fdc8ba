import createRuntime from 'trefoil-wasm/trefoil-runtime.mjs';

import {
  Engine,
  type RuntimeInfo,
  type RuntimeModule,
  type RuntimeProfile,
  type RuntimeRun,
  type RuntimeTuning,
} from './engine.js';
import type { Reply } from './errors.js';
import { replying, toPixels } from './host.js';
import type { LayerValues } from './model-types.js';
import type { HostImage } from './pixels.js';

/** An instance that a disposed model left behind, kept for the next one; a large one is given back instead. */
const spare: { wasm: WebAssembly.Module; engine: Engine<RuntimeModule> }[] = [];
const keptSpares = 2;
const keptBytes = 32 << 20;

/** Kernels are run once, and timed after what the engine should need to compile them well. */
const tuning = { compileMilliseconds: 500, sliceMilliseconds: 10 };

const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

/** Owns one instance of the runtime module, and the model in it. */
export class RuntimeHost {
  #engine: Engine<RuntimeModule> | undefined;
  #wasm: WebAssembly.Module | undefined;
  #tuning: Promise<Reply<RuntimeTuning>> | undefined;

  load(
    wasm: WebAssembly.Module,
    file: Uint8Array,
    variants: string[],
    kernels: string[],
    planes: number,
  ): Promise<Reply<RuntimeInfo>> {
    return replying(async () => {
      this.close();
      const found = spare.findIndex((item) => item.wasm === wasm);
      const engine =
        found >= 0
          ? spare.splice(found, 1)[0]!.engine
          : await Engine.create<RuntimeModule>(createRuntime, wasm);
      this.#engine = engine;
      this.#wasm = wasm;
      return engine.call((module) => module.load(file, variants, kernels, planes));
    });
  }

  /** The whole file for its first planes; where it fails, those go on. */
  refine(file: Uint8Array, variants: string[], kernels: string[]): Promise<Reply<RuntimeInfo>> {
    return replying(() => this.#withModule((module) => module.refine(file, variants, kernels)));
  }

  run(image: HostImage, topK: number): Promise<Reply<RuntimeRun>> {
    return this.#withImage(image, (module, { data, width, height, channels }) =>
      module.run(data, width, height, channels, topK),
    );
  }

  runPlanes(planes: Uint8Array, topK: number): Promise<Reply<RuntimeRun>> {
    return replying(() => this.#withModule((module) => module.runPlanes(planes, topK)));
  }

  planes(image: HostImage): Promise<Reply<Uint8Array<ArrayBuffer>>> {
    return this.#withImage(image, (module, { data, width, height, channels }) =>
      module.planes(data, width, height, channels),
    );
  }

  layerValues(image: HostImage): Promise<Reply<LayerValues[]>> {
    return this.#withImage(image, (module, { data, width, height, channels }) =>
      module.layerValues(data, width, height, channels),
    );
  }

  profile(runs: number, layers: boolean): Promise<Reply<RuntimeProfile>> {
    return replying(() => this.#withModule((module) => module.profile(runs, layers)));
  }

  /** In slices, so that pictures need not wait for the end. */
  tune(budget: number): Promise<Reply<RuntimeTuning>> {
    const before = this.#tuning;
    return (this.#tuning = replying(async () => {
      await before; // one at a time
      const started = this.#withModule((module) => module.startTuning(budget));
      if ('error' in started) return started;
      if (started.value > 0) await pause(tuning.compileMilliseconds);
      for (;;) {
        const reply = this.#withModule((module) => module.tune(tuning.sliceMilliseconds));
        if ('error' in reply || reply.value.done) return reply;
        await pause(0);
      }
    }));
  }

  loadRate(milliseconds: number): Promise<Reply<number>> {
    return replying(() => this.#withModule((module) => ({ value: module.loadRate(milliseconds) })));
  }

  close(): void {
    const engine = this.#engine;
    const wasm = this.#wasm;
    this.#engine = undefined;
    if (!engine || !wasm || !engine.usable) return;
    engine.call((module) => {
      module.unload();
      return { value: undefined };
    });
    if (engine.memoryBytes <= keptBytes && spare.length < keptSpares) spare.push({ wasm, engine });
  }

  #withImage<T>(
    image: HostImage,
    work: (module: RuntimeModule, pixels: ReturnType<typeof toPixels>) => Reply<T>,
  ): Promise<Reply<T>> {
    return replying(() => {
      const pixels = toPixels(image);
      return this.#withModule((module) => work(module, pixels));
    });
  }

  #withModule<T>(work: (module: RuntimeModule) => Reply<T>): Reply<T> {
    const engine = this.#engine;
    if (!engine) return { error: { code: 'DISPOSED', message: 'the model has been disposed of' } };
    return engine.call(work);
  }
}
