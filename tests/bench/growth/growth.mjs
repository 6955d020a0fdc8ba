// How the time of a picture grows with its size and with the network's width, depth, batch and groups, beside the number of
// additions and multiplications that are left. Needs the built package; ResNets with random weights (tests/bench/peers).
//   usage: node tests/bench/growth/growth.mjs [AXIS,... default all] [ROUNDS, default 12]
// Writes growth.json, growth.md and growth.svg beside this file; axes that are not asked for keep their figures.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';

import { loadModel } from 'trefoil';
import { quantize } from 'trefoil/quantize';

import { resnetOfDepth } from '../peers/models/networks.mjs';
import { floatOnnx } from '../peers/models/onnx.mjs';
import { picture, preprocess, tensorsOf } from '../peers/models/random.mjs';
import { fillWeights } from '../peers/models/weights.mjs';
import { chart } from './chart.mjs';

const axes = [
  {
    name: 'size',
    title: 'image size, ResNet-50',
    points: [96, 128, 160, 192, 224, 288, 352, 448].map((size) => ({ x: size, depth: 50, size })),
  },
  {
    name: 'width',
    title: 'width, ResNet-50',
    points: [0.25, 0.5, 0.75, 1].map((x) => ({ x, depth: 50, width: 64 * x })),
  },
  {
    name: 'depth',
    title: 'depth, ResNet',
    points: [18, 34, 50, 101, 152].map((depth) => ({ x: depth, depth })),
  },
  {
    name: 'batch',
    title: 'pictures in a row, ResNet-18',
    points: [1, 2, 4, 8, 16, 32, 64].map((batch) => ({ x: batch, depth: 18, batch })),
  },
  {
    name: 'group size',
    title: 'weights with one scale, ResNet-18',
    points: [1, 2, 4, 8, 16, 32, 64, 128, 'filter'].map((groupSize) => ({
      x: groupSize === 'filter' ? 512 : groupSize, // drawn at the widest filter's channels
      label: String(groupSize),
      depth: 18,
      groupSize,
    })),
  },
];

/** Additions and multiplications that ternary codes leave, and the multiply-accumulates of the int8 layers. */
function operationsOf(report, batch) {
  const counts = { additions: 0, multiplications: 0 };
  for (const { kind, macs, zeroShare, multiplicationsRemoved } of report.layers) {
    counts.additions += kind === 'ternary' ? macs * (1 - zeroShare) : macs;
    counts.multiplications += kind === 'ternary' ? macs * (1 - multiplicationsRemoved) : macs;
  }
  return { additions: batch * counts.additions, multiplications: batch * counts.multiplications };
}

const floats = new Map();

async function floatNetwork({ depth, size = 224, width = 64 }) {
  const key = `${depth} ${size} ${width}`;
  if (!floats.has(key)) {
    floats.clear(); // points that share a network follow each other
    const network = resnetOfDepth(depth, { size, width });
    await fillWeights(network, { seed: 7, pictures: 2 });
    floats.set(key, { onnx: floatOnnx(network), shape: network.inputShape });
  }
  return floats.get(key);
}

async function openPoint(point) {
  const { batch = 1, groupSize = 64 } = point;
  const { onnx, shape } = await floatNetwork(point);
  const [channels, height, width] = shape;
  const { model: bytes, report } = await quantize(onnx, {
    calibration: [100, 101].map((seed) => ({ data: picture(shape, seed), channels, height, width })),
    preprocess,
    method: 'fgq',
    scaleLevels: 'free',
    groupSize,
  });
  const model = await loadModel(bytes, { worker: false });
  return {
    point,
    model,
    planes: tensorsOf(picture(shape, 1), shape).planes,
    operations: operationsOf(report, batch),
    times: [],
  };
}

async function timeOnce({ point, model, planes, times }) {
  const start = performance.now();
  for (let i = 0; i < (point.batch ?? 1); ++i) await model.run(planes);
  times.push(performance.now() - start);
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const rounded = (value) => Number(value.toPrecision(4));

async function measureAxis({ name, points }, rounds) {
  const open = [];
  for (const point of points) {
    console.error(`${name} ${point.label ?? point.x}`);
    open.push(await openPoint(point));
  }
  for (const entry of open) await timeOnce(entry); // warm-up, dropped below
  for (const entry of open) entry.times.length = 0;
  for (let round = 0; round < rounds; ++round) for (const entry of open) await timeOnce(entry);
  return open.map(({ point, model, operations, times }) => {
    model.dispose();
    return {
      axis: name,
      x: point.x,
      label: String(point.label ?? point.x),
      min_ms: rounded(Math.min(...times)),
      median_ms: rounded(median(times)),
      additions: Math.round(operations.additions),
      multiplications: Math.round(operations.multiplications),
    };
  });
}

function markdown({ machine, engine, rows }) {
  const text = [
    '# Cost as the work grows',
    '',
    'Made by `make bench-growth`. Groups of 64 and 8-bit activations unless the axis says otherwise, one thread, from image tensor to',
    `logits, random weights; ${machine}, ${engine}. Additions are the ternary codes that are not zero, with the multiply-accumulates`,
    'of the int8 layers.',
    '',
    '![Milliseconds against additions on every axis](growth.svg)',
  ];
  for (const { name, title } of axes) {
    const of = rows.filter(({ axis }) => axis === name);
    if (of.length === 0) continue;
    text.push('', `## By ${title}`, '');
    text.push(
      `| ${name} | minimum, ms | median, ms | additions, 10^9 | multiplications, 10^9 | additions a nanosecond |`,
    );
    text.push('| --- | --- | --- | --- | --- | --- |');
    for (const row of of) {
      const giga = (count) => (count / 1e9).toPrecision(3);
      const rate = (row.additions / row.min_ms / 1e6).toFixed(1);
      const cells = [
        row.label,
        row.min_ms,
        row.median_ms,
        giga(row.additions),
        giga(row.multiplications),
        rate,
      ];
      text.push(`| ${cells.join(' | ')} |`);
    }
  }
  const notes = join(import.meta.dirname, 'notes.md');
  if (existsSync(notes)) text.push('', readFileSync(notes, 'utf8').trim());
  return `${text.join('\n')}\n`;
}

const wanted =
  process.argv[2] && process.argv[2] !== 'all' ? process.argv[2].split(',') : axes.map(({ name }) => name);
const rounds = Number(process.argv[3] ?? 12);
const unknown = wanted.find((name) => !axes.some((axis) => axis.name === name));
if (unknown !== undefined || !(rounds >= 1)) {
  console.error(`axes: ${axes.map(({ name }) => name).join(', ')}, or all; then a number of rounds`);
  process.exit(2);
}
const path = join(import.meta.dirname, 'growth.json');
const before = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).rows : [];
const rows = [];
for (const axis of axes) {
  if (wanted.includes(axis.name)) rows.push(...(await measureAxis(axis, rounds)));
  else rows.push(...before.filter((row) => row.axis === axis.name));
}
const result = {
  machine: `${cpus()[0].model.trim()}, ${cpus().length} cores`,
  engine: `Node ${process.versions.node}, V8 ${process.versions.v8}`,
  rows,
};
writeFileSync(path, `${JSON.stringify(result, null, 2)}\n`);
writeFileSync(join(import.meta.dirname, 'growth.md'), markdown(result));
writeFileSync(join(import.meta.dirname, 'growth.svg'), chart(axes, rows));
console.log(markdown(result));
