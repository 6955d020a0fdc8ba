// Golden logits and the quantizer's golden bytes, in the Node that runs this.
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { loadModel } from 'trefoil';
import { quantize } from 'trefoil/quantize';
import { expect, test } from 'vitest';
import { logitHash, parseGoldens } from '../golden/golden.js';

const goldens = resolve(import.meta.dirname, '../golden');
const signs = resolve(import.meta.dirname, '../../models/signs');

test('golden models give their golden logits', async () => {
  const list = parseGoldens(readFileSync(join(goldens, 'golden.txt'), 'utf8'));
  expect(list.length).toBeGreaterThanOrEqual(3);
  for (const { file, images, hash } of list) {
    const model = await loadModel(join(goldens, file));
    const actual = await logitHash(model, images);
    model.dispose();
    expect(`${file} ${actual}`).toBe(`${file} ${hash}`);
  }
});

test('the quantizer writes its golden bytes', async () => {
  const calibration = readdirSync(join(signs, 'calibration'))
    .filter((name) => name.endsWith('.png'))
    .sort()
    .slice(0, 16)
    .map((name) => join(signs, 'calibration', name));
  const { model } = await quantize(readFileSync(join(signs, 'signs.onnx')), {
    calibration,
    groupSize: 4,
    preprocess: JSON.parse(readFileSync(join(signs, 'preprocess.json'), 'utf8')),
    labels: readFileSync(join(signs, 'labels.txt'), 'utf8').trim().split('\n'),
  });
  const digest = createHash('sha256').update(model).digest('hex');
  expect(digest).toBe(readFileSync(join(goldens, 'quantized.sha256'), 'utf8').trim());
}, 120_000);
