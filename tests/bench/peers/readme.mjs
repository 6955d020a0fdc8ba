// Writes the results of the last `make bench` into README.md, between its two bench marks.
//
//   node tests/bench/peers/readme.mjs [FOLDER; default build/bench]
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { isBusy, speedTable, table, unique } from './report.mjs';
import { labelOf } from './runners/list.mjs';
import { targetRows } from './targets.mjs';

const root = resolve(import.meta.dirname, '../../..');
const folder = process.argv[2] ?? join(root, 'build/bench');
const readJson = (name) => JSON.parse(readFileSync(join(folder, name), 'utf8'));

const rows = readJson('results.json');
const { before, after } = readJson('machine.json');
const field = isBusy(rows) ? 'cpu_ms' : 'min_ms';
const single = rows.filter(({ threads }) => threads === 1);

const names = {
  resnet50: 'ResNet-50',
  resnet18: 'ResNet-18',
  alexnet: 'AlexNet',
  squeezenet: 'SqueezeNet 1.1',
  mobilenet: 'MobileNet v2',
};
const named = (list) => list.map((row) => ({ ...row, model: names[row.model] ?? row.model }));
const engines = unique(single.map(({ engine }) => engine));
const browser = engines.find((engine) => engine.startsWith('Chromium')) ?? engines[0];
const inBrowser = single.filter(({ engine }) => engine === browser);

function costs() {
  const list = inBrowser.filter(({ model }) => model === 'resnet50');
  const show = (value, digits = 0) => (value === null ? '' : value.toFixed(digits));
  return table(
    ['ResNet-50', 'wasm memory, MB', 'reading and preparing, ms', 'cold start, ms'],
    list.map((row) => [
      labelOf(row),
      show(row.wasm_bytes / 1e6, 1),
      show(row[field === 'cpu_ms' ? 'prepare_cpu_ms' : 'prepare_ms'] ?? row.prepare_ms),
      show(row.first_ms),
    ]),
  );
}

function targets() {
  const lists = engines.map((engine) => new Map(targetRows(rows, engine).map((row) => [row[0], row])));
  const shown = (row) => {
    if (!row) return '';
    const [value, verdict] = field === 'cpu_ms' && row[5] ? row.slice(5) : row.slice(3);
    return `${value}, ${verdict}`;
  };
  return table(
    ['target', 'at least', 'aim', ...engines],
    unique(lists.flatMap((list) => [...list.keys()])).map((what) => {
      const [, least, aim] = lists.map((list) => list.get(what)).find(Boolean);
      return [what, least, aim, ...lists.map((list) => shown(list.get(what)))];
    }),
  );
}

const how =
  field === 'cpu_ms'
    ? `processor time of a run, since other programs kept the machine busy (load average ${before.load} to ${after.load}; ` +
      'cold starts are by the clock, and slower for it)'
    : 'the fastest of the runs and (the median)';
/** Words in lines of README's width. */
function paragraph(text) {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1);
    if (line && line.length + 1 + word.length > 120) lines.push(word);
    else lines[lines.length - 1] = line ? `${line} ${word}` : word;
  }
  return lines.join('\n');
}

const section = [
  paragraph(
    `\`make bench\` on ${before.processor}, ${browser}, one thread, random weights: milliseconds from image tensor to logits` +
      `, ${how}; then how many times faster than onnxruntime-web fp32 and, for Trefoil, than the fastest peer of any precision. ` +
      'Outputs are checked before anything is timed. n4-l4-a8: groups of 4 with 4 scale levels a filter, 8-bit activations; ' +
      'a4-r8: 4-bit activations, sums of 8 bits; p2: ' +
      'two planes; default: int8 weights, which `quantize()` without options gives the trained networks of these two shapes. tests/bench/peers/README.md tells how it is measured.',
  ),
  speedTable(named(inBrowser), field),
  costs(),
  'What the project aims at, and where it is; ratios are taken within one run.',
  targets(),
].join('\n\n');

const path = join(root, 'README.md');
const text = readFileSync(path, 'utf8');
const marks = /(<!-- bench -->\n)[^]*(<!-- \/bench -->)/;
if (!marks.test(text)) throw new Error('README.md has no <!-- bench --> and <!-- /bench --> marks');
writeFileSync(
  path,
  text.replace(marks, (_, start, end) => `${start}\n${section}\n\n${end}`),
);
