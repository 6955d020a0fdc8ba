// Renews the golden models, their hashes and the quantizer's golden digest: node tests/golden/make.mjs
// Needs `make npm` first. Renewing is right only where the arithmetic, the quantizer or the file format changed on purpose.
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { loadModel } from 'trefoil';
import { quantize } from 'trefoil/quantize';

const folder = import.meta.dirname;
const signs = join(folder, '../../models/signs');
const text = buildSync({ entryPoints: [join(folder, 'golden.ts')], format: 'esm', write: false }).outputFiles[0].text;
const { logitHash } = await import(`data:text/javascript,${encodeURIComponent(text)}`);

const onnx = readFileSync(join(signs, 'signs.onnx'));
const preprocess = JSON.parse(readFileSync(join(signs, 'preprocess.json'), 'utf8'));
const labels = readFileSync(join(signs, 'labels.txt'), 'utf8').trim().split('\n');
const calibration = readdirSync(join(signs, 'calibration'))
  .filter((name) => name.endsWith('.png'))
  .sort()
  .slice(0, 16)
  .map((name) => join(signs, 'calibration', name));

const recipes = {
  'signs-n4-a8.trefoil': {},
  'signs-n64-a4.trefoil': { groupSize: 64, activationBits: 4, planes: 2, method: 'fgq', scaleLevels: 'free' },
  'signs-two-sided-n8-a6.trefoil': { groupSize: 8, activationBits: 6, method: 'fgq-two-sided' },
};
const images = 4;
const lines = [];
for (const [file, recipe] of Object.entries(recipes)) {
  const { model: bytes } = await quantize(onnx, { calibration, preprocess, labels, ...recipe });
  writeFileSync(join(folder, file), bytes);
  const model = await loadModel(bytes);
  lines.push(`${file} ${images} ${await logitHash(model, images)}`);
  model.dispose();
  if (file === 'signs-n4-a8.trefoil') {
    writeFileSync(join(folder, 'quantized.sha256'), `${createHash('sha256').update(bytes).digest('hex')}\n`);
  }
}
writeFileSync(join(folder, 'golden.txt'), `${lines.join('\n')}\n`);
console.log(lines.join('\n'));
