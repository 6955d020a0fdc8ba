// TensorFlow.js on its WebAssembly back end, with the network built from single (fused) operations.
import * as tf from '@tensorflow/tfjs-core';
import { setThreadsCount, setWasmPaths } from '@tensorflow/tfjs-backend-wasm';

export const input = 'floatsLast';

let ready;

async function start(threads, asset) {
  if (asset) setWasmPaths(asset('@tensorflow/tfjs-backend-wasm/dist/'));
  setThreadsCount(threads);
  if (!(await tf.setBackend('wasm'))) throw new Error("tfjs can't start its wasm back end");
  await tf.ready();
}

function step(layer, [x, ...others], weights) {
  const { stride, pad, kernel, depthwise } = layer;
  const activation = layer.activation || 'linear';
  switch (layer.op) {
    case 'conv': {
      const convolve = depthwise ? tf.fused.depthwiseConv2d : tf.fused.conv2d;
      return convolve({ x, filter: weights.values, bias: weights.bias, strides: stride, pad, activation });
    }
    case 'dense':
      return tf.fused.matMul({ a: x, b: weights.values, bias: weights.bias, activation });
    case 'maxPool':
      return tf.maxPool(x, kernel, stride, pad);
    case 'sum':
      return activation === 'relu' ? tf.relu(tf.add(x, others[0])) : tf.add(x, others[0]);
    case 'concat':
      return tf.concat([x, ...others], 3);
    case 'average':
      return tf.mean(x, [1, 2], true);
    case 'flatten':
      return tf.reshape(x, [1, layer.shape[0]]);
    default:
      throw new Error(`no operation for ${layer.op}`);
  }
}

export async function load({ bytes, shape: [channels, height, width], threads, asset }) {
  ready ??= start(threads, asset);
  await ready;
  const layers = JSON.parse(new TextDecoder().decode(bytes['layers']));
  const { buffer, byteOffset } = bytes['model'];
  const tensor = ([offset, length], dims) =>
    tf.tensor(new Float32Array(buffer, byteOffset + 4 * offset, length), dims, 'float32');
  const weights = new Map(
    layers
      .filter(({ values }) => values)
      .map(({ name, values, dims, bias }) => [
        name,
        { values: tensor(values, dims), bias: tensor(bias, [bias[1]]) },
      ]),
  );
  const lastUse = new Map(layers.flatMap(({ inputs }, i) => inputs.map((name) => [name, i])));
  return {
    async run(floats) {
      const result = tf.tidy(() => {
        const values = new Map([['input', tf.tensor(floats, [1, height, width, channels], 'float32')]]);
        for (const [i, layer] of layers.entries()) {
          const given = layer.inputs.map((name) => values.get(name));
          values.set(layer.name, step(layer, given, weights.get(layer.name)));
          for (const name of new Set(layer.inputs)) if (lastUse.get(name) === i) values.get(name).dispose();
        }
        return values.get(layers.at(-1).name);
      });
      const logits = await result.data();
      result.dispose();
      return { logits };
    },
    close() {
      for (const { values, bias } of weights.values()) {
        values.dispose();
        bias.dispose();
      }
    },
  };
}
