// Running a model over labelled pictures, and counting.
import { decode } from '../platform/node/images.js';
import type { Pixels } from '../types.js';
import type { Sample } from './images.js';
import type { AnyModel } from './models.js';
import { wilsonInterval } from './terminal.js';

/** Counts of one model over the pictures so far. */
export class Tally {
  count = 0;
  top1 = 0;
  top5 = 0;
  milliseconds = 0;

  add(ranked: readonly number[], truth: number, milliseconds: number): void {
    ++this.count;
    if (ranked[0] === truth) ++this.top1;
    if (ranked.includes(truth)) ++this.top5;
    this.milliseconds += milliseconds;
  }

  get figures() {
    return {
      top1: this.top1 / this.count,
      top5: this.top5 / this.count,
      count: this.count,
      interval: wilsonInterval(this.top1, this.count),
      top5Interval: wilsonInterval(this.top5, this.count),
      milliseconds: this.milliseconds / this.count,
    };
  }
}

/** Decodes a few pictures ahead: sharp works beside the network, on threads of its own. */
export async function* decodedAhead(
  samples: readonly Sample[],
  signal: AbortSignal,
): AsyncGenerator<[Sample, Pixels]> {
  const ahead = 4;
  const decoding: Promise<Pixels>[] = [];
  const start = (sample: Sample) => {
    const pixels = decode(sample.image(), signal).then(({ image }) => image as Pixels);
    // Heard when its turn comes.
    pixels.catch(() => undefined);
    decoding.push(pixels);
  };
  samples.slice(0, ahead).forEach(start);
  for (const [i, sample] of samples.entries()) {
    const pixels = await decoding.shift()!;
    const next = samples[i + ahead];
    if (next) start(next);
    yield [sample, pixels];
  }
}

export async function timedRanking(
  { kind, model }: AnyModel,
  pixels: Pixels,
  tally: Tally,
  truth: number,
  signal: AbortSignal,
): Promise<number> {
  // A float run may take seconds, so it can be ended between layers. A ternary one is soon over, and is timed without the
  // pauses that looking for the end would take.
  const options = kind === 'onnx' ? { topK: 5, signal } : { topK: 5 };
  const start = performance.now();
  const predictions = await model.classify(pixels, options);
  const ranked = predictions.map(({ index }) => index);
  tally.add(ranked, truth, performance.now() - start);
  return ranked[0]!;
}
