// How pictures become a network's input: from the options, through the file, to what the network sees. What resizing and bars
// do to pixels is compared with Pillow in pillow.test.ts.
import { loadModel } from 'trefoil';
import { loadFloatModel, quantize, type PreprocessOptions } from 'trefoil/quantize';
import { expect, test } from 'vitest';

import { goldenPixels } from '../golden/golden.js';
import { looker } from './onnx-networks.js';
import { errorOf } from './signs.js';

const bars: [number, number, number] = [200, 30, 7];

/** Pictures of 12 x 6 pixels, RGBA. */
const wide = [1, 2, 3, 4].map((seed) => ({ data: goldenPixels(12, 6, seed), width: 12, height: 6 }));

/** The same with red and blue exchanged, and bars above and below: 12 x 12. */
const prepared = wide.map(({ data }) => {
  const rows = Uint8Array.from({ length: 4 * 12 * 3 }, (_, i) => [...bars, 255][i % 4]!);
  const picture = Uint8Array.from([...rows, ...data, ...rows]);
  for (let i = rows.length; i < rows.length + data.length; i += 4) {
    [picture[i], picture[i + 2]] = [picture[i + 2]!, picture[i]!];
  }
  return { data: picture, width: 12, height: 12 };
});

const scaling = { mean: [0.4, 0.5, 0.6], std: [0.25, 0.2, 0.3] };
const boxed: PreprocessOptions = { letterbox: bars, channelOrder: 'bgr', ...scaling };

test('a letterbox and another order of channels are kept in the model, for its pictures', async () => {
  const onnx = looker(12, 12);
  const [ours, theirs] = await Promise.all([
    quantize(onnx, { calibration: wide, preprocess: boxed }),
    quantize(onnx, { calibration: prepared, preprocess: scaling }),
  ]);
  const [model, plain] = [await loadModel(ours.model), await loadModel(theirs.model, { worker: false })];
  expect(model.info.preprocess).toMatchObject({
    resize: 0,
    crop: [12, 12],
    letterbox: bars,
    channelOrder: 'bgr',
  });
  expect(plain.info.preprocess).toMatchObject({ letterbox: false, channelOrder: 'rgb' });
  for (const [i, picture] of wide.entries()) {
    expect(await model.planes(picture)).toEqual(await plain.planes(prepared[i]!));
    expect(await model.logits(picture)).toEqual(await plain.logits(prepared[i]!));
  }

  // What a model says of itself is an option, too.
  const float = await loadFloatModel(onnx, { preprocess: model.info.preprocess });
  const reference = await loadFloatModel(onnx, { preprocess: plain.info.preprocess });
  expect(float.info.preprocess).toEqual(model.info.preprocess);
  expect(await float.logits(wide[0]!)).toEqual(await reference.logits(prepared[0]!));
  for (const each of [model, plain, float, reference]) each.dispose();
});

test('bars are of gray 114 where no colour is given', async () => {
  const model = await loadFloatModel(looker(4, 2), { preprocess: { letterbox: true } });
  expect(model.info.preprocess.letterbox).toEqual([114, 114, 114]);
  const white = { data: new Uint8Array(4 * 4).fill(255), width: 2, height: 2 };
  const plane = [114, 114, 255, 255, 255, 255, 114, 114];
  expect([...(await model.planes(white))]).toEqual([...plane, ...plane, ...plane]);
  model.dispose();
});

test.each([
  [{ letterbox: 114 }, 'three whole numbers from 0 to 255'],
  [{ letterbox: [1, 2] }, 'three whole numbers'],
  [{ letterbox: [0, 0, 256] }, 'three whole numbers'],
  [{ letterbox: [0.5, 0.5, 0.5] }, 'three whole numbers'],
  [{ letterbox: 'grey' }, 'true, false or the colour'],
  [{ letterbox: true, resize: 16 }, 'leave one out'],
  [{ letterBox: true }, "did you mean 'letterbox'?"],
  [{ channelOrder: 'BGR' }, "did you mean 'bgr'?"],
  [{ channelOrder: 3 }, "must be 'rgb' or 'bgr'"],
  [{ channelOrder: null }, "must be 'rgb' or 'bgr'"],
])('%j is BAD_OPTION', async (preprocess, words) => {
  for (const failed of [
    errorOf(quantize(looker(12, 12), { calibration: wide, preprocess: preprocess as PreprocessOptions })),
    errorOf(loadFloatModel(looker(12, 12), { preprocess: preprocess as PreprocessOptions })),
  ]) {
    const error = await failed;
    expect(error.code).toBe('BAD_OPTION');
    expect(error.message).toContain(words);
  }
});

test('a gray network has one colour of bars, and no order of channels', async () => {
  const onnx = looker(3, 1, 1);
  const error = await errorOf(loadFloatModel(onnx, { preprocess: { channelOrder: 'bgr' } }));
  expect(error).toMatchObject({ code: 'BAD_OPTION', details: { option: 'channelOrder' } });
  const model = await loadFloatModel(onnx, { preprocess: { letterbox: bars } });
  const red = { data: Uint8Array.of(255, 0, 0, 255), width: 1, height: 1 };
  expect([...(await model.planes(red))]).toEqual([200, 76, 200]);
  model.dispose();
});
