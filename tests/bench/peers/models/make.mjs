// Makes the models of one network for all runners, in build/bench/models/NAME. What is there and up to date stays.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import * as ort from 'onnxruntime-web';

import { channelsLast, denseChannelsLast, filtersLast, transposed } from './layout.mjs';
import { networks } from './networks.mjs';
import { floatOnnx, qdqOnnx } from './onnx.mjs';
import { picture, tensorsOf } from './random.mjs';
import { tflite } from './tflite.mjs';
import { addIntegers, fillWeights, gridsOf, runOnnx } from './weights.mjs';

/** Pictures that every runner's outputs are compared on; the first is the one that is timed. */
const testSeeds = [1, 2];

const here = import.meta.dirname;
const readJson = (path) => (existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined);

function hashOf(paths) {
  const hash = createHash('sha256');
  for (const path of paths) hash.update(readFileSync(path));
  return hash.digest('hex').slice(0, 16);
}

function stampOfPeers() {
  const sources = readdirSync(here)
    .filter((name) => !['make.mjs', 'ternary.mjs'].includes(name))
    .sort();
  return `${hashOf(sources.map((name) => join(here, name)))} onnxruntime ${ort.env.versions.common}`;
}

/** Layers and one file of weights, for the runner that builds its network from single operations. */
function layerList({ layers }) {
  const parts = [];
  let offset = 0;
  const put = (values) => {
    parts.push(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    offset += values.length;
    return [offset - values.length, values.length];
  };
  const listed = layers.map((layer) => {
    const { op, name, inputs, shape, activation, kernel, stride, pad, groups, weights } = layer;
    const fields = { op, name, inputs, shape, activation, kernel, stride, pad, depthwise: groups > 1 };
    if (op === 'dense') {
      const values = transposed(denseChannelsLast(layer, layers), weights);
      return { ...fields, values: put(values), dims: [weights[1], weights[0]], bias: put(layer.bias) };
    }
    if (op !== 'conv') return fields;
    const [filters, depth, height, width] = weights;
    const [values, dims] = fields.depthwise
      ? [channelsLast(layer.values, [filters, height, width]), [height, width, filters, 1]]
      : [
          transposed(filtersLast(layer.values, weights), [filters, depth * height * width]),
          [height, width, depth, filters],
        ];
    return { ...fields, values: put(values), dims, bias: put(layer.bias) };
  });
  return { json: JSON.stringify(listed), bytes: Buffer.concat(parts) };
}

/** The peers' files, the pictures, and the float outputs. Returns what the runners need to know. */
export async function makePeers(name, folder, log) {
  const stamp = stampOfPeers();
  const path = join(folder, 'network.json');
  const made = readJson(path);
  if (made?.stamp === stamp) return made;
  if (!networks[name]) throw new Error(`no network '${name}'; there are ${Object.keys(networks).join(', ')}`);
  log(`${name}: weights and peers' models`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const network = networks[name]();
  const { inputShape, layers } = network;
  const grids = gridsOf(network, await fillWeights(network, { seed: 7 }));
  addIntegers(network);

  const write = (file, bytes) => writeFileSync(join(folder, file), bytes);
  const onnx = floatOnnx(network);
  write('float.onnx', onnx);
  write('qdq.onnx', qdqOnnx(network, grids));
  write('float.tflite', tflite(network));
  write('int8.tflite', tflite(network, grids));
  const list = layerList(network);
  write('layers.json', list.json);
  write('layers.bin', list.bytes);

  const pictures = testSeeds.map((seed) => picture(inputShape, seed));
  write('pictures.rgb', Buffer.concat(pictures));
  const runs = pictures.map((pixels) => ({ input: tensorsOf(pixels, inputShape).floats }));
  const outputs = await runOnnx(onnx, runs, network.shapes);
  const classes = layers.at(-1).shape[0];
  const info = { name, stamp, inputShape, classes, outputs: outputs.map((values) => Array.from(values)) };
  writeFileSync(path, JSON.stringify(info));
  return info;
}

export { hashOf, readJson };
