// What a ternary model and a float model have in common: pictures in, predictions out, and an end.
import { decode } from '#platform/images.js';

import type { BestClasses } from './engine.js';
import { disposed, type Reply } from './errors.js';
import { handOver, type Calls, type Link, type Use } from './link.js';
import { checkKeys, checkSignal, checkTopK } from './options.js';
import type { Decoded, HostImage } from './pixels.js';
import type { ClassifyOptions, ImageInput, Prediction } from './types.js';

/** A net under forgotten models: their workers and memory are given back once nobody can reach them. */
const forgotten = new FinalizationRegistry<{ close(): void }>((link) => link.close());

export abstract class Classifier<Host> {
  readonly #link: Link<Host>;
  readonly #labels: readonly string[];
  #disposed = false;

  constructor(link: Link<Host>, labels: readonly string[]) {
    this.#link = link;
    this.#labels = labels;
    forgotten.register(this, link, this);
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  async classify(image: ImageInput, options: ClassifyOptions = {}): Promise<Prediction[]> {
    checkKeys(options, ['topK', 'signal'], 'classify');
    const topK = checkTopK(options.topK);
    const { indices, scores } = await this.withImage(image, options.signal, (host, ready, ticket) =>
      this.best(host, ready, topK, ticket),
    );
    return indices.map((index, i) => ({
      label: this.#labels[index] ?? String(index),
      score: scores[i]!,
      index,
    }));
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    forgotten.unregister(this);
    this.#link.close();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  protected abstract best(
    host: Calls<Host>,
    image: HostImage,
    topK: number,
    ticket: number,
  ): Promise<Reply<BestClasses>>;

  /** Decodes a picture and calls the host with it. */
  protected async withImage<T>(
    image: ImageInput,
    signal: AbortSignal | undefined,
    use: (host: Calls<Host>, image: HostImage, ticket: number) => Promise<Reply<T>>,
  ): Promise<T> {
    checkSignal(signal);
    signal?.throwIfAborted();
    this.#checkAlive();
    const decoded = await decode(image, signal);
    const ready = forHost(this.#link, decoded);
    return this.withHost(signal, (host, ticket) => use(host, ready, ticket));
  }

  protected async withHost<T>(signal: AbortSignal | undefined, use: Use<Host, T>): Promise<T> {
    checkSignal(signal);
    signal?.throwIfAborted();
    this.#checkAlive();
    try {
      return await this.#link.call(use, signal);
    } finally {
      // Reading `this` down here keeps a model, that nobody else holds, from being collected during its own call.
      void this.#disposed;
    }
  }

  /** Calls every host there is, and gives the answer of the first. */
  protected async withEachHost<T>(use: Use<Host, T>): Promise<T> {
    this.#checkAlive();
    return this.#link.callEach(use);
  }

  #checkAlive(): void {
    if (this.#disposed) throw disposed();
  }
}

/** Copying a view to a worker copies the whole buffer behind it: only what is seen should go. */
export function forHost(link: { readonly inWorker: boolean }, { image, transfer }: Decoded): HostImage {
  if (!link.inWorker) return image;
  if ('data' in image && image.data.byteLength < image.data.buffer.byteLength) {
    return { ...image, data: image.data.slice() };
  }
  return handOver(image, transfer);
}
