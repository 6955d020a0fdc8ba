// Quantized models kept by what they were made of: network, recipe, preprocessing, labels, pictures and quantizer.
import { ModelStore } from './cache.js';
import { hashOf } from './hash.js';
import type { Quantized, QuantizeReport } from './quantize-types.js';

async function addressOf(parts: unknown, ending: string): Promise<string> {
  const hash = await hashOf(new TextEncoder().encode(JSON.stringify(parts)));
  // No server: the Cache API takes addresses of the web only.
  return `https://trefoil.invalid/quantized/${hash.replace('sha256:', '')}.${ending}`;
}

export class QuantizedStore {
  readonly #store: ModelStore;

  /** Errors: BAD_OPTION. */
  constructor(option: unknown) {
    this.#store = new ModelStore(option);
  }

  async find(parts: unknown): Promise<Quantized | undefined> {
    const model = await this.#store.get(await addressOf(parts, 'trefoil'));
    const report = await this.#store.get(await addressOf(parts, 'json'));
    if (!model || !report) return undefined;
    try {
      return { model, report: JSON.parse(new TextDecoder().decode(report)) as QuantizeReport };
    } catch {
      return undefined;
    }
  }

  async keep(parts: unknown, { model, report }: Quantized): Promise<void> {
    await this.#store.set(await addressOf(parts, 'trefoil'), model);
    const text = new TextEncoder().encode(JSON.stringify(report));
    await this.#store.set(await addressOf(parts, 'json'), text);
  }
}
