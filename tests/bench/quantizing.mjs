// How long quantizing a ResNet-50 takes in Node and how much memory it needs at most, as a Markdown table.
//
//   node tests/bench/quantizing.mjs [MODEL.onnx] [--images N, default 64]
//
// Without MODEL.onnx: random weights (tests/bench/peers), which cost what trained ones cost. Every recipe has a process of its own, whose
// largest resident memory holds the engine and the file too. Quantizing runs on one thread; processor time counts what the
// engine's compiler does beside it.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { loadFloatModel, quantize } from 'trefoil/quantize';

import { resnetOfDepth } from './peers/models/networks.mjs';
import { floatOnnx } from './peers/models/onnx.mjs';
import { picture, preprocess } from './peers/models/random.mjs';

const recipes = {
  'plain, N=4': { method: 'fgq', scaleLevels: 'free', groupSize: 4 },
  'compensated, N=4, 4 levels': { groupSize: 4 },
  default: {},
};

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { images: { type: 'string', default: '64' }, recipe: { type: 'string' } },
});

/** One recipe, measured on this process. */
async function measure(path, options, images) {
  const onnx = readFileSync(path);
  const float = await loadFloatModel(onnx, { preprocess });
  const [channels, height, width] = float.info.inputShape;
  float.dispose();
  const calibration = Array.from({ length: images }, (_, i) => ({
    data: picture([channels, height, width], 100 + i),
    channels,
    height,
    width,
  }));
  const cpu = process.cpuUsage();
  const start = performance.now();
  const { model } = await quantize(onnx, { calibration, preprocess, ...options });
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return {
    seconds,
    processorSeconds: (user + system) / 1e6,
    megabytes: process.resourceUsage().maxRSS / 1000,
    fileMegabytes: model.length / 1e6,
  };
}

async function randomResnet50(folder) {
  const { fillWeights } = await import('./peers/models/weights.mjs');
  const network = resnetOfDepth(50, { size: 224 });
  await fillWeights(network, { seed: 7, pictures: 2 });
  const path = join(folder, 'resnet50.onnx');
  writeFileSync(path, floatOnnx(network));
  return path;
}

if (values.recipe) {
  console.log(JSON.stringify(await measure(positionals[0], recipes[values.recipe], Number(values.images))));
} else {
  const folder = mkdtempSync(join(tmpdir(), 'trefoil-quantizing-'));
  try {
    const path = positionals[0] ?? (await randomResnet50(folder));
    console.log('| recipe | seconds | of the processor | memory at most | file |');
    console.log('| --- | --- | --- | --- | --- |');
    for (const name of Object.keys(recipes)) {
      const own = [import.meta.filename, path, '--recipe', name, '--images', values.images];
      const result = JSON.parse(
        execFileSync(process.execPath, own, { stdio: ['ignore', 'pipe', 'inherit'] }),
      );
      const { seconds, processorSeconds, megabytes, fileMegabytes } = result;
      console.log(
        `| ${name} | ${seconds.toFixed(0)} | ${processorSeconds.toFixed(0)} | ${megabytes.toFixed(0)} MB | ${fileMegabytes.toFixed(1)} MB |`,
      );
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
