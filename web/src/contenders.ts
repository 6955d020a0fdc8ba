// The networks that answer side by side: each takes a decoded picture and says what it shows, and how long that took.
import type { Model } from 'trefoil';
import type { FloatModel } from 'trefoil/quantize';

export interface Answer {
  label: string;
  index: number;
  score: number;
  /** From the decoded picture to the answer. */
  milliseconds: number;
}

export interface Contender {
  readonly id: 'float' | 'ternary' | 'onnxruntime';
  readonly name: string;
  /** Of its file. */
  readonly bytes: number;
  ask(image: ImageData): Promise<Answer>;
  dispose(): void;
}

export function ofModel(
  id: 'float' | 'ternary',
  model: Pick<Model | FloatModel, 'classify' | 'dispose'>,
  bytes: number,
): Contender {
  return {
    id,
    name: id,
    bytes,
    async ask(image) {
      const start = performance.now();
      const [best] = await model.classify(image, { topK: 1 });
      return { ...best!, milliseconds: performance.now() - start };
    },
    dispose: () => model.dispose(),
  };
}
