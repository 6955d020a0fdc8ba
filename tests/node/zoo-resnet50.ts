// Stand-ins for the ONNX model zoo's ResNet-50: the same layers and the same ways of writing them (opset 12, initializers among
// the inputs, an open batch size, batch norm not folded, biases in some convolutions only), but an eighth of the channels and
// random weights, so that they are quantized in seconds.
import { readFileSync } from 'node:fs';

import protobuf from 'protobufjs';

const { root } = protobuf.parse(readFileSync(new URL('../helpers/onnx.proto', import.meta.url), 'utf8'), {
  keepCase: true,
});

type Attributes = Record<string, number | number[] | { float: number }>;

function attributesOf(attributes: Attributes): object[] {
  return Object.entries(attributes).map(([name, value]) => {
    if (Array.isArray(value)) return { name, ints: value, type: 7 };
    return typeof value === 'number' ? { name, i: value, type: 2 } : { name, f: value.float, type: 1 };
  });
}

class Writer {
  readonly #nodes: object[] = [];
  readonly #initializers: object[] = [];
  readonly #inputs: object[] = [];
  #state = 2463534242;
  #count = 0;

  /** Between -1 and 1. */
  #random(): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) / 2 ** 31 - 1;
  }

  value(name: string, dims: (number | string)[]): object {
    const dim = dims.map((size) => (typeof size === 'string' ? { dim_param: size } : { dim_value: size }));
    return { name, type: { tensor_type: { elem_type: 1, shape: { dim } } } };
  }

  input(name: string, dims: (number | string)[]): string {
    this.#inputs.push(this.value(name, dims));
    return name;
  }

  /** Random numbers around a centre. */
  tensor(name: string, dims: number[], centre: number, spread: number): string {
    const size = dims.reduce((product, side) => product * side, 1);
    const values = Float32Array.from({ length: size }, () => centre + spread * this.#random());
    this.#initializers.push({ dims, data_type: 1, name, raw_data: new Uint8Array(values.buffer) });
    return this.input(name, dims);
  }

  node(op: string, inputs: string[], attributes: Attributes = {}): string {
    const name = `resnetv17_${op.toLowerCase()}${this.#count++}_fwd`;
    this.#nodes.push({
      input: inputs,
      output: [name],
      name,
      op_type: op,
      attribute: attributesOf(attributes),
    });
    return name;
  }

  conv(x: string, from: number, to: number, kernel: number, stride: number, bias = false): string {
    const id = `resnetv17_conv${this.#count}`;
    const spread = Math.sqrt(6 / (from * kernel * kernel));
    const inputs = [x, this.tensor(`${id}_weight`, [to, from, kernel, kernel], 0, spread)];
    if (bias) inputs.push(this.tensor(`${id}_bias`, [to], 0, 0.1));
    const pad = (kernel - 1) / 2;
    const window = {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: Array<number>(4).fill(pad),
    };
    return this.node('Conv', inputs, { ...window, dilations: [1, 1], group: 1 });
  }

  norm(x: string, channels: number): string {
    const id = `resnetv17_batchnorm${this.#count}`;
    const norm = (part: string, centre: number, spread_: number) =>
      this.tensor(`${id}_${part}`, [channels], centre, spread_);
    const constants = [
      norm('gamma', 1, 0.2),
      norm('beta', 0, 0.2),
      norm('mean', 0, 0.2),
      norm('var', 1, 0.2),
    ];
    const epsilon = { float: 1e-5 };
    return this.node('BatchNormalization', [x, ...constants], { epsilon, momentum: { float: 0.9 } });
  }

  finish(output: string, classes: number): Uint8Array<ArrayBuffer> {
    const graph = {
      name: 'mxnet_converted_model',
      node: this.#nodes,
      initializer: this.#initializers,
      input: this.#inputs,
      output: [this.value(output, ['N', classes])],
    };
    const model = { ir_version: 3, graph, opset_import: [{ domain: '', version: 12 }] };
    return Uint8Array.from(root.lookupType('Model').encode(model).finish());
  }
}

const blocks = [3, 4, 6, 3];
const pool = { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] };

function scores(net: Writer, x: string, channels: number, classes: number): Uint8Array<ArrayBuffer> {
  const pooled = net.node('Flatten', [net.node('GlobalAveragePool', [x])]);
  const dense = [
    pooled,
    net.tensor('resnetv17_dense0_weight', [classes, channels], 0, 0.2),
    net.tensor('resnetv17_dense0_bias', [classes], 0, 0.1),
  ];
  const attributes = { alpha: { float: 1 }, beta: { float: 1 }, transA: 0, transB: 1 };
  return net.finish(net.node('Gemm', dense, attributes), classes);
}

/** resnet50-v1-12.onnx, of `width` channels instead of 64. */
export function standInResnet50(width = 8, classes = 1000): Uint8Array<ArrayBuffer> {
  const net = new Writer();
  const relu = (value: string) => net.node('Relu', [value]);
  const normed = (x: string, from: number, to: number, kernel: number, stride: number, bias = false) =>
    net.norm(net.conv(x, from, to, kernel, stride, bias), to);
  const data = net.input('data', ['N', 3, 224, 224]);
  let x = net.node('MaxPool', [relu(normed(data, 3, width, 7, 2))], pool);
  let channels = width;
  for (const [stage, count] of blocks.entries()) {
    const narrow = width << stage;
    for (let block = 0; block < count; ++block) {
      const stride = stage > 0 && block === 0 ? 2 : 1;
      const first = relu(normed(x, channels, narrow, 1, stride, true));
      const second = relu(normed(first, narrow, narrow, 3, 1));
      const third = normed(second, narrow, 4 * narrow, 1, 1, true);
      const shortcut = block === 0 ? normed(x, channels, 4 * narrow, 1, stride) : x;
      x = relu(net.node('Add', [third, shortcut]));
      channels = 4 * narrow;
    }
  }
  return scores(net, x, channels, classes);
}

/** resnet50-v2-7.onnx: batch norm and ReLU in front of each convolution, the picture's too. */
export function standInResnet50v2(width = 8, classes = 1000): Uint8Array<ArrayBuffer> {
  const net = new Writer();
  const active = (value: string, channels: number) => net.node('Relu', [net.norm(value, channels)]);
  const data = net.norm(net.input('data', ['N', 3, 224, 224]), 3);
  let x = net.node('MaxPool', [active(net.conv(data, 3, width, 7, 2), width)], pool);
  let channels = width;
  for (const [stage, count] of blocks.entries()) {
    const narrow = width << stage;
    for (let block = 0; block < count; ++block) {
      const stride = stage > 0 && block === 0 ? 2 : 1;
      const before = active(x, channels);
      const first = active(net.conv(before, channels, narrow, 1, 1), narrow);
      const second = active(net.conv(first, narrow, narrow, 3, stride), narrow);
      const third = net.conv(second, narrow, 4 * narrow, 1, 1);
      const shortcut = block === 0 ? net.conv(before, channels, 4 * narrow, 1, stride) : x;
      x = net.node('Add', [third, shortcut]);
      channels = 4 * narrow;
    }
  }
  return scores(net, active(x, channels), channels, classes);
}
