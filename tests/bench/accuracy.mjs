// Top-1 of float and ternary networks over a grid of recipes, as a Markdown table (README's accuracy tables come from here).
//
//   node tests/bench/accuracy.mjs SHARED [--only NAME] [--recipe NAME]... [--study] [--count N] [--calibration N]
//
// SHARED is a folder with models/ and data/ (see CONTRIBUTING.md, "Accuracy on real networks"). CIFAR networks are scored on the
// test images and calibrated on training images; photographs are split into calibration and scored ones by their order
// in images.csv, so that no image is ever both. `--only signs` is the bundled network, and needs no SHARED;
// `--pictures FOLDER` are others than the bundled test pictures. `--study` takes the recipes of accuracy_study.mjs
// instead, on their network, and sets what a float prototype lost beside each. "drop" is what labels say, "expected" what the
// float network's probabilities do.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { loadModel } from 'trefoil';
import { loadFloatModel, quantize } from 'trefoil/quantize';
import { beyond, study, studyNetwork } from './accuracy_study.mjs';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string' },
    recipe: { type: 'string', multiple: true },
    study: { type: 'boolean' },
    pictures: { type: 'string', default: join(import.meta.dirname, '../../models/signs/test') },
    count: { type: 'string' },
    calibration: { type: 'string' },
  },
});
const [shared] = positionals;
if (!shared && values.only !== 'signs') {
  console.error(
    'usage: node tests/bench/accuracy.mjs SHARED [--only NAME] [--recipe NAME]... [--study] [--count N] [--calibration N]',
  );
  process.exit(2);
}

const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const signs = join(import.meta.dirname, '../../models/signs');
const networks = [
  { name: 'resnet20_cifar10', data: 'cifar', preprocess: imagenet },
  { name: 'resnet20_cifar10_jpeg', data: 'cifar', preprocess: imagenet },
  {
    name: 'resnet8_cifar10',
    data: 'cifar',
    preprocess: { mean: [0, 0, 0], std: [1 / 255, 1 / 255, 1 / 255] },
  },
  { name: 'squeezenet1_1', data: 'photos', preprocess: { resize: 256, crop: 224, ...imagenet } },
  {
    name: 'mobilenet_v2',
    data: 'photos',
    background: true, // class 0 is the background, so ImageNet's classes start at 1
    preprocess: { resize: 256, crop: 224, mean: Array(3).fill(128 / 255), std: Array(3).fill(128 / 255) },
  },
  { name: 'tiny_darknet', data: 'photos', preprocess: { resize: 256, crop: 224 } },
  {
    name: 'signs',
    data: 'signs',
    preprocess: JSON.parse(readFileSync(join(signs, 'preprocess.json'), 'utf8')),
  },
];
const plain = { method: 'fgq', scaleLevels: 'free' };
const recipes = [
  { name: 'int8 weights', weights: 'int8' },
  { name: 'N=4, plain', ...plain },
  { name: 'default' },
  { name: 'mixed, 3/4 of int8', share: 0.75 },
  { name: 'N=4, 4 levels', groupSize: 4 },
  { name: 'N=4', scaleLevels: 'free' },
  { name: 'N=64', groupSize: 64, scaleLevels: 'free' },
  { name: 'N=64, 2 planes', groupSize: 64, scaleLevels: 'free', planes: 2 },
  { name: 'N=4, 4 levels, A4', groupSize: 4, activationBits: 4 },
  { name: 'N=64, 2 planes, A4', groupSize: 64, scaleLevels: 'free', planes: 2, activationBits: 4 },
];

/** The recipe's options; int8 weights are said layer by layer. share: bytes for each weight of the network. */
function optionsOf({ name: _, lost: __, calibration: ___, weights, share, ...options }, layers) {
  if (share) {
    const count = layers.reduce((sum, layer) => sum + layer.weights, 0);
    return { ...options, recipe: { bytes: Math.round(share * count) } };
  }
  const convolutions = layers.filter((layer) => layer.weights > 0).map((layer) => [layer.name, { weights }]);
  return weights ? { ...options, layers: Object.fromEntries(convolutions) } : options;
}

async function decode(bytes) {
  const { data, info } = await sharp(bytes)
    .toColourspace('srgb')
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { data: new Uint8Array(data), width: info.width, height: info.height, channels: info.channels };
}

function readCsv(path) {
  return readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(','));
}

async function cifar(split, count, skip = 0) {
  const folder = join(shared, 'data/cifar10-jpeg');
  const pack = readFileSync(join(folder, `${split}.bin`));
  const rows = readCsv(join(folder, `${split}.index.csv`)).slice(skip, skip + count);
  return Promise.all(
    rows.map(async ([offset, length, label]) => ({
      image: await decode(pack.subarray(Number(offset), Number(offset) + Number(length))),
      label: Number(label),
    })),
  );
}

async function photos(skip, count) {
  const folder = join(shared, 'data/photos-imagenet');
  const rows = readCsv(join(folder, 'images.csv')).slice(skip, skip + count);
  return Promise.all(
    rows.map(async ([file, label]) => ({
      image: await decode(readFileSync(join(folder, 'images', file))),
      label: Number(label),
    })),
  );
}

async function signCalibration(count) {
  const files = readdirSync(join(signs, 'calibration')).sort().slice(0, count);
  return Promise.all(
    files.map(async (file) => ({ image: await decode(readFileSync(join(signs, 'calibration', file))) })),
  );
}

async function signPictures(count) {
  const labels = readFileSync(join(signs, 'labels.txt'), 'utf8').trim().split('\n');
  const files = labels.flatMap((name, label) =>
    readdirSync(join(values.pictures, name)).map((file) => ({
      path: join(values.pictures, name, file),
      label,
    })),
  );
  return Promise.all(
    files
      .slice(0, count)
      .map(async ({ path, label }) => ({ image: await decode(readFileSync(path)), label })),
  );
}

/** Calibration images, and labelled ones that are none of these. */
async function images({ data }) {
  const calibrationCount = Number(values.calibration ?? { cifar: 512, photos: 128, signs: 64 }[data]);
  const count = Number(values.count ?? { cifar: 10000, photos: 372, signs: Infinity }[data]);
  if (data === 'cifar') return [await cifar('train', calibrationCount), await cifar('test', count)];
  if (data === 'signs') return [await signCalibration(calibrationCount), await signPictures(count)];
  return [await photos(0, calibrationCount), await photos(calibrationCount, count)];
}

/** Top-1, the best class of each picture, and the probabilities of all. */
async function top1(model, set, background) {
  let correct = 0;
  const answers = [];
  const probabilities = [];
  for (const { image, label } of set) {
    const classes = await model.classify(image, { topK: model.info.classes });
    answers.push(classes[0].index);
    correct += Number(classes[0].index === label + (background ? 1 : 0));
    const scores = new Float32Array(classes.length);
    for (const { index, score } of classes) scores[index] = score;
    probabilities.push(scores);
  }
  return { top1: (100 * correct) / set.length, answers, probabilities };
}

/**
 * Points of top-1 that the answers lose if each class is right as often as the float network says. What a few pictures with
 * labels say of a small loss is mostly chance; this has a third of its error, or less.
 */
function expectedDrop(float, answers) {
  const lost = answers.map((answer, i) => {
    const probabilities = float.probabilities[i];
    return probabilities[float.answers[i]] - probabilities[answer];
  });
  return (100 * lost.reduce((sum, loss) => sum + loss, 0)) / lost.length;
}

const only = values.study ? studyNetwork : values.only;
const wanted = (values.study ? study : recipes).filter(
  ({ name }) => !values.recipe || values.recipe.includes(name),
);
for (const network of networks.filter(({ name }) => !only || name === only)) {
  const [calibration, scored] = await images(network);
  const onnx = readFileSync(
    network.data === 'signs' ? join(signs, 'signs.onnx') : join(shared, 'models', `${network.name}.onnx`),
  );
  const { preprocess } = network;
  const floatModel = await loadFloatModel(onnx, { preprocess });
  const { layers } = floatModel.info;
  const float = await top1(floatModel, scored, network.background);
  floatModel.dispose();
  console.log(
    `\n### ${network.name}: ${calibration.length} calibration images, ${scored.length} others scored\n`,
  );
  const beside = values.study ? [' prototype lost | more than it |', ' --- | --- |'] : ['', ''];
  console.log(
    `| recipe | bits a weight | zeros | multiplications removed | file | top-1 | drop | expected | agrees with float | quantizing |${beside[0]}`,
  );
  console.log(`| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |${beside[1]}`);
  console.log(`| float | 32 | | | ${(onnx.length / 1e6).toFixed(2)} MB | ${float.top1.toFixed(2)} | | | | |`);
  for (const recipe of wanted) {
    const own = recipe.calibration ? await cifar('train', recipe.calibration) : calibration;
    const start = performance.now();
    const { model: bytes, report } = await quantize(onnx, {
      calibration: own.map(({ image }) => image),
      preprocess,
      ...optionsOf(recipe, layers),
    });
    const seconds = (performance.now() - start) / 1000;
    const model = await loadModel(bytes);
    const result = await top1(model, scored, network.background);
    model.dispose();
    // Of the layers that the recipe is about; the first and the last are int8 in all.
    const ternary = report.layers.filter(({ kind }) => kind === 'ternary');
    const weights = ternary.reduce((sum, layer) => sum + layer.weights, 0);
    const mean = (of) => ternary.reduce((sum, layer) => sum + of(layer) * layer.weights, 0) / weights;
    const agree = result.answers.filter((answer, i) => answer === float.answers[i]).length / scored.length;
    // Where layers were chosen, of all of them.
    const chosen = recipe.name === 'default' || recipe.share !== undefined;
    const bits = chosen ? report.total.bitsPerWeight : weights ? mean((layer) => layer.bitsPerWeight) : 8;
    const cells = [
      recipe.name,
      `${bits.toFixed(2)}${chosen ? ' (of all layers)' : ''}`,
      weights ? `${(100 * mean((layer) => layer.zeroShare)).toFixed(0)}%` : '',
      `${(100 * report.total.multiplicationsRemoved).toFixed(1)}%`,
      `${(bytes.length / 1e6).toFixed(2)} MB`,
      result.top1.toFixed(2),
      (float.top1 - result.top1).toFixed(2),
      expectedDrop(float, result.answers).toFixed(2),
      `${(100 * agree).toFixed(1)}%`,
      `${seconds.toFixed(0)} s`,
    ];
    if (recipe.lost) {
      cells.push(recipe.lost.join(' to '), beyond(recipe.lost, float.top1 - result.top1).toFixed(2));
    }
    console.log(`| ${cells.join(' | ')} |`);
  }
}
