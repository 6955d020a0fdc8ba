// Gives a network weights: normal random numbers, and then what batch normalization does in training. Layer by layer each
// channel gets mean 0 and deviation 1 over a few pictures before its own small offset is added, so that activations keep their
// range through any depth and about half of them are positive. onnxruntime-web computes the single layers.
import * as ort from 'onnxruntime-web';

import { transposed } from './layout.mjs';
import { oneLayerOnnx } from './onnx.mjs';
import { Random, picture, tensorsOf } from './random.mjs';

ort.env.wasm.numThreads = 1;

/** Runs a model with several sets of inputs: [{ name: values }] to [values]. */
export async function runOnnx(bytes, runs, shapes) {
  const session = await ort.InferenceSession.create(bytes);
  const results = [];
  for (const inputs of runs) {
    const tensors = Object.entries(inputs).map(([name, values]) => [
      name,
      new ort.Tensor('float32', values, [1, ...shapes.get(name)]),
    ]);
    const outputs = await session.run(Object.fromEntries(tensors));
    results.push(outputs[session.outputNames[0]].data);
  }
  await session.release();
  return results;
}

const limits = { '': [-Infinity, Infinity], relu: [0, Infinity], relu6: [0, 6] };

/** Brings raw results to deviation 1 (and, with many pixels a channel, mean 0), by changing weights and bias. */
function normalize(layer, raws, random, deviation) {
  const [filters] = layer.weights;
  const pixels = raws[0].length / filters;
  const each = layer.values.length / filters;
  const perChannel = layer.op === 'conv';
  const statistics = (start, end) => {
    let sum = 0;
    let squares = 0;
    for (const raw of raws) {
      for (let i = start; i < end; ++i) {
        sum += raw[i];
        squares += raw[i] * raw[i];
      }
    }
    const count = raws.length * (end - start);
    const mean = sum / count;
    return { mean, spread: Math.sqrt(Math.max(squares / count - mean * mean, 1e-12)) };
  };
  const whole = perChannel ? undefined : statistics(0, raws[0].length);
  const [low, high] = limits[layer.activation];
  for (let filter = 0; filter < filters; ++filter) {
    const start = filter * pixels;
    const { mean, spread } = whole ?? statistics(start, start + pixels);
    const factor = deviation / spread;
    const bias = Math.fround((perChannel ? -mean * factor : 0) + 0.2 * deviation * random.normal());
    for (let i = filter * each; i < (filter + 1) * each; ++i) layer.values[i] *= factor;
    layer.bias[filter] = bias;
    for (const raw of raws) {
      for (let i = start; i < start + pixels; ++i) {
        raw[i] = Math.min(high, Math.max(low, raw[i] * factor + bias));
      }
    }
  }
}

/**
 * Fills `values` and `bias` of the network's layers, in place, and returns the range { low, high } of every tensor over
 * `pictures` pictures. Pictures have the seeds from `firstSeed` on.
 */
export async function fillWeights(network, { seed, pictures = 8, firstSeed = 100 }) {
  const { layers, shapes, inputShape } = network;
  const random = new Random(seed);
  const images = Array.from(
    { length: pictures },
    (_, i) => tensorsOf(picture(inputShape, firstSeed + i), inputShape).floats,
  );
  const results = new Map([['input', images]]);
  const ranges = new Map([['input', rangeOf(images)]]);
  const lastUse = new Map(layers.flatMap(({ inputs }, i) => inputs.map((name) => [name, i])));
  for (const [i, layer] of layers.entries()) {
    const isLast = i === layers.length - 1;
    if (layer.weights) {
      const size = layer.weights.reduce((product, side) => product * side, 1);
      layer.values = Float32Array.from({ length: size }, () => random.normal());
      layer.bias = new Float32Array(layer.weights[0]);
    }
    const runs = images.map((_, k) =>
      Object.fromEntries(layer.inputs.map((name) => [name, results.get(name)[k]])),
    );
    const plain = { ...layer, activation: layer.weights ? '' : layer.activation };
    const outputs = await runOnnx(oneLayerOnnx(plain, shapes), runs, shapes);
    // Logits are made to differ as those of a trained network do.
    if (layer.weights) normalize(layer, outputs, random, isLast ? 3 : 1);
    results.set(layer.name, outputs);
    ranges.set(layer.name, rangeOf(outputs));
    for (const [name, last] of lastUse) if (last === i) results.delete(name);
  }
  return ranges;
}

function rangeOf(arrays) {
  let low = 0;
  let high = 1e-6;
  for (const values of arrays) {
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return { low, high };
}

/** Scale and zero point (unsigned, 8 bits) of every tensor. */
export function gridsOf({ layers }, ranges) {
  const shared = new Map(ranges);
  for (const { op, name, inputs } of layers) {
    // Both sides of a concatenation, and of what only moves or picks values, have one grid: no values are converted there.
    if (op === 'concat') for (const input of inputs) shared.set(input, shared.get(name));
    if (op === 'maxPool' || op === 'flatten') shared.set(name, shared.get(inputs[0]));
  }
  return new Map(
    [...shared].map(([name, { low, high }]) => {
      const scale = Math.fround((high - low) / 255);
      return [name, { scale, zero: Math.round(-low / scale) }];
    }),
  );
}

/** Adds `integers` to every layer with weights: symmetric int8 codes by filter, for dense layers also by tensor. */
export function addIntegers({ layers }) {
  for (const layer of layers.filter(({ weights }) => weights)) {
    const perFilter = integersOf(layer.values, layer.weights[0]);
    layer.integers = { perFilter };
    if (layer.op === 'dense') {
      const perTensor = integersOf(layer.values, 1);
      layer.integers.perTensor = { ...perTensor, transposed: transposed(perTensor.codes, layer.weights) };
    }
  }
}

function integersOf(values, parts) {
  const each = values.length / parts;
  const codes = new Int8Array(values.length);
  const scales = new Float32Array(parts);
  for (let part = 0; part < parts; ++part) {
    let largest = 0;
    for (let i = part * each; i < (part + 1) * each; ++i) largest = Math.max(largest, Math.abs(values[i]));
    scales[part] = Math.max(largest, 1e-6) / 127;
    for (let i = part * each; i < (part + 1) * each; ++i) codes[i] = Math.round(values[i] / scales[part]);
  }
  return { codes, scales };
}
