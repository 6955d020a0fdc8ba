// The float evaluator against onnxruntime: the reference that accuracy is measured against must itself be right.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

import * as ort from 'onnxruntime-web';
import { loadFloatModel, type PreprocessOptions } from 'trefoil/quantize';
import { describe, expect, test } from 'vitest';

import { goldenPixels } from '../golden/golden.js';
import { onnxPath, preprocess, root } from './signs.js';

ort.env.logLevel = 'error';
ort.env.wasm.numThreads = 1;

const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const known: Record<string, PreprocessOptions> = {
  'signs.onnx': preprocess,
  'mobilenet_v2.onnx': { resize: 256, crop: 224, mean: 128 / 255, std: 128 / 255 },
  'squeezenet1_1.onnx': { resize: 256, crop: 224, ...imagenet },
  'tiny_darknet.onnx': { resize: 256, crop: 224 },
  'resnet8_cifar10.onnx': { std: 1 / 255 },
};

const shared = resolve(root, '../shared/models');
const sharedModels = existsSync(shared) ? readdirSync(shared).filter((file) => file.endsWith('.onnx')) : [];

async function largestDifference(path: string, options: PreprocessOptions): Promise<number> {
  const model = await loadFloatModel(path, { preprocess: options });
  const session = await ort.InferenceSession.create(new Uint8Array(readFileSync(path)));
  const { inputShape } = model.info;
  const { mean, std } = model.info.preprocess;
  let largest = 0;
  for (const seed of [1, 2, 3]) {
    const picture = { data: goldenPixels(300, 260, seed), width: 300, height: 260 };
    const planes = await model.planes(picture);
    const plane = inputShape[1] * inputShape[2];
    const input = Float32Array.from(planes, (value, i) => {
      const channel = Math.floor(i / plane);
      return Math.fround((value / 255 - mean[channel]!) / std[channel]!);
    });
    const tensor = new ort.Tensor('float32', input, [1, ...inputShape]);
    const results = await session.run({ [session.inputNames[0]!]: tensor });
    const expected = results[session.outputNames[0]!]!.data as Float32Array;

    // Trefoil drops a final softmax: such a network's outputs are compared as probabilities.
    const sum = expected.reduce((total, value) => total + value, 0);
    const isSoftmax = Math.abs(sum - 1) < 1e-3 && expected.every((value) => value >= 0);
    const { logits } = await model.logits(picture);
    let actual = [...logits];
    if (isSoftmax) {
      actual = new Array<number>(logits.length);
      for (const { index, score } of await model.classify(picture, { topK: logits.length }))
        actual[index] = score;
    }
    expect(actual.length).toBe(expected.length);
    const scale = Math.max(...expected.map(Math.abs));
    const difference = Math.max(...actual.map((value, i) => Math.abs(value - expected[i]!)));
    largest = Math.max(largest, difference / scale);
  }
  await session.release();
  model.dispose();
  return largest;
}

describe('float outputs are those of onnxruntime, within 1e-4 of the largest', () => {
  test('signs.onnx', async () => {
    expect(await largestDifference(onnxPath, preprocess)).toBeLessThan(1e-4);
  });

  test.skipIf(sharedModels.length === 0)(
    'networks of ../shared/models (skipped where that folder is missing)',
    async () => {
      for (const file of sharedModels) {
        const options = known[file] ?? imagenet;
        expect(await largestDifference(join(shared, file), options), file).toBeLessThan(1e-4);
      }
    },
  );
});
