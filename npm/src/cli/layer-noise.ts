import type { LayerInfo, LayerValues } from '../model-types.js';

export interface LayerNoiseFigure {
  name: string;
  operation: string;
  /** 10 log10 of the reference's energy over that of the difference; null where there is no difference. */
  signalToNoiseDb: number | null;
}

/** Sums, layer by layer, how far a quantized network's results are from the float network's. */
export class LayerNoise {
  readonly #layers: readonly LayerInfo[];
  readonly #sums = new Map<string, { signal: number; noise: number }>();
  images = 0;

  constructor(layers: readonly LayerInfo[]) {
    this.#layers = layers;
  }

  /** The results of one picture. Layers that only one of the two has are left out. */
  add(quantized: readonly LayerValues[], reference: readonly LayerValues[]): void {
    ++this.images;
    const expected = new Map(reference.map(({ name, values }) => [name, values]));
    for (const { name, values } of quantized) {
      const wanted = expected.get(name);
      if (wanted?.length !== values.length) continue;
      const sums = this.#sums.get(name) ?? { signal: 0, noise: 0 };
      for (let i = 0; i < values.length; ++i) {
        const difference = values[i]! - wanted[i]!;
        sums.signal += wanted[i]! * wanted[i]!;
        sums.noise += difference * difference;
      }
      this.#sums.set(name, sums);
    }
  }

  /** In the order of the network. */
  get figures(): LayerNoiseFigure[] {
    return this.#layers.flatMap(({ name, operation }) => {
      const sums = this.#sums.get(name);
      if (!sums) return [];
      const { signal, noise } = sums;
      // A layer that yields nothing but zeros, with noise on top, has no signal at all.
      const ratio = signal === 0 && noise > 0 ? Number.MIN_VALUE : signal / noise;
      const decibels = Math.max(-200, 10 * Math.log10(ratio));
      return [{ name, operation, signalToNoiseDb: noise === 0 ? null : decibels }];
    });
  }
}
