// Top-1 of float and ternary networks over a grid of recipes, as a Markdown table (README's accuracy tables come from here).
//
//   node tests/bench/accuracy.mjs SHARED [--only NAME] [--count N] [--calibration N]
//
// SHARED is a folder with models/ and data/ (see CONTRIBUTING.md, "Accuracy on real networks"). CIFAR networks are scored on the
// test images and calibrated on training images; photographs are split into calibration and scored ones by their order
// in images.csv, so that no image is ever both.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { loadModel } from 'trefoil';
import { loadFloatModel, quantize } from 'trefoil/quantize';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string' }, count: { type: 'string' }, calibration: { type: 'string' } },
});
const [shared] = positionals;
if (!shared) {
  console.error('usage: node tests/bench/accuracy.mjs SHARED [--only NAME] [--count N] [--calibration N]');
  process.exit(2);
}

const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
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
];
const recipes = [4, 64].flatMap((groupSize) =>
  [8, 4].flatMap((activationBits) =>
    [false, true].map((affineCorrection) => ({ groupSize, activationBits, affineCorrection })),
  ),
);

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

async function top1(model, set, background) {
  let correct = 0;
  const answers = [];
  const start = performance.now();
  for (const { image, label } of set) {
    const [best] = await model.classify(image, { topK: 1 });
    answers.push(best.index);
    correct += Number(best.index === label + (background ? 1 : 0));
  }
  return { top1: (100 * correct) / set.length, answers, ms: (performance.now() - start) / set.length };
}

for (const network of networks.filter(({ name }) => !values.only || name === values.only)) {
  const isCifar = network.data === 'cifar';
  const calibrationCount = Number(values.calibration ?? (isCifar ? 256 : 128));
  const count = Number(values.count ?? (isCifar ? 10000 : 372));
  const calibration = isCifar ? await cifar('train', calibrationCount) : await photos(0, calibrationCount);
  const scored = isCifar ? await cifar('test', count) : await photos(calibrationCount, count);
  const onnx = readFileSync(join(shared, 'models', `${network.name}.onnx`));
  const { preprocess } = network;
  const floatModel = await loadFloatModel(onnx, { preprocess });
  const float = await top1(floatModel, scored, network.background);
  floatModel.dispose();
  console.log(
    `\n### ${network.name}: ${calibration.length} calibration images, ${scored.length} others scored\n`,
  );
  console.log(
    '| group size | activations | affine re-estimation | file | top-1 | drop | agrees with float |',
  );
  console.log('| --- | --- | --- | --- | --- | --- | --- |');
  console.log(`| float | float | | ${(onnx.length / 1e6).toFixed(2)} MB | ${float.top1.toFixed(2)} | | |`);
  for (const recipe of recipes) {
    const { model: bytes } = await quantize(onnx, {
      calibration: calibration.map(({ image }) => image),
      preprocess,
      ...recipe,
    });
    const model = await loadModel(bytes);
    const ternary = await top1(model, scored, network.background);
    model.dispose();
    const agree = ternary.answers.filter((answer, i) => answer === float.answers[i]).length / scored.length;
    console.log(
      `| ${recipe.groupSize} | ${recipe.activationBits} bits | ${recipe.affineCorrection ? 'yes' : 'no'} ` +
        `| ${(bytes.length / 1e6).toFixed(2)} MB | ${ternary.top1.toFixed(2)} | ${(float.top1 - ternary.top1).toFixed(2)} ` +
        `| ${(100 * agree).toFixed(1)}% |`,
    );
  }
}
