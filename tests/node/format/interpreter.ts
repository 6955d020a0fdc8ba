// Runs a decoded network by the arithmetic that docs/format.md states, one value after the other.

/* eslint-disable @typescript-eslint/no-explicit-any -- tables are known by the page only */
type Table = Record<string, any>;

const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);

/** floor(product * 2^-shift + 1/2) */
function rounded(product: bigint, shift: number): number {
  return shift === 0 ? Number(product) : Number((product + (1n << BigInt(shift - 1))) >> BigInt(shift));
}

interface Values {
  q: Int32Array;
  channels: number;
  height: number;
  width: number;
  /** Bits and zero point. */
  grid: Table;
}

/** Calls `visit` for all rows and columns of the window at an output place; inside: whether they are in the image. */
function eachTap(
  window: Table,
  { height, width }: Values,
  row: number,
  column: number,
  visit: (tap: number, place: number, inside: boolean) => void,
): void {
  for (let r = 0, tap = 0; r < window['kernel_h']; ++r) {
    for (let s = 0; s < window['kernel_w']; ++s, ++tap) {
      const y = row * window['stride_h'] - window['pad_top'] + r * window['dilation_h'];
      const x = column * window['stride_w'] - window['pad_left'] + s * window['dilation_w'];
      visit(tap, y * width + x, y >= 0 && y < height && x >= 0 && x < width);
    }
  }
}

function convolution(op: Table, input: Values, { channels: filters, height, width }: Table): number[] {
  const depth = input.channels / op['groups'];
  const plane = input.height * input.width;
  const perFilter = op['window'].kernel_h * op['window'].kernel_w * depth;
  const sums: number[] = [];
  for (let k = 0; k < filters; ++k) {
    const first = Math.floor(k / (filters / op['groups'])) * depth;
    for (let row = 0; row < height; ++row) {
      for (let column = 0; column < width; ++column) {
        let sum = op['bias'][k] as number;
        eachTap(op['window'], input, row, column, (tap, place, inside) => {
          const from = k * perFilter + tap * depth;
          for (let c = 0; c < depth; ++c) {
            const q = inside ? input.q[(first + c) * plane + place]! : op['pad_values'][first + c];
            sum += op['weights'][from + c] * q;
          }
        });
        sums.push(sum);
      }
    }
  }
  return sums;
}

/** The logits as integers: L on the page. */
export function run(model: Table, planes: Uint8Array): Int32Array {
  const nodes = model['nodes'] as Table[];
  const results: Values[] = [];
  for (const [index, node] of nodes.entries()) {
    const { op, grid } = node;
    const shape = node['shape'] as { channels: number; height: number; width: number };
    const inputs = ((node['inputs'] ?? []) as number[]).map((i) => results[i]!);
    const [a, b] = inputs as [Values, Values];
    const plane = shape.height * shape.width;
    const size = shape.channels * plane;
    const accumulators = model['output_accumulators'] && index + 1 === nodes.length;
    const fill = (value: (i: number, channel: number) => number) =>
      Int32Array.from({ length: size }, (_, i) => value(i, Math.floor(i / plane)));
    const stage = (sum: number, factor: number) => {
      if (accumulators) return sum;
      const { multipliers, shifts, low, high } = op.output;
      const at = Math.min(factor, multipliers.length - 1);
      return clamp(grid.zero_point + rounded(BigInt(sum) * BigInt(multipliers[at]), shifts[at]), low, high);
    };
    const from = (values: Values, i: number) => values.q[i]! - values.grid['zero_point'];
    let q: Int32Array;
    switch (op.kind) {
      case 'Input':
        q = Int32Array.from(planes);
        break;
      case 'Conv': {
        const sums = convolution(op, a, shape);
        q = fill((i, channel) => stage(sums[i]!, channel));
        break;
      }
      case 'Add':
        q = fill((i) => {
          const sum = from(a, i) * op.multiplier_0 + from(b, i) * op.multiplier_1;
          return clamp(grid.zero_point + rounded(BigInt(sum), op.shift), op.low, op.high);
        });
        break;
      case 'Mul':
        q = fill((i, channel) => stage(from(a, i) * from(b, b.q.length === size ? i : channel), 0));
        break;
      case 'Rescale':
        q = fill((i) => stage(from(a, i), 0));
        break;
      case 'Concat':
        q = Int32Array.from(inputs.flatMap((input) => [...input.q]));
        break;
      case 'Pool':
        q = fill((i, channel) => {
          const [row, column] = [Math.floor((i % plane) / shape.width), i % shape.width];
          const found: number[] = [];
          eachTap(op.window, a, row, column, (_, place, inside) => {
            if (inside) found.push(a.q[channel * a.height * a.width + place]!);
          });
          if (!op.average) return Math.max(...found);
          return stage(
            found.reduce((sum, value) => sum + value - a.grid['zero_point'], 0),
            found.length - 1,
          );
        });
        break;
      case 'Lookup':
        q = fill((i, channel) => op.table[(op.table.length > 256 ? 256 * channel : 0) + a.q[i]!]);
        break;
      case 'Lrn':
        q = fill((i, channel) => {
          let squares = 0;
          const first = channel - Math.floor((op.size - 1) / 2);
          for (let c = Math.max(0, first); c < Math.min(shape.channels, first + op.size); ++c) {
            squares += from(a, c * plane + (i % plane)) ** 2;
          }
          const entry = op.table[Math.min(Math.floor(squares / 2 ** op.table_shift), op.table.length - 1)];
          return clamp(
            grid.zero_point + rounded(BigInt(from(a, i) * entry), op.shift),
            0,
            2 ** grid.bits - 1,
          );
        });
        break;
      case 'Pad':
      case 'Slice':
        q = fill((i, channel) => {
          const to = [channel, Math.floor((i % plane) / shape.width), i % shape.width];
          const [c, y, x] = (['channels', 'height', 'width'] as const).map((axis, d) =>
            op.kind === 'Pad' ? to[d]! - op.before[axis] : op.start[axis] + to[d]! * op.step[axis],
          ) as [number, number, number];
          const inside = c >= 0 && c < a.channels && y >= 0 && y < a.height && x >= 0 && x < a.width;
          return inside ? a.q[(c * a.height + y) * a.width + x]! : op.value;
        });
        break;
      case 'Reshape':
        q = a.q;
        break;
      default:
        throw new Error(`the page does not say how to run ${op.kind}`);
    }
    results.push({ q, grid, ...shape });
  }
  const last = results.at(-1)!;
  return model['output_accumulators'] ? last.q : last.q.map((q) => q - last.grid['zero_point']);
}
