// What a network sees of a picture file: to one grey level what Pillow and torchvision make of it. The files, and what is
// expected of them, are drawn by tests/images/make.py.
import { join } from 'node:path';

import { loadFloatModel } from 'trefoil/quantize';
import { expect, test } from 'vitest';

import { looker } from './onnx-networks.js';
import { pillowCases, pillowFolder, planesOf } from './pillow.js';

test('there are pictures of every kind', () => {
  expect(pillowCases.length).toBeGreaterThan(50);
  for (const kind of ['letterbox', 'bgr']) {
    expect(pillowCases.filter(({ expected }) => expected.includes(kind)).length).toBeGreaterThan(8);
  }
});

test.each(pillowCases)('$expected', async ({ file, preprocess, expected }) => {
  const model = await loadFloatModel(looker(...preprocess.crop), { preprocess });
  try {
    const planes = await model.planes(join(pillowFolder, file));
    const wanted = await planesOf(join(pillowFolder, expected));
    expect(planes.length).toBe(wanted.length);
    const most = planes.reduce((most, value, i) => Math.max(most, Math.abs(value - wanted[i]!)), 0);
    expect(most).toBeLessThanOrEqual(1);
  } finally {
    model.dispose();
  }
});
