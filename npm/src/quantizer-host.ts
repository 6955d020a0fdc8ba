import createQuantizer from 'trefoil-wasm/trefoil-quantizer.mjs';

import {
  Engine,
  type FloatRun,
  type GraphInfo,
  type LayerRecipe,
  type QuantizerModule,
  type Recipe,
} from './engine.js';
import type { Reply } from './errors.js';
import { hashOf } from './hash.js';
import { ModuleHost, replying, toPixels } from './host.js';
import type { LayerValues } from './model-types.js';
import type { HostImage } from './pixels.js';
import type { Preprocess } from './types.js';

/** Hears of progress; what it returns (false: cancel) counts only on the caller's own thread. */
export type HostProgress = (phase: string, fraction: number, layer: string) => boolean | Promise<boolean>;

/** Owns one instance of the quantizer module, and the float network in it. */
export class QuantizerHost extends ModuleHost<QuantizerModule> {
  constructor() {
    super('network');
  }

  /** height, width: the input of a model that leaves it open, else 0. */
  open(
    wasm: WebAssembly.Module,
    file: Uint8Array,
    height: number,
    width: number,
    ticket: number,
  ): Promise<Reply<GraphInfo>> {
    return this.ticketed(ticket, async (wanted) => {
      this.close();
      this.engine = await Engine.create<QuantizerModule>(createQuantizer, wasm);
      return this.inPortions<GraphInfo>(ticket > 0, wanted, {
        begin: (module) => module.beginOpen(file, height, width),
        advance: (module, milliseconds) => module.advanceOpen(milliseconds),
      });
    });
  }

  /** In an instance of its own: no network need be open. */
  exportOnnx(wasm: WebAssembly.Module, file: Uint8Array): Promise<Reply<Uint8Array<ArrayBuffer>>> {
    return replying(async () => {
      const engine = await Engine.create<QuantizerModule>(createQuantizer, wasm);
      return engine.call((module) => module.exportOnnx(file));
    });
  }

  evaluate(image: HostImage, preprocess: Preprocess, topK: number, ticket: number): Promise<Reply<FloatRun>> {
    return this.running(ticket, {
      begin: (module) => {
        const { data, width, height, channels } = toPixels(image);
        return module.begin(data, width, height, channels, preprocess);
      },
      advance: (module, milliseconds) => module.advance(milliseconds, topK),
    });
  }

  planes(image: HostImage, preprocess: Preprocess): Promise<Reply<Uint8Array<ArrayBuffer>>> {
    return replying(() => {
      const { data, width, height, channels } = toPixels(image);
      return this.withModule((module) => module.planes(data, width, height, channels, preprocess));
    });
  }

  layerValues(image: HostImage, preprocess: Preprocess, ticket: number): Promise<Reply<LayerValues[]>> {
    return this.running(ticket, {
      begin: (module) => {
        const { data, width, height, channels } = toPixels(image);
        return module.beginLayers(data, width, height, channels, preprocess);
      },
      advance: (module, milliseconds) => module.advanceLayers(milliseconds),
    });
  }

  /** With `digest`, the hash of the planes that the network will see of the picture; else an empty string. */
  addCalibrationImage(image: HostImage, preprocess: Preprocess, digest: boolean): Promise<Reply<string>> {
    return replying(async () => {
      const { data, width, height, channels } = toPixels(image);
      const added = await this.#with((module) =>
        module.addCalibrationImage(data, width, height, channels, preprocess),
      );
      if ('error' in added) return added;
      if (!digest) return { value: '' };
      const planes = await this.#with((module) => module.planes(data, width, height, channels, preprocess));
      return 'error' in planes ? planes : { value: await hashOf(planes.value) };
    });
  }

  checkRecipe(recipe: Recipe): Promise<Reply<undefined>> {
    return this.#with((module) => module.checkRecipe(recipe));
  }

  quantize(
    recipe: Recipe,
    preprocess: Preprocess,
    labels: string[],
    sourceHash: string,
    progress: HostProgress,
  ): Promise<Reply<{ model: Uint8Array<ArrayBuffer>; report: string }>> {
    return this.#with((module) =>
      module.quantize(recipe, preprocess, labels, sourceHash, 0, (phase, fraction, layer) => {
        // From a worker the answer would come too late: there, cancelling ends the worker.
        return progress(phase, fraction, layer) !== false;
      }),
    );
  }

  /** The forms that a recipe of milliseconds with these activation bits chooses from. */
  mixedForms(activationBits: number): Promise<Reply<Omit<LayerRecipe, 'layer'>[]>> {
    return this.#with((module) => ({ value: module.mixedForms(activationBits) }));
  }

  /** A model to be timed: the network and its images stay as they are. */
  quantizeTrial(
    recipe: Recipe,
    preprocess: Preprocess,
    images: number,
  ): Promise<Reply<{ model: Uint8Array<ArrayBuffer> }>> {
    return this.#with((module) => module.quantize(recipe, preprocess, [], '', images, () => true));
  }

  close(): void {
    // Dropping the instance gives its memory back, which a network and its images may have grown to gigabytes.
    this.engine = undefined;
  }

  /** Once no run is under way. */
  #with<T>(work: (module: QuantizerModule) => Reply<T>): Promise<Reply<T>> {
    return this.inTurn(() => this.withModule(work));
  }
}
