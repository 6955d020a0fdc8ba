// Small ONNX networks, written here byte by byte, that between them use every operation of the integer program.

type Bytes = number[];

function varint(value: number): Bytes {
  const bytes: Bytes = [];
  let left = BigInt.asUintN(64, BigInt(value));
  while (left >= 128n) {
    bytes.push(Number(left & 127n) | 128);
    left >>= 7n;
  }
  return [...bytes, Number(left)];
}

const number = (field: number, value: number): Bytes => [...varint(field * 8), ...varint(value)];
const bytes = (field: number, value: Iterable<number>): Bytes => {
  const list = [...value];
  return [...varint(field * 8 + 2), ...varint(list.length), ...list];
};
const text = (field: number, value: string): Bytes => bytes(field, new TextEncoder().encode(value));
const float = (field: number, value: number): Bytes => [
  ...varint(field * 8 + 5),
  ...new Uint8Array(Float32Array.of(value).buffer),
];

type Attribute = number | number[] | { float: number };

function attribute(name: string, value: Attribute): Bytes {
  const head = text(1, name);
  if (Array.isArray(value)) return [...head, ...value.flatMap((item) => number(8, item)), ...number(20, 7)];
  if (typeof value === 'object') return [...head, ...float(2, value.float), ...number(20, 1)];
  return [...head, ...number(3, value), ...number(20, 2)];
}

/** Every call adds a node and returns the name of its output. Weights are the same in every run. */
class Builder {
  #graph: Bytes = [];
  #count = 0;
  #state = 12345;

  #random(): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return this.#state / 2 ** 31 - 1;
  }

  tensor(shape: number[], values: number[], type: 1 | 7 = 1): string {
    const name = `c${this.#count++}`;
    const data = type === 1 ? Float32Array.from(values) : BigInt64Array.from(values.map(BigInt));
    const raw = new Uint8Array(data.buffer);
    this.#graph.push(
      ...bytes(5, [
        ...shape.flatMap((size) => number(1, size)),
        ...number(2, type),
        ...text(8, name),
        ...bytes(9, raw),
      ]),
    );
    return name;
  }

  node(op: string, inputs: string[], attributes: Record<string, Attribute> = {}): string {
    const name = `n${this.#count++}`;
    this.#graph.push(
      ...bytes(1, [
        ...inputs.flatMap((input) => text(1, input)),
        ...text(2, name),
        ...text(3, name),
        ...text(4, op),
        ...Object.entries(attributes).flatMap(([key, value]) => bytes(5, attribute(key, value))),
      ]),
    );
    return name;
  }

  conv(x: string, from: number, to: number, kernel: number, group = 1, stride = 1): string {
    const count = ((to * from) / group) * kernel * kernel;
    const spread = Math.sqrt(3 / ((from / group) * kernel * kernel));
    const weights = Array.from({ length: count }, () => 1.4 * spread * this.#random());
    const bias = Array.from({ length: to }, () => 0.3 * this.#random());
    const pad = (kernel - 1) / 2;
    return this.node(
      'Conv',
      [x, this.tensor([to, from / group, kernel, kernel], weights), this.tensor([to], bias)],
      { kernel_shape: [kernel, kernel], pads: [pad, pad, pad, pad], strides: [stride, stride], group },
    );
  }

  relu(x: string): string {
    return this.node('Relu', [x]);
  }

  finish(output: string, shape: number[], image = [3, 12, 12]): Uint8Array<ArrayBuffer> {
    const value = (field: number, name: string, sizes: number[]) =>
      bytes(field, [
        ...text(1, name),
        ...bytes(
          2,
          bytes(1, [
            ...number(1, 1),
            ...bytes(
              2,
              sizes.flatMap((size) => bytes(1, number(1, size))),
            ),
          ]),
        ),
      ]);
    const graph = [
      ...this.#graph,
      ...text(2, 'test'),
      ...value(11, 'x', [1, ...image]),
      ...value(12, output, shape),
    ];
    return Uint8Array.from([...number(1, 8), ...bytes(8, number(2, 13)), ...bytes(7, graph)]);
  }
}

interface Network {
  onnx: () => Uint8Array<ArrayBuffer>;
  /** That the quantized network must have. */
  operations: string[];
}

/** From a picture to 8 channels, what `middle` makes of them (`to` channels), then 5 classes. */
function classifier(middle: (b: Builder, x: string) => string, to: number, ...operations: string[]): Network {
  const onnx = () => {
    const b = new Builder();
    const x = middle(b, b.relu(b.conv('x', 3, 8, 3)));
    const pooled = b.node('GlobalAveragePool', [x]);
    return b.finish(b.node('Flatten', [b.conv(pooled, to, 5, 1)]), [1, 5]);
  };
  return { onnx, operations };
}

export const networks: Record<string, Network> = {
  'groups, depthwise, strides': classifier(
    (b, x) => b.relu(b.conv(b.relu(b.conv(b.relu(b.conv(x, 8, 8, 3, 8)), 8, 8, 3, 2, 2)), 8, 8, 5)),
    8,
    'ternary_conv',
    'int8_conv',
  ),
  'sums, concatenations, rescaled parts': classifier(
    (b, x) => {
      const y = b.conv(x, 8, 8, 3);
      const sum = b.relu(b.node('Add', [x, y]));
      return b.relu(b.conv(b.node('Concat', [sum, x], { axis: 1 }), 16, 8, 1));
    },
    8,
    'add',
    'concat',
  ),
  'max pools that reach beyond the image': classifier(
    (b, x) =>
      b.node('MaxPool', [b.relu(b.conv(x, 8, 8, 3))], {
        kernel_shape: [3, 3],
        strides: [2, 2],
        ceil_mode: 1,
      }),
    8,
    'max_pool',
  ),
  'averages of the whole window': classifier(
    (b, x) =>
      b.node('AveragePool', [b.relu(b.conv(x, 8, 8, 3))], {
        kernel_shape: [3, 3],
        pads: [1, 1, 1, 1],
        strides: [2, 2],
        count_include_pad: 1,
      }),
    8,
    'average_pool',
  ),
  'averages of what lies inside': classifier(
    (b, x) => b.node('AveragePool', [b.conv(x, 8, 8, 3)], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
    8,
    'average_pool',
  ),
  'a table': classifier(
    (b, x) => {
      const y = b.conv(x, 8, 8, 3);
      return b.node('Mul', [y, b.node('Sigmoid', [y])]);
    },
    8,
    'lookup',
  ),
  'a table a channel': classifier(
    (b, x) =>
      b.node('PRelu', [b.conv(x, 8, 8, 3), b.tensor([8, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, -0.2])]),
    8,
    'lookup',
  ),
  'gates of a channel': classifier(
    (b, x) => {
      const y = b.relu(b.conv(x, 8, 8, 3));
      const gate = b.node('Sigmoid', [b.conv(b.node('GlobalAveragePool', [y]), 8, 8, 1)]);
      return b.node('Mul', [y, gate]);
    },
    8,
    'mul',
  ),
  'local response normalization': classifier(
    (b, x) =>
      b.node('LRN', [b.relu(b.conv(x, 8, 8, 3))], {
        size: 5,
        alpha: { float: 0.5 },
        beta: { float: 0.75 },
        bias: { float: 1 },
      }),
    8,
    'lrn',
  ),
  'pads and slices': classifier(
    (b, x) => {
      const y = b.conv(x, 8, 8, 3);
      const padded = b.node('Pad', [y, b.tensor([8], [0, 0, 1, 2, 0, 0, 2, 1], 7), b.tensor([], [0.5])]);
      return b.node('Slice', [
        padded,
        b.tensor([2], [1, 0], 7),
        b.tensor([2], [7, 14], 7),
        b.tensor([2], [1, 2], 7),
        b.tensor([2], [2, 2], 7),
      ]);
    },
    3,
    'pad',
    'slice',
  ),
  'channels shuffled': classifier((b, x) => {
    const split = b.node('Reshape', [b.relu(b.conv(x, 8, 8, 3)), b.tensor([4], [1, 4, 2, 144], 7)]);
    return b.node('Reshape', [split, b.tensor([4], [1, 8, 12, 12], 7)]);
  }, 8),
  'scores from an average': {
    onnx: () => {
      const b = new Builder();
      const x = b.conv(b.relu(b.conv('x', 3, 8, 3)), 8, 5, 1);
      return b.finish(b.node('Flatten', [b.node('GlobalAveragePool', [x])]), [1, 5]);
    },
    operations: ['average_pool'],
  },
  'scores behind a clamp': {
    onnx: () => {
      const b = new Builder();
      const x = b.node('GlobalAveragePool', [b.relu(b.conv('x', 3, 8, 3))]);
      return b.finish(b.node('Flatten', [b.relu(b.conv(x, 8, 5, 1))]), [1, 5]);
    },
    operations: ['int8_conv'],
  },
};

/** A network of hardly anything, for what it is shown. */
export function looker(height: number, width: number, channels = 3): Uint8Array<ArrayBuffer> {
  const b = new Builder();
  const seen = b.node('GlobalAveragePool', [b.conv('x', channels, 4, 1)]);
  return b.finish(b.node('Flatten', [seen]), [1, 4], [channels, height, width]);
}
