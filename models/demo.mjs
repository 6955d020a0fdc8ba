// The whole way on the command line: takes the bundled traffic-sign network, quantizes it to ternary weights in groups of
// 4 and of 64, and compares what comes out with the float network on pictures that neither has seen.
//   usage: npm run demo
import { readFile, readdir } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import sharp from 'sharp';
import { loadModel, version } from 'trefoil';
import { loadFloatModel, quantize } from 'trefoil/quantize';

const signs = join(dirname(fileURLToPath(import.meta.url)), 'signs');
const say = (text) => process.stdout.write(`${text}\n`);

/** Decoded once and ahead, so that the times below are those of the networks alone. */
async function decode(file) {
  const { data, info } = await sharp(file).toColourspace('srgb').removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height, channels: info.channels };
}

async function testPictures(labels) {
  const folder = join(signs, 'test');
  const pictures = [];
  for (const name of (await readdir(folder)).sort()) {
    for (const file of (await readdir(join(folder, name))).sort()) {
      pictures.push({ image: await decode(join(folder, name, file)), truth: labels.indexOf(name) });
    }
  }
  return pictures;
}

/** The best class of each picture, and the median of the milliseconds that one took. */
async function classifyAll(model, pictures) {
  for (const { image } of pictures.slice(0, 20)) await model.classify(image);
  const best = [];
  const times = [];
  for (const { image } of pictures) {
    const start = performance.now();
    best.push((await model.classify(image, { topK: 1 }))[0].index);
    times.push(performance.now() - start);
  }
  return { best, milliseconds: times.sort((a, b) => a - b)[times.length >> 1] };
}

function figures(name, bytes, { best, milliseconds }, pictures, reference) {
  const share = (test) => pictures.filter(test).length / pictures.length;
  return {
    name,
    bytes,
    milliseconds,
    top1: share(({ truth }, i) => best[i] === truth),
    agreement: share((_, i) => best[i] === reference[i]),
  };
}

function printTable(rows) {
  const percent = (value) => `${(100 * value).toFixed(1)} %`;
  const [float] = rows;
  const cells = [
    ['network', 'file', 'smaller', 'top-1', 'agrees with float', 'an image', 'faster'],
    ...rows.map((row) => [
      row.name,
      `${(row.bytes / 1000).toFixed(0)} kB`,
      `${(float.bytes / row.bytes).toFixed(1)} x`,
      percent(row.top1),
      percent(row.agreement),
      `${row.milliseconds.toFixed(2)} ms`,
      `${(float.milliseconds / row.milliseconds).toFixed(1)} x`,
    ]),
  ];
  const widths = cells[0].map((_, i) => Math.max(...cells.map((line) => line[i].length)));
  for (const [i, line] of cells.entries()) {
    say('  ' + line.map((cell, c) => (c === 0 ? cell.padEnd(widths[c]) : cell.padStart(widths[c]))).join('   '));
    if (i === 0) say('  ' + widths.map((width) => '-'.repeat(width)).join('   '));
  }
}

const onnx = await readFile(join(signs, 'signs.onnx'));
const preprocess = JSON.parse(await readFile(join(signs, 'preprocess.json'), 'utf8'));
const labels = (await readFile(join(signs, 'labels.txt'), 'utf8')).trim().split('\n');
const calibration = (await readdir(join(signs, 'calibration'))).sort().map((file) => join(signs, 'calibration', file));
const pictures = await testPictures(labels);

say(`Trefoil ${version}: ${labels.length} traffic signs, ${relative(process.cwd(), join(signs, 'signs.onnx'))}\n`);

const float = await loadFloatModel(onnx, { preprocess, labels });
const reference = await classifyAll(float, pictures);
const rows = [figures('float', onnx.byteLength, reference, pictures, reference.best)];

for (const groupSize of [4, 64]) {
  const start = performance.now();
  const { model: bytes, report } = await quantize(onnx, { calibration, groupSize, activationBits: 8, preprocess, labels });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const removed = (100 * report.total.multiplicationsRemoved).toFixed(0);
  say(
    `quantized in ${seconds} s with ${calibration.length} pictures: groups of ${groupSize}, ` +
      `${report.total.bitsPerWeight.toFixed(2)} bits a weight, ${removed} % of the multiplications gone`,
  );
  const model = await loadModel(bytes);
  const answers = await classifyAll(model, pictures);
  model.dispose();
  rows.push(figures(`ternary, groups of ${groupSize}`, bytes.byteLength, answers, pictures, reference.best));
}
float.dispose();

say('');
printTable(rows);
say(`\n${pictures.length} test pictures, one thread, in Node ${process.version}. Pictures of this kind are drawn by models/signs/.`);
