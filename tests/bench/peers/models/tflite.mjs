// Writes networks as TFLite files, in float and in int8, by the field numbers of TensorFlow Lite's schema (version 3).
import { Builder } from 'flatbuffers';

import { channelsLast, denseChannelsLast, filtersLast, lastShape } from './layout.mjs';
import { biasCodes } from './onnx.mjs';

// BuiltinOperator, the version that int8 needs, and the member of BuiltinOptions.
const operators = {
  ADD: { code: 0, version: 2, options: 11 },
  CONCATENATION: { code: 2, version: 2, options: 10 },
  CONV_2D: { code: 3, version: 3, options: 1 },
  DEPTHWISE_CONV_2D: { code: 4, version: 3, options: 2 },
  DEQUANTIZE: { code: 6, version: 2, options: 0 },
  FULLY_CONNECTED: { code: 9, version: 4, options: 8 },
  MAX_POOL_2D: { code: 17, version: 2, options: 5 },
  RESHAPE: { code: 22, version: 1, options: 17 },
  PAD: { code: 34, version: 2, options: 22 },
  MEAN: { code: 40, version: 2, options: 27 },
  QUANTIZE: { code: 114, version: 1, options: 0 },
};
const types = new Map([
  [Float32Array, 0],
  [Int32Array, 2],
  [Int8Array, 9],
]);
const activations = { '': 0, relu: 1, relu6: 3 };
const SAME = 0;
const VALID = 1;

const int8 = (value) => ({ add: 'addFieldInt8', value });
const int32 = (value) => ({ add: 'addFieldInt32', value });

/** Collects tensors and operators, then writes them all. */
class FileWriter {
  tensors = [];
  steps = [];

  tensor(name, shape, type, { data, grid } = {}) {
    return this.tensors.push({ name, shape, type: types.get(type), data, grid }) - 1;
  }

  /** options: field number to value. */
  step(operator, inputs, outputs, options = {}) {
    this.steps.push({ operator, inputs, outputs, options });
  }

  bytes(input, output) {
    const size = this.tensors.reduce((sum, { data }) => sum + (data?.byteLength ?? 0) + 512, 1 << 16);
    const builder = new Builder(size);
    const table = (count, fields) => {
      builder.startObject(count);
      for (const [slot, { add, value }] of Object.entries(fields))
        builder[add](Number(slot), value, undefined);
      return builder.endObject();
    };
    const offset = (value) => ({ add: 'addFieldOffset', value });
    const bytesOf = ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength);
    const vector = (values, alignment) => {
      const bytes = bytesOf(values);
      builder.startVector(values.BYTES_PER_ELEMENT, values.length, alignment);
      builder.space -= bytes.length;
      builder.bb.bytes().set(bytes, builder.space);
      return builder.endVector();
    };
    const offsets = (values) => {
      builder.startVector(4, values.length, 4);
      for (const value of values.toReversed()) builder.addOffset(value);
      return builder.endVector();
    };
    const integers = (values) => offset(vector(Int32Array.from(values), 4));

    // Buffer 0 is the empty one, which every tensor without data names.
    const buffers = [table(1, {})];
    const tensors = this.tensors.map(({ name, shape, type, data, grid }) => {
      if (data) buffers.push(table(1, { 0: offset(vector(bytesOf(data), 16)) }));
      const quantization = grid && {
        2: offset(vector(Float32Array.from(grid.scales), 4)),
        3: offset(vector(BigInt64Array.from(grid.zeros, BigInt), 8)),
        6: int32(grid.axis ?? 0),
      };
      return table(5, {
        ...(quantization && { 4: offset(table(7, quantization)) }),
        0: integers(shape),
        1: int8(type),
        2: int32(data ? buffers.length - 1 : 0),
        3: offset(builder.createString(name)),
      });
    });
    const used = [...new Set(this.steps.map(({ operator }) => operator))];
    const steps = this.steps.map(({ operator, inputs, outputs, options }) => {
      const member = operators[operator].options;
      const slots = Math.max(-1, ...Object.keys(options).map(Number)) + 1;
      return table(5, {
        0: int32(used.indexOf(operator)),
        1: integers(inputs),
        2: integers(outputs),
        ...(member > 0 && { 3: int8(member), 4: offset(table(slots, options)) }),
      });
    });
    const graph = table(5, {
      0: offset(offsets(tensors)),
      1: integers([input]),
      2: integers([output]),
      3: offset(offsets(steps)),
      4: offset(builder.createString('main')),
    });
    const codes = used.map((name) => {
      const { code, version } = operators[name];
      return table(4, { 0: int8(code), 2: int32(version), 3: int32(code) });
    });
    builder.finish(
      table(5, {
        0: int32(3),
        1: offset(offsets(codes)),
        2: offset(offsets([graph])),
        3: offset(builder.createString('trefoil-bench')),
        4: offset(offsets(buffers)),
      }),
      'TFL3',
    );
    return builder.asUint8Array();
  }
}

/** `grids`: for the int8 form, scale and zero point (unsigned) of every tensor; undefined for float. */
export function tflite(network, grids) {
  const { layers, inputShape } = network;
  const file = new FileWriter();
  const type = grids ? Int8Array : Float32Array;
  const shapes = new Map([['input', inputShape], ...layers.map(({ name, shape }) => [name, shape])]);
  const gridOf = (name) => {
    const { scale, zero } = grids.get(name);
    return { grid: { scales: [scale], zeros: [zero - 128] } };
  };
  const tensors = new Map();
  const tensorOf = (name) => {
    if (!tensors.has(name)) {
      tensors.set(name, file.tensor(name, lastShape(shapes.get(name)), type, grids && gridOf(name)));
    }
    return tensors.get(name);
  };
  const padded = (name, pad) => {
    const [depth, height, width] = shapes.get(name);
    const shape = [1, height + 2 * pad, width + 2 * pad, depth];
    const data = Int32Array.of(0, 0, pad, pad, pad, pad, 0, 0);
    const result = file.tensor(`${name}_padded`, shape, type, grids && gridOf(name));
    file.step('PAD', [tensorOf(name), file.tensor(`${name}_pads`, [4, 2], Int32Array, { data })], [result]);
    return result;
  };
  /** The input of a window, and the kind of padding: SAME where it means the very same pixels, else a step of its own. */
  const window = ({ inputs: [from], kernel, stride, pad }) => {
    if (pad === 0) return { from: tensorOf(from), padding: VALID };
    if (stride === 1 && kernel === 2 * pad + 1) return { from: tensorOf(from), padding: SAME };
    return { from: padded(from, pad), padding: VALID };
  };
  const constant = (layer) => {
    const { name, weights } = layer;
    const depthwise = layer.groups > 1;
    const inOrder = (values) =>
      layer.op === 'dense'
        ? denseChannelsLast({ ...layer, values }, layers)
        : depthwise
          ? channelsLast(values, [weights[0], weights[2], weights[3]])
          : filtersLast(values, weights);
    const shape =
      layer.op === 'dense'
        ? weights
        : depthwise
          ? [1, weights[2], weights[3], weights[0]]
          : [weights[0], weights[2], weights[3], weights[1]];
    if (!grids) {
      return [
        file.tensor(`${name}_w`, shape, Float32Array, { data: inOrder(layer.values) }),
        file.tensor(`${name}_b`, [weights[0]], Float32Array, { data: layer.bias }),
      ];
    }
    const { codes, scales } = layer.integers.perFilter;
    const zeros = new Array(weights[0]).fill(0);
    const inputScale = grids.get(layer.inputs[0]).scale;
    const biasGrid = { scales: scales.map((scale) => scale * inputScale), zeros, axis: 0 };
    return [
      file.tensor(`${name}_w`, shape, Int8Array, {
        data: inOrder(codes),
        grid: { scales, zeros, axis: depthwise ? 3 : 0 },
      }),
      file.tensor(`${name}_b`, [weights[0]], Int32Array, {
        data: biasCodes(layer.bias, scales, inputScale),
        grid: biasGrid,
      }),
    ];
  };
  const write = (layer) => {
    const { op, name, inputs, activation, kernel, stride } = layer;
    const result = [tensorOf(name)];
    const step = (operator, given, options) => file.step(operator, given, result, options);
    const strides = { 1: int32(stride), 2: int32(stride) };
    const active = int8(activations[activation]);
    switch (op) {
      case 'conv': {
        const { from, padding } = window(layer);
        const given = [from, ...constant(layer)];
        const common = { 0: int8(padding), ...strides };
        if (layer.groups === 1) step('CONV_2D', given, { ...common, 3: active, 4: int32(1), 5: int32(1) });
        else {
          const depthwise = { ...common, 3: int32(1), 4: active, 5: int32(1), 6: int32(1) };
          step('DEPTHWISE_CONV_2D', given, depthwise);
        }
        break;
      }
      case 'maxPool': {
        // Padding with zeros is right: everything that is pooled here comes out of a ReLU.
        const { from, padding } = window(layer);
        step('MAX_POOL_2D', [from], { 0: int8(padding), ...strides, 3: int32(kernel), 4: int32(kernel) });
        break;
      }
      case 'dense':
        step('FULLY_CONNECTED', [tensorOf(inputs[0]), ...constant(layer)], { 0: active });
        break;
      case 'sum':
        step('ADD', inputs.map(tensorOf), { 0: active });
        break;
      case 'concat':
        step('CONCATENATION', inputs.map(tensorOf), { 0: int32(3), 1: int8(0) });
        break;
      case 'average': {
        const axes = file.tensor(`${name}_axes`, [2], Int32Array, { data: Int32Array.of(1, 2) });
        step('MEAN', [tensorOf(inputs[0]), axes], { 0: int8(1) });
        break;
      }
      case 'flatten': {
        const shape = file.tensor(`${name}_shape`, [2], Int32Array, {
          data: Int32Array.of(1, layer.shape[0]),
        });
        step('RESHAPE', [tensorOf(inputs[0]), shape], {});
        break;
      }
      default:
        throw new Error(`no TFLite operator for ${op}`);
    }
  };

  const last = layers.at(-1);
  if (!grids) {
    layers.forEach(write);
    return file.bytes(tensorOf('input'), tensorOf(last.name));
  }
  const input = file.tensor('image', lastShape(inputShape), Float32Array);
  const output = file.tensor('logits', lastShape(last.shape), Float32Array);
  file.step('QUANTIZE', [input], [tensorOf('input')]);
  layers.forEach(write);
  file.step('DEQUANTIZE', [tensorOf(last.name)], [output]);
  return file.bytes(input, output);
}
