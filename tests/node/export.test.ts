// exportOnnx(): another engine, given the same network as a standard graph, must find what ours finds.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import * as ort from 'onnxruntime-web';
import { loadModel } from 'trefoil';
import { exportOnnx, quantize } from 'trefoil/quantize';
import { describe, expect, test } from 'vitest';

import { goldenPixels } from '../golden/golden.js';
import { networks } from './onnx-networks.js';
import { errorOf, labels, picturesOf, quantizedSigns, root } from './signs.js';

ort.env.logLevel = 'error';
ort.env.wasm.numThreads = 1;

interface Agreement {
  images: number;
  /** Images whose best class, and whose logits within 1e-5 of the largest, are the same. */
  top1: number;
  same: number;
  /** The largest difference of a logit, as a share of the largest logit. */
  largest: number;
}

async function agreement(bytes: Uint8Array<ArrayBuffer>, pictures: readonly unknown[]): Promise<Agreement> {
  const model = await loadModel(bytes);
  const session = await ort.InferenceSession.create(await exportOnnx(bytes));
  expect(session.inputNames).toEqual(['image']);
  expect(session.outputNames).toEqual(['logits']);
  const { inputShape } = model.info;
  const { mean, std } = model.info.preprocess;
  const plane = inputShape[1] * inputShape[2];
  const result = { images: pictures.length, top1: 0, same: 0, largest: 0 };
  for (const picture of pictures as string[]) {
    const input = Float32Array.from(await model.planes(picture), (value, i) => {
      const channel = Math.floor(i / plane);
      return (value / 255 - mean[channel]!) / std[channel]!;
    });
    const image = new ort.Tensor('float32', input, [1, ...inputShape]);
    const theirs = (await session.run({ image }))['logits']!.data as Float32Array;
    const { logits: ours } = await model.logits(picture);
    expect(theirs.length).toBe(ours.length);
    const scale = Math.max(...ours.map(Math.abs), 1e-6);
    const difference = Math.max(...ours.map((x, i) => Math.abs(x - theirs[i]!))) / scale;
    const best = (list: Float32Array) => list.indexOf(Math.max(...list));
    result.top1 += Number(best(ours) === best(theirs));
    result.same += Number(difference < 1e-5);
    result.largest = Math.max(result.largest, difference);
  }
  await session.release();
  model.dispose();
  return result;
}

const signs = labels.map((label) => picturesOf(label)[0]!);

describe('onnxruntime runs an exported network as we do', () => {
  test.each([
    ['groups of 4', {}],
    ['two planes', { planes: 2, groupSize: 64 }],
    ['two-sided', { method: 'fgq-two-sided', groupSize: 8 }],
    ['4-bit activations', { activationBits: 4, residualBits: 6 }],
  ] as const)('signs, %s', async (_, options) => {
    const { model } = await quantizedSigns(options);
    const { images, top1, same, largest } = await agreement(model, signs);
    // A level here and there may fall the other way, where a real sum lies between two; most pictures have none that
    // reaches the last layer.
    expect(top1).toBe(images);
    expect(largest).toBeLessThan(0.02);
    expect(same).toBeGreaterThan(0.2 * images);
  });

  test.each(['signs-n4-a8', 'signs-n64-a4', 'signs-two-sided-n8-a6'])('golden %s', async (name) => {
    const bytes = new Uint8Array(readFileSync(join(root, `tests/golden/${name}.trefoil`)));
    const { images, top1, largest } = await agreement(bytes, signs);
    expect(top1).toBe(images);
    expect(largest).toBeLessThan(0.02);
  });

  test.each(Object.keys(networks))('%s', async (name) => {
    const network = networks[name]!;
    const pictures = [1, 2, 3, 4].map((seed) => ({
      data: goldenPixels(12, 12, seed),
      width: 12,
      height: 12,
    }));
    const { model } = await quantize(network.onnx(), {
      calibration: pictures,
      preprocess: { mean: [0.4, 0.5, 0.6], std: [0.25, 0.2, 0.3] },
    });
    const loaded = await loadModel(model);
    const operations = new Set(loaded.info.layers.map(({ operation }) => operation));
    loaded.dispose();
    for (const operation of network.operations) expect([...operations]).toContain(operation);
    const { images, top1, largest } = await agreement(model, pictures);
    expect(top1).toBe(images);
    // Too small for any sum to lie on a border: all levels are the same.
    expect(largest).toBeLessThan(1e-6);
  });
});

test('what is no model is refused, and so are unknown options', async () => {
  expect(await errorOf(exportOnnx(new Uint8Array(100)))).toMatchObject({ code: 'BAD_MODEL' });
  const bad = { planes: 1 } as object;
  expect(await errorOf(exportOnnx(new Uint8Array(100), bad))).toMatchObject({ code: 'BAD_OPTION' });
  const { model } = await quantizedSigns();
  const signal = AbortSignal.abort('no');
  expect(await errorOf(exportOnnx(model, { signal }))).toBe('no');
  expect(await exportOnnx(model, { worker: true })).toEqual(await exportOnnx(model));
});
