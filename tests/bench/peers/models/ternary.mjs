// Makes our own models from the float ONNX files, by the npm package's quantizer.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { loadModel } from 'trefoil';
import { loadFloatModel, quantize } from 'trefoil/quantize';

import { hashOf, readJson } from './make.mjs';
import { picture, preprocess, tensorsOf } from './random.mjs';

// Quick to make; compensation changes which codes there are, not what is done with them.
const plain = { method: 'fgq', scaleLevels: 'free' };

/** What is measured of ours: name to the options of quantize(). a4: all activations; a4-r8: sums keep 8 bits. */
export const recipes = {
  'n64-a8': { ...plain, groupSize: 64 },
  'n64-a4': { ...plain, groupSize: 64, activationBits: 4, residualBits: 4 },
  'n64-a4-r8': { ...plain, groupSize: 64, activationBits: 4, residualBits: 8 },
  'n4-l4-a8': { ...plain, groupSize: 4, scaleLevels: 4 },
  'n4-a8': { ...plain, groupSize: 4 },
  'n64-p2-a8': { ...plain, groupSize: 64, planes: 2 },
  // What quantize() without options gives the trained networks of these shapes. With random weights there is no accuracy to
  // lose, and no layer would be protected.
  default: { ...plain, weights: 'int8' },
};

/** The recipe's options; int8 weights are said layer by layer. */
async function optionsOf({ weights, ...options }, onnx) {
  if (!weights) return options;
  const float = await loadFloatModel(onnx, { preprocess });
  const names = float.info.layers.filter((layer) => layer.weights > 0).map(({ name }) => name);
  float.dispose();
  return { ...options, layers: Object.fromEntries(names.map((name) => [name, { weights }])) };
}

const quantizer = fileURLToPath(import.meta.resolve('trefoil/wasm/trefoil-quantizer.wasm'));
const calibrationSeeds = [100, 101, 102, 103];

const asPixels = (data, [channels, height, width]) => ({ data, channels, height, width });

/**
 * Quantizes `network` (of makePeers) by a recipe. Returns { file, integers, layers }, with the outputs of the scalar kernels,
 * or { missing } if this version can't do it yet. `reuse` takes a model that another version of the quantizer made.
 */
export async function makeTernary(network, folder, recipe, { log, reuse = false }) {
  const stamp = `${network.stamp} ${hashOf([quantizer])} ${JSON.stringify(recipes[recipe])}`;
  const file = `${recipe}.trefoil`;
  const path = join(folder, `${recipe}.json`);
  const made = readJson(path);
  if (made && (reuse || made.stamp === stamp)) return made;
  log(`${network.name}: quantizing, ${recipe}`);
  const { inputShape } = network;
  let model;
  try {
    const onnx = new Uint8Array(readFileSync(join(folder, 'float.onnx')));
    ({ model } = await quantize(onnx, {
      ...(await optionsOf(recipes[recipe], onnx)),
      preprocess,
      calibration: calibrationSeeds.map((seed) => asPixels(picture(inputShape, seed), inputShape)),
    }));
  } catch (error) {
    if (error.code === 'NOT_AVAILABLE') return { missing: error.message };
    throw error;
  }
  writeFileSync(join(folder, file), model);
  const scalar = await loadModel(model, { worker: false, variants: { '*': 'scalar' } });
  const pixels = new Uint8Array(readFileSync(join(folder, 'pictures.rgb')));
  const { planes } = tensorsOf(pixels, inputShape);
  const { integers, logits } = await scalar.run(planes);
  scalar.dispose();
  const info = {
    stamp,
    file,
    bytes: model.length,
    integers: Array.from(integers),
    logits: Array.from(logits),
  };
  writeFileSync(path, JSON.stringify(info));
  return info;
}
