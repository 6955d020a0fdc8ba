// quantize(): the same bytes each time, news of its progress, and its end when it is not wanted any more.
import { readFileSync } from 'node:fs';

import { loadModel } from 'trefoil';
import { loadFloatModel, quantize, type Progress, type QuantizeOptions } from 'trefoil/quantize';
import { expect, test } from 'vitest';

import {
  calibration,
  errorOf,
  labels,
  onnx,
  onnxPath,
  picturesOf,
  preprocess,
  quantizedSigns,
} from './signs.js';

test('gives the same bytes each time, in a worker or not, from a file or from bytes', async () => {
  const { model } = await quantizedSigns();
  const others = await Promise.all([
    quantizedSigns({ worker: false }),
    quantize(onnxPath, {
      calibration: (async function* () {
        for (const file of calibration(8)) yield readFileSync(file);
      })(),
      labels,
      method: 'fgq',
      preprocess: { resize: 64, mean: 0.5, std: 0.25 },
    }),
  ]);
  for (const other of others) expect(Buffer.compare(other.model, model)).toBe(0);
  const different = await quantizedSigns({ calibration: calibration(7) });
  expect(Buffer.compare(different.model, model)).not.toBe(0);
}, 120_000);

test('reports layers and totals', async () => {
  const { model, report } = await quantizedSigns({ groupSize: 64, scaleLevels: 'free' });
  expect(report.fileBytes).toBe(model.length);
  expect(report.sourceBytes).toBe(onnx.length);
  expect(report.calibrationImages).toBe(8);
  expect(report.layers.filter(({ kind }) => kind === 'int8').length).toBe(2);
  const ternary = report.layers.filter(({ kind }) => kind === 'ternary');
  expect(ternary.length).toBeGreaterThan(10);
  for (const layer of ternary) {
    expect(layer.bitsPerWeight).toBeGreaterThan(2);
    expect(layer.bitsPerWeight).toBeLessThan(2.5);
    expect(layer.zeroShare).toBeGreaterThan(0.3);
    expect(layer.weightSqnrDb).toBeGreaterThan(4);
    expect(layer.shape.length).toBe(3);
  }
  expect(report.total.multiplicationsRemoved).toBeGreaterThan(0.9);
});

test('by default 2.5 bits a weight and error compensation, which is nearer to the float network', async () => {
  const { model, report } = await quantize(onnx, { calibration: calibration(16), labels, preprocess });
  const loaded = await loadModel(model);
  expect(loaded.info.recipe).toMatchObject({
    method: 'compensated',
    groupSize: 4,
    scaleLevels: 4,
    planes: 1,
  });
  loaded.dispose();
  const plain = await quantizedSigns({ calibration: calibration(16) });
  expect(report.layers.filter(({ scaleLevels }) => scaleLevels === 4).length).toBeGreaterThan(10);
  report.layers.forEach((layer, i) => {
    if (layer.scaleLevels === 4) expect(layer.bitsPerWeight).toBeCloseTo(2.5, 1);
    if (i > 0) expect(layer.outputSqnrDb).toBeGreaterThan(plain.report.layers[i]!.outputSqnrDb!);
  });
}, 120_000);

test('a mixed recipe keeps to a number of bytes, and shows what else there was', async () => {
  const options = { calibration: calibration(8), labels, preprocess };
  const bytes = 230_000;
  const { model, report } = await quantize(onnx, { ...options, recipe: { bytes } });
  expect(model.length).toBeLessThanOrEqual(bytes);
  expect(model.length).toBeGreaterThan(0.95 * bytes);
  expect(
    new Set(report.layers.map(({ kind, planes, groupSize }) => `${kind} ${planes} ${groupSize}`)).size,
  ).toBeGreaterThan(2);
  const { frontier = [] } = report;
  expect(frontier.length).toBeGreaterThan(5);
  expect(frontier.filter(({ chosen }) => chosen).length).toBe(1);
  for (const [i, point] of frontier.entries()) {
    expect(point.milliseconds).toBeNull();
    if (i > 0) expect(point.bytes).toBeGreaterThan(frontier[i - 1]!.bytes);
    if (i > 0) expect(point.top1Loss).toBeLessThanOrEqual(frontier[i - 1]!.top1Loss);
  }
  const again = await quantize(onnx, { ...options, recipe: { bytes }, worker: false });
  expect(Buffer.compare(again.model, model)).toBe(0);

  const impossible = await errorOf(quantize(onnx, { ...options, recipe: { bytes: 10_000 } }));
  expect(impossible.code).toBe('BAD_OPTION');
  expect(impossible.message).toMatch(/smallest file of this network is \d{6} bytes/);
}, 300_000);

test('a mixed recipe of top-1 lost is measured on pictures held out, and the report says what came of it', async () => {
  const options = { calibration: calibration(16), labels, preprocess, recipe: { top1Loss: 1 } };
  const fractions: number[] = [];
  const { model, report } = await quantize(onnx, {
    ...options,
    onProgress: ({ fraction }) => void fractions.push(fraction),
  });
  expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
  const { lossCheck, warnings = [], frontier = [] } = report;
  expect(report.calibrationImages).toBe(16);
  expect(lossCheck?.images).toBe(4);
  expect(lossCheck?.wished).toBe(1);
  expect(lossCheck?.predicted).toBe(frontier.find(({ chosen }) => chosen)?.top1Loss);
  expect(lossCheck?.tries.map(({ measured }) => measured)).toContain(lossCheck?.measured);
  expect(lossCheck?.agreement).toBeGreaterThan(0.5);
  expect(lossCheck?.standardError).toBeGreaterThanOrEqual(0);
  expect(warnings.some((text) => text.includes('only 4 held-out'))).toBe(true);
  expect(warnings.some((text) => text.includes('was not met'))).toBe(lossCheck!.measured > 1);
  const again = await quantize(onnx, { ...options, worker: false });
  expect(Buffer.compare(again.model, model)).toBe(0);
}, 300_000);

test('a mixed recipe of milliseconds chooses by the times of this machine', async () => {
  const options = { calibration: calibration(8), labels, preprocess };
  const { report } = await quantize(onnx, { ...options, recipe: { milliseconds: 1000 } });
  const { frontier = [] } = report;
  const chosen = frontier.find((point) => point.chosen)!;
  // With time to spare nothing is lost that any form could keep, or any activation.
  expect(report.layers.every(({ inputBits }) => inputBits === 8)).toBe(true);
  expect(chosen.top1Loss).toBe(Math.min(...frontier.map(({ top1Loss }) => top1Loss)));
  for (const { milliseconds } of frontier) expect(milliseconds).toBeGreaterThan(0);
  const impossible = await errorOf(quantize(onnx, { ...options, recipe: { milliseconds: 1e-6 } }));
  expect(impossible.code).toBe('BAD_OPTION');
  expect(impossible.message).toMatch(/fastest form of this network takes \d+\.\d+/);
}, 300_000);

test('a mixed recipe takes one budget, and nothing that it chooses itself', async () => {
  const refusal = async (options: object) =>
    errorOf(quantize(onnx, { calibration: calibration(1), ...options } as QuantizeOptions));
  for (const recipe of [
    5,
    null,
    {},
    { bytes: 1e6, top1Loss: 1 },
    { bytes: '3MB' },
    { bytes: 0 },
    { byte: 1 },
  ]) {
    const error = await refusal({ recipe });
    expect(error.code).toBe('BAD_OPTION');
    expect(error.message).toMatch(/recipe/);
  }
  const error = await refusal({ recipe: { bytes: 1e6 }, groupSize: 4 });
  expect(error.message).toMatch(/groupSize/);
  expect((await errorOf(quantize(onnx, { recipe: { bytes: 1e6 } }))).message).toMatch(/calibration images/);
});

test('layers may have recipes of their own', async () => {
  const name = '/stages/stages.1/first/first.0/Conv';
  const { model, report } = await quantizedSigns({
    groupSize: 'filter',
    method: 'fgq-two-sided',
    activationBits: 6,
    clip: 'max',
    layers: { [name]: { weights: 'int8', activationBits: 8 } },
  });
  expect(report.layers.find((layer) => layer.name === name)?.kind).toBe('int8');
  const loaded = await loadModel(model);
  expect(loaded.info.recipe).toMatchObject({ activationBits: 6, method: 'fgq-two-sided', clip: 'max' });
  loaded.dispose();
});

test('tells of its progress, which never falls and ends at 1', async () => {
  for (const worker of [true, false]) {
    const news: Progress[] = [];
    await quantizedSigns({ worker, onProgress: (progress) => void news.push(progress) });
    const fractions = news.map(({ fraction }) => fraction);
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
    expect(fractions.at(-1)).toBe(1);
    const phases = [...new Set(news.map(({ phase }) => phase))];
    expect(phases).toEqual(expect.arrayContaining(['load', 'decode', 'calibrate', 'quantize', 'write']));
    expect(news.some(({ layer }) => layer.includes('Conv'))).toBe(true);
    expect(news.find(({ phase }) => phase === 'decode')).toMatchObject({ loaded: 1, total: 8 });
  }
});

test('a signal ends it, and the reason is thrown', async () => {
  for (const worker of [true, false]) {
    const controller = new AbortController();
    const reason = new Error('enough');
    let after = 0;
    const error = await errorOf(
      quantizedSigns({
        worker,
        signal: controller.signal,
        onProgress: ({ phase }) => {
          if (controller.signal.aborted) ++after;
          if (phase === 'quantize') controller.abort(reason);
        },
      }),
    );
    expect(error).toBe(reason);
    expect(after).toBe(0);
  }
});

test('in a worker it does not block, and ends at once', async () => {
  const controller = new AbortController();
  const working = errorOf(quantizedSigns({ calibration: calibration(64), signal: controller.signal }));
  let ticks = 0;
  const timer = setInterval(() => ++ticks, 5);
  await new Promise((resolve) => setTimeout(resolve, 700));
  const start = performance.now();
  controller.abort();
  expect((await working).name).toBe('AbortError');
  expect(performance.now() - start).toBeLessThan(200);
  expect(ticks).toBeGreaterThan(20);
  clearInterval(timer);
});

test('false from onProgress is ABORTED; what it throws is thrown on', async () => {
  for (const worker of [true, false]) {
    const stop = errorOf(quantizedSigns({ worker, onProgress: ({ phase }) => phase !== 'quantize' }));
    expect((await stop).code).toBe('ABORTED');
    const mistake = new TypeError('mine');
    const thrown = errorOf(
      quantizedSigns({
        worker,
        onProgress: ({ phase }) => {
          if (phase === 'calibrate') throw mistake;
        },
      }),
    );
    expect(await thrown).toBe(mistake);
  }
});

test('a bad picture among the calibration images is named', async () => {
  const error = await errorOf(quantizedSigns({ calibration: [...calibration(1), new Uint8Array(50)] }));
  expect(error.code).toBe('BAD_IMAGE');
});

test('the ternary network agrees with the float one on most pictures', async () => {
  const { model: bytes } = await quantizedSigns({ calibration: calibration(32) });
  const ternary = await loadModel(bytes);
  const float = await loadFloatModel(onnx, { preprocess, labels });
  let agreed = 0;
  const pictures = labels.flatMap((label) => picturesOf(label).slice(0, 4));
  for (const picture of pictures) {
    const [a] = await ternary.classify(picture, { topK: 1 });
    const [b] = await float.classify(picture, { topK: 1 });
    agreed += a!.index === b!.index ? 1 : 0;
  }
  expect(agreed / pictures.length).toBeGreaterThan(0.85);
  ternary.dispose();
  float.dispose();
}, 120_000);

test('without pictures, batch norms tell the ranges, and the report warns', async () => {
  const { model: bytes, report } = await quantize(onnx, { labels, preprocess });
  expect(report.calibrationImages).toBe(0);
  expect(report.warnings).toEqual([expect.stringContaining('without calibration images')]);
  expect(report.layers[1]!.outputSqnrDb).toBe(null);
  expect((await quantizedSigns()).report.warnings).toBe(undefined);
  const model = await loadModel(bytes);
  let right = 0;
  for (const label of labels) {
    const [best] = await model.classify(picturesOf(label)[0]!, { topK: 1 });
    right += Number(best!.label === label);
  }
  model.dispose();
  expect(right).toBeGreaterThan(14);
});
