// One runner with one model, in a page or a process of its own; the benchmark calls the methods from outside.
import { memoryBytes } from './memories.mjs';

import { channelsLast } from '../models/layout.mjs';
import { tensorsOf } from '../models/random.mjs';

const runners = {
  trefoil: () => import('../runners/trefoil.mjs'),
  'onnxruntime-web': () => import('../runners/onnxruntime.mjs'),
  'LiteRT.js': () => import('../runners/litert.mjs'),
  'tfjs-wasm': () => import('../runners/tfjs.mjs'),
};

const elapsed = async (work) => {
  const start = performance.now();
  await work();
  return performance.now() - start;
};

/** `read(path)` gives a file of the model's folder, `asset(path)` the address of a package's file (or is undefined). */
export class Seat {
  #host;
  #kind;
  #spec;
  #runner;
  #inputs;
  #kept;
  #together = 1;

  constructor(host) {
    this.#host = host;
  }

  /**
   * spec: { runner, files: { model, ... }, pictures: path, count, tested, shape, threads }. Returns the outputs for the first
   * `tested` of the `count` pictures: [{ logits, integers? }].
   */
  async open(spec) {
    this.#spec = spec;
    const [kind, pixels, model] = await Promise.all([
      runners[spec.runner](),
      this.#host.read(spec.pictures),
      this.#model(),
    ]);
    this.#kind = kind;
    const size = pixels.length / spec.count;
    this.#inputs = Array.from({ length: spec.tested }, (_, i) => {
      const { planes, floats } = tensorsOf(pixels.subarray(i * size, (i + 1) * size), spec.shape);
      switch (this.#kind.input) {
        case 'planes':
          return planes;
        case 'floatsLast':
          return channelsLast(floats, spec.shape);
        default:
          return floats;
      }
    });
    this.#runner = await this.#load(model);
    const outputs = [];
    for (const input of this.#inputs) {
      const { logits, integers } = await this.#runner.run(input);
      outputs.push({ logits: Array.from(logits), ...(integers && { integers: Array.from(integers) }) });
    }
    return outputs;
  }

  /** What a runner takes: addresses where it looks after a cache of models itself, else their bytes. */
  #model() {
    const { files, runner } = this.#spec;
    const { address } = this.#host;
    if (!address || runner !== 'trefoil') return this.#bytes();
    return Object.fromEntries(Object.entries(files).map(([name, path]) => [name, address(path)]));
  }

  async #bytes() {
    const { files } = this.#spec;
    const read = async ([name, path]) => [name, await this.#host.read(path)];
    return Object.fromEntries(await Promise.all(Object.entries(files).map(read)));
  }

  #load(bytes) {
    const { shape, threads } = this.#spec;
    return this.#kind.load({ bytes, shape, threads, asset: this.#host.asset });
  }

  async #run(times) {
    for (let i = 0; i < times; ++i) await this.#runner.run(this.#inputs[0]);
  }

  /** Runs until engines have compiled what is hot with their best compiler: a second and a few runs at least. */
  async warmUp(milliseconds = 1000, runs = 4) {
    const end = performance.now() + milliseconds;
    for (let i = 0; i < runs || performance.now() < end; ++i) await this.#run(1);
    const each = (await elapsed(() => this.#run(4))) / 4;
    this.#together = Math.ceil(5 / Math.max(0.05, each));
  }

  /**
   * { times, runs }: milliseconds of one run on the first picture, measured `count` times, and the number of runs in all. A
   * network that takes less than a few milliseconds is run several times a measurement, for the clocks of browsers are coarse.
   */
  async time(count) {
    const times = [];
    for (let i = 0; i < count; ++i) {
      times.push((await elapsed(() => this.#run(this.#together))) / this.#together);
    }
    return { times, runs: count * this.#together };
  }

  async memory() {
    return memoryBytes();
  }

  /** Reads the model's bytes for prepare(). */
  async keepBytes() {
    this.#kept = await this.#bytes();
  }

  /** Milliseconds from the bytes of the model to a runner that is ready, its WebAssembly being compiled already. */
  async prepare() {
    await this.#runner.close();
    return elapsed(async () => void (this.#runner = await this.#load(this.#kept)));
  }
}
