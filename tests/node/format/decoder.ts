// Reads a .trefoil by what docs/format.md says and nothing else: no schema, no library.
import { operations, structs, tables, unpackCodes, unpackScales } from './page.js';

/* eslint-disable @typescript-eslint/no-explicit-any -- tables are known by the page only */
type Table = Record<string, any>;

const sizes: Record<string, number> = { int: 4, uint: 4, float: 4, ubyte: 1, byte: 1, bool: 1 };

class Buffer {
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  root(type: string): Table {
    return this.#table(type, this.#view.getUint32(0, true));
  }

  #scalar(type: string, at: number): number | boolean {
    switch (type) {
      case 'int':
        return this.#view.getInt32(at, true);
      case 'uint':
        return this.#view.getUint32(at, true);
      case 'float':
        return this.#view.getFloat32(at, true);
      case 'ubyte':
        return this.#view.getUint8(at);
      case 'byte':
        return this.#view.getInt8(at);
      case 'bool':
        return this.#view.getUint8(at) !== 0;
      default:
        throw new Error(`the page does not say what a ${type} is`);
    }
  }

  #struct(type: string, at: number): Table {
    const value: Table = {};
    for (const { name, type: own } of structs.get(type)!) {
      value[name] = this.#scalar(own, at);
      at += sizes[own]!;
    }
    return value;
  }

  #follow(at: number): number {
    return at + this.#view.getUint32(at, true);
  }

  /** The value whose offset, or which itself, stands at `at`. */
  #value(type: string, at: number): unknown {
    const element = /^\[(\w+)\]$/.exec(type)?.[1];
    if (element !== undefined) {
      const start = this.#follow(at);
      const size = sizes[element] ?? 4;
      return Array.from({ length: this.#view.getUint32(start, true) }, (_, i) =>
        this.#value(element, start + 4 + i * size),
      );
    }
    if (type === 'string') {
      const start = this.#follow(at);
      const { buffer, byteOffset } = this.#view;
      const bytes = new Uint8Array(buffer, byteOffset + start + 4, this.#view.getUint32(start, true));
      return new TextDecoder().decode(bytes);
    }
    if (structs.has(type)) return this.#struct(type, at);
    if (tables.has(type)) return this.#table(type, this.#follow(at));
    return this.#scalar(type, at);
  }

  #table(type: string, at: number): Table {
    const vtable = at - this.#view.getInt32(at, true);
    const slots = (this.#view.getUint16(vtable, true) - 4) / 2;
    const value: Table = { kind: type };
    for (const [i, field] of tables.get(type)!.entries()) {
      const place = i < slots ? this.#view.getUint16(vtable + 4 + 2 * i, true) : 0;
      if (place === 0) {
        if (field.type in sizes) value[field.name] = field.type === 'bool' ? false : field.byDefault;
      } else {
        const own = field.type === 'Op' ? operations[value['op_type'] - 1]! : field.type;
        value[field.name] = this.#value(own, at + place);
      }
    }
    return value;
  }
}

/** Weights as integers, [K][R][S][C / groups]. */
function weightsOf(conv: Table, planes: Table[], filters: number, channels: number): number[] {
  if (planes.length === 0) return conv['int8'] as number[];
  const { kernel_h, kernel_w } = conv['window'];
  const perFilter = kernel_h * kernel_w * channels;
  const groupSize = conv['group_size'] as number;
  const groups = groupSize === 0 ? 1 : Math.ceil(channels / groupSize);
  const scalesPerFilter = groupSize === 0 ? 1 : kernel_h * kernel_w * groups;
  const weights = new Array<number>(filters * perFilter).fill(0);
  for (const plane of planes) {
    const read = ({ index_bits: indexBits, values = [], indices = [] }: Table) =>
      unpackScales(
        { indexBits, values: Uint8Array.from(values), indices: Uint8Array.from(indices) },
        filters,
        filters * scalesPerFilter,
      );
    const positive = read(plane['scales']);
    const negative = plane['negative_scales'] ? read(plane['negative_scales']) : positive;
    const codes = unpackCodes(Uint8Array.from(plane['codes'] as number[]), weights.length);
    codes.forEach((code, i) => {
      const tap = Math.floor((i % perFilter) / channels);
      const group = groupSize === 0 ? 0 : tap * groups + Math.floor((i % channels) / groupSize);
      const scale = Math.floor(i / perFilter) * scalesPerFilter + group;
      weights[i]! += code * (code < 0 ? negative : positive)[scale]!;
    });
  }
  return weights;
}

/** The network of all planes, or of the first ones; every Conv has `weights`. */
export function decode(file: Uint8Array, planes: 1 | 2): Table {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const [first, whole] = [view.getUint32(8, true), view.getUint32(12, true)];
  if (new TextDecoder().decode(file.subarray(4, 8)) !== 'TREF' || whole !== file.length || first % 8 !== 0) {
    throw new Error('not what the page says of the first 16 bytes');
  }
  const model = new Buffer(file.subarray(0, first)).root('Model');
  if (model['version'] !== 2) throw new Error('another version than the page is about');
  const nodes = model['nodes'] as Table[];
  const seconds = new Map<number, Table>();
  if (planes === 2 && whole > first) {
    const rest = file.subarray(first);
    if (new TextDecoder().decode(rest.subarray(4, 8)) !== 'TREX') throw new Error('no TREX');
    const { layers, logit_scales, logit_offsets } = new Buffer(rest).root('Refinement');
    Object.assign(model, logit_scales && { logit_scales }, logit_offsets && { logit_offsets });
    for (const { node, plane, bias, filter_scales, output } of (layers ?? []) as Table[]) {
      Object.assign(
        nodes[node]!['op'],
        bias && { bias },
        filter_scales && { filter_scales },
        output && { output },
      );
      if (plane) seconds.set(node, plane);
    }
  }
  for (const [i, { op, shape, inputs }] of nodes.entries()) {
    if (op.kind !== 'Conv') continue;
    const own = [op.plane, seconds.get(i)].filter((plane) => plane !== undefined) as Table[];
    op.weights = weightsOf(op, own, shape.channels, nodes[inputs[0]]!['shape'].channels / op.groups);
  }
  return model;
}
