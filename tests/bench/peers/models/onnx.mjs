// Writes networks as ONNX: in float, and fully quantized with QuantizeLinear and DequantizeLinear around every operator.
import { readFileSync } from 'node:fs';

import protobuf from 'protobufjs';

const messages = new URL('../../../helpers/onnx.proto', import.meta.url);
const { root } = protobuf.parse(readFileSync(messages, 'utf8'), { keepCase: true });

const dataTypes = new Map([
  [Float32Array, 1],
  [Uint8Array, 2],
  [Int8Array, 3],
  [Int32Array, 6],
]);
const INT = 2;
const INTS = 7;

class GraphWriter {
  nodes = [];
  initializers = [];

  node(type, input, output, attributes = {}) {
    const attribute = Object.entries(attributes).map(([name, value]) =>
      Array.isArray(value) ? { name, ints: value, type: INTS } : { name, i: value, type: INT },
    );
    this.nodes.push({ op_type: type, name: `${type}_${output}`, input, output: [output], attribute });
    return output;
  }

  constant(name, values, dims) {
    const raw_data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.initializers.push({ name, dims, data_type: dataTypes.get(values.constructor), raw_data });
    return name;
  }

  bytes(inputs, outputs) {
    const info = ([name, dims]) => ({
      name,
      type: { tensor_type: { elem_type: 1, shape: { dim: dims.map((dim_value) => ({ dim_value })) } } },
    });
    const model = {
      ir_version: 8,
      producer_name: 'trefoil-bench',
      opset_import: [{ domain: '', version: 13 }],
      graph: {
        name: 'network',
        node: this.nodes,
        initializer: this.initializers,
        input: inputs.map(info),
        output: outputs.map(info),
      },
    };
    return root.lookupType('Model').encode(model).finish();
  }
}

const batchOf = (shape) => [1, ...shape];

/** The operator of a layer, less its weights and its activation. */
function operatorOf({ op, kernel, stride, pad, groups }) {
  const window = () => ({
    kernel_shape: [kernel, kernel],
    strides: [stride, stride],
    pads: Array(4).fill(pad),
  });
  switch (op) {
    case 'conv':
      return ['Conv', { ...window(), group: groups, dilations: [1, 1] }];
    case 'maxPool':
      return ['MaxPool', window()];
    case 'sum':
      return ['Add', {}];
    case 'concat':
      return ['Concat', { axis: 1 }];
    case 'average':
      return ['GlobalAveragePool', {}];
    case 'flatten':
      return ['Flatten', { axis: 1 }];
    default:
      throw new Error(`no ONNX operator for ${op}`);
  }
}

function writeFloatLayer(graph, layer) {
  const { op, name, inputs, weights, activation } = layer;
  const raw = activation ? `${name}_raw` : name;
  const given = [...inputs];
  if (weights) {
    given.push(graph.constant(`${name}_w`, layer.values, weights));
    given.push(graph.constant(`${name}_b`, layer.bias, [weights[0]]));
  }
  const [type, attributes] = op === 'dense' ? ['Gemm', { transB: 1 }] : operatorOf(layer);
  graph.node(type, given, raw, attributes);
  if (activation === 'relu') graph.node('Relu', [raw], name);
  if (activation === 'relu6') {
    const bounds = [0, 6].map((bound, i) => graph.constant(`${name}_clip${i}`, Float32Array.of(bound), []));
    graph.node('Clip', [raw, ...bounds], name);
  }
}

/** The network in float: bytes of an ONNX file. */
export function floatOnnx({ layers, inputShape }) {
  const graph = new GraphWriter();
  for (const layer of layers) writeFloatLayer(graph, layer);
  const last = layers.at(-1);
  return graph.bytes([['input', batchOf(inputShape)]], [[last.name, batchOf(last.shape)]]);
}

/** A network of one layer that reads tensors of the given shapes. */
export function oneLayerOnnx(layer, shapes) {
  const graph = new GraphWriter();
  writeFloatLayer(graph, layer);
  const inputs = [...new Set(layer.inputs)].map((name) => [name, batchOf(shapes.get(name))]);
  return graph.bytes(inputs, [[layer.name, batchOf(layer.shape)]]);
}

/**
 * The network with 8-bit activations (one scale and zero point a tensor) and 8-bit weights. Every tensor is quantized,
 * for onnxruntime turns to its integer kernels only between quantized tensors. Activations are left out: the range of
 * the result ends where theirs does, and so saturation does their work.
 */
export function qdqOnnx(network, grids) {
  const { layers, inputShape } = network;
  const graph = new GraphWriter();
  const parameters = new Map();
  const parametersOf = (tensor) => {
    if (!parameters.has(tensor)) {
      const { scale, zero } = grids.get(tensor);
      parameters.set(tensor, [
        graph.constant(`${tensor}_scale`, Float32Array.of(scale), []),
        graph.constant(`${tensor}_zero`, Uint8Array.of(zero), []),
      ]);
    }
    return parameters.get(tensor);
  };
  const quantized = (from, tensor) =>
    graph.node('QuantizeLinear', [from, ...parametersOf(tensor)], `${tensor}_q`);
  const real = (tensor, name) =>
    graph.node('DequantizeLinear', [`${tensor}_q`, ...parametersOf(tensor)], name);

  quantized('input', 'input');
  for (const layer of layers) {
    const { op, name, inputs } = layer;
    const given = inputs.map((tensor, i) => real(tensor, `${name}_in${i}`));
    if (layer.weights) given.push(...integerWeights(graph, layer, grids.get(inputs[0]).scale));
    const [type, attributes] = op === 'dense' ? ['Gemm', { transB: 0 }] : operatorOf(layer);
    quantized(graph.node(type, given, `${name}_raw`, attributes), name);
  }
  const last = layers.at(-1);
  real(last.name, 'output');
  return graph.bytes([['input', batchOf(inputShape)]], [['output', batchOf(last.shape)]]);
}

/** Weights and bias as constants behind DequantizeLinear: a scale a filter, or one in all for a dense layer. */
function integerWeights(graph, layer, inputScale) {
  const { name, weights, integers } = layer;
  const dense = layer.op === 'dense';
  const { codes, scales } = dense ? integers.perTensor : integers.perFilter;
  const bias = biasCodes(layer.bias, scales, inputScale);
  const axis = dense ? {} : { axis: 0 };
  const dims = dense ? [] : [weights[0]];
  const constant = (part, values, shape, factors) => {
    const zero = new values.constructor(factors.length);
    const given = [
      graph.constant(`${name}_${part}_q`, values, shape),
      graph.constant(`${name}_${part}_scale`, factors, dims),
      graph.constant(`${name}_${part}_zero`, zero, dims),
    ];
    return graph.node('DequantizeLinear', given, `${name}_${part}`, axis);
  };
  // Inputs by outputs: with transB onnxruntime would turn the matrix at every run.
  const [w, shape] = dense ? [integers.perTensor.transposed, [weights[1], weights[0]]] : [codes, weights];
  return [
    constant('w', w, shape, scales),
    constant(
      'b',
      bias,
      [weights[0]],
      scales.map((scale) => scale * inputScale),
    ),
  ];
}

/** The bias in units of input scale times weight scale. */
export function biasCodes(bias, scales, inputScale) {
  return Int32Array.from(bias, (value, i) => {
    const code = Math.round(value / (scales[scales.length === 1 ? 0 : i] * inputScale));
    return Math.max(-(2 ** 31) + 1, Math.min(2 ** 31 - 1, code));
  });
}
