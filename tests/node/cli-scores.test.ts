// The commands that score labelled pictures: evaluate and sweep.
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import sharp from 'sharp';
import { loadModel } from 'trefoil';
import { loadFloatModel } from 'trefoil/quantize';
import { describe, expect, test } from 'vitest';

import { folder, json, model, prepare, run, startFolder } from './command.js';
import { labels, onnx, onnxPath, picturesOf, preprocess, signs } from './signs.js';

startFolder();

describe('evaluate', () => {
  test('counts over folders named as the labels, against the float network', async () => {
    const { code, value } = await json([
      ...['evaluate', model, '--images', join(signs, 'test'), '--skip', '100', '--count', '60'],
      ...['--against', onnxPath],
    ]);
    expect(code).toBe(0);
    const { top1, top5, count, agreement, interval, milliseconds, against } = value as unknown as Record<
      string,
      number
    > & {
      interval: number[];
      against: Record<string, number>;
    };
    expect(count).toBe(60);
    expect(top1).toBeGreaterThan(0.7);
    expect(top5).toBeGreaterThanOrEqual(top1!);
    expect(agreement).toBeGreaterThan(0.7);
    expect(interval[0]).toBeLessThan(top1!);
    expect(interval[1]).toBeGreaterThan(top1!);
    expect(milliseconds).toBeGreaterThan(0);
    expect(against['top1']).toBeGreaterThan(0.8);
    for (const [share, name] of [
      [value['top5'], 'top5Interval'],
      [agreement, 'agreementInterval'],
    ] as const) {
      const [low, high] = value[name] as [number, number];
      expect(low).toBeLessThan(share as number);
      expect(high).toBeGreaterThanOrEqual(share as number);
    }
  }, 60_000);

  test('measures the noise of every layer', async () => {
    const call = ['evaluate', model, '--images', join(signs, 'test'), '--count', '6', '--against', onnxPath];
    const { value } = await json([...call, '--layers', '2']);
    const layers = value['layers'] as { name: string; operation: string; signalToNoiseDb: number }[];
    expect(value['layerImages']).toBe(2);
    const names = (await json(['inspect', model])).value['layers'] as { name: string }[];
    expect(layers.map(({ name }) => name)).toEqual(names.map(({ name }) => name));
    // The first layer has int8 weights on exact pixels; noise gathers from there on.
    expect(layers[0]!.signalToNoiseDb).toBeGreaterThan(30);
    for (const { signalToNoiseDb } of layers) {
      expect(signalToNoiseDb).toBeGreaterThan(5);
      expect(signalToNoiseDb).toBeLessThan(layers[0]!.signalToNoiseDb + 1);
    }

    // The figure of the scores, worked out from the scores themselves.
    const ternary = await loadModel(readFileSync(model));
    const float = await loadFloatModel(onnx, { preprocess });
    let [signal, noise] = [0, 0];
    for (const file of picturesOf('ahead-only').slice(0, 2)) {
      const wanted = (await float.logits(file)).logits;
      const got = (await ternary.logits(file)).logits;
      wanted.forEach((x, i) => {
        signal += x * x;
        noise += (got[i]! - x) ** 2;
      });
    }
    ternary.dispose();
    float.dispose();
    expect(layers.at(-1)!.signalToNoiseDb).toBeCloseTo(10 * Math.log10(signal / noise), 3);

    expect((await run([...call, '--layers', '0'])).out).not.toContain('signal to noise');
    expect((await run([...call.slice(0, -2), '--layers', '2'])).code).toBe(2);
    expect((await json(call.slice(0, -2))).value['layers']).toBeUndefined();
  }, 60_000);

  test('finds the classes of every kind of IMAGES', async () => {
    // The same twelve pictures, four of each class, told in different ways.
    const classes = ['stop', 'yield', 'danger'];
    const pictures = classes.flatMap((name) =>
      picturesOf(name)
        .slice(0, 4)
        .map((file) => ({ name, file })),
    );
    const flat = join(folder, 'flat');
    const numbered = join(folder, 'numbered');
    mkdirSync(flat);
    for (const [i, { name, file }] of pictures.entries()) {
      copyFileSync(file, join(flat, `${i}.png`));
      const own = join(numbered, String(labels.indexOf(name)));
      mkdirSync(own, { recursive: true });
      copyFileSync(file, join(own, basename(file)));
    }
    const csv = pictures.map(
      ({ name }, i) => `${i}.png,"a, ""quoted"" note",${i % 2 ? name : labels.indexOf(name)}`,
    );
    writeFileSync(join(folder, 'labels.csv'), ['File, note ,class', ...csv].join('\r\n'));
    writeFileSync(join(flat, 'manifest.csv'), ['file,note,class', ...csv].join('\n'));
    const lines = pictures.map(({ name, file }) => JSON.stringify({ file, class: name }));
    writeFileSync(join(folder, 'list.jsonl'), lines.join('\n') + '\n');

    const results = [];
    for (const images of [
      [numbered],
      [flat, '--labels', 'labels.csv'],
      [join(flat, 'manifest.csv')],
      ['list.jsonl'],
    ]) {
      const { code, value } = await json(['evaluate', model, '--images', ...images]);
      expect([images, code]).toEqual([images, 0]);
      results.push([value['count'], value['top1'], value['top5']]);
    }
    expect(new Set(results.map(String)).size).toBe(1);
    expect(results[0]![0]).toBe(12);
    expect(results[0]![1]).toBeGreaterThan(0.7);

    // Where classes are missing or unknown, nothing is counted.
    expect((await run(['evaluate', model, '--images', flat])).code).toBe(2);
    writeFileSync(join(folder, 'wrong.csv'), 'file,class\n0.png,tree\n');
    const wrong = await run(['evaluate', model, '--images', flat, '--labels', 'wrong.csv']);
    expect(wrong.code).toBe(2);
    expect(wrong.err).toContain('tree');
    mkdirSync(join(folder, 'odd/stop'), { recursive: true });
    mkdirSync(join(folder, 'odd/tree'));
    copyFileSync(pictures[0]!.file, join(folder, 'odd/stop/a.png'));
    copyFileSync(pictures[0]!.file, join(folder, 'odd/tree/a.png'));
    expect((await run(['evaluate', model, '--images', 'odd'])).err).toContain("'tree'");
  }, 120_000);

  test("reads CIFAR-10's binary format", async () => {
    // Pictures of the test set at 32 x 32, in records of label, red, green, blue.
    const records: Buffer[] = [];
    for (const name of labels.slice(0, 10)) {
      const pixels = await sharp(picturesOf(name)[0]!).removeAlpha().resize(32, 32).raw().toBuffer();
      const planes = [0, 1, 2].flatMap((channel) =>
        Array.from({ length: 1024 }, (_, i) => pixels[3 * i + channel]!),
      );
      records.push(Buffer.from([labels.indexOf(name), ...planes]));
    }
    writeFileSync(join(folder, 'ten.bin'), Buffer.concat(records));
    const all = await json(['evaluate', model, '--images', 'ten.bin']);
    expect(all.value).toMatchObject({ count: 10 });
    expect(all.value['top5']).toBeGreaterThan(0.5);
    expect((await json(['evaluate', model, '--images', 'ten.bin', '--skip', '7'])).value).toMatchObject({
      count: 3,
    });
    expect((await run(['evaluate', model, '--images', 'ten.bin', '--skip', '10'])).code).toBe(2);
  });
});

describe('sweep', () => {
  const args = (output: string, ...more: string[]) => [
    ...['sweep', onnxPath, '-o', output, '--calibration', join(signs, 'calibration')],
    ...['--calibration-count', '4', '--images', join(signs, 'test'), '--skip', '90', '--count', '30'],
    ...['--class-labels', join(signs, 'labels.txt'), ...prepare, ...more],
  ];
  type Points = { recipe: Record<string, unknown>; figures?: Record<string, number>; refused?: string }[];
  const grid = ['--group-size', '4,64', '--activation-bits', '8,4'];

  test('scores a grid, and goes on where it was ended', async () => {
    const first = await json(args('sweep', ...grid));
    expect(first.code).toBe(0);
    expect(first.value).toMatchObject({ count: 30, float: { top1: expect.any(Number) } });
    const points = first.value['points'] as Points;
    expect(points.map(({ recipe }) => [recipe['groupSize'], recipe['activationBits']])).toEqual([
      [4, 8],
      [4, 4],
      [64, 8],
      [64, 4],
    ]);
    for (const { figures } of points) {
      expect(figures!['top1']).toBeGreaterThan(0.6);
      expect(figures!['agreement']).toBeGreaterThan(0.6);
      expect(figures!['milliseconds']).toBeGreaterThan(0);
    }
    expect(points[0]!.figures!['bitsPerWeight']).toBeGreaterThan(points[2]!.figures!['bitsPerWeight']! + 1);
    const file = (name: string) => readFileSync(join(folder, 'sweep', name), 'utf8');
    expect(file('sweep.csv').trim().split('\n').length).toBe(5);
    expect(file('sweep.csv')).toContain(`fgq,1,4,free,8,${points[0]!.figures!['top1']}`);
    expect(file('sweep.md')).toContain('| fgq | 1 | 64 | free | 4 |');
    const circles = file('sweep.svg').match(/<circle [^>]*><title>/g);
    expect(circles?.length).toBe(8);
    expect(file('sweep.svg')).not.toContain('NaN');

    // A run that was ended in the middle of its last line: two points are there, the third was being written.
    const lines = file('sweep.jsonl').split('\n');
    writeFileSync(join(folder, 'sweep/sweep.jsonl'), lines.slice(0, 4).join('\n') + '\n{"point":{"rec');
    const second = await json(args('sweep', ...grid));
    expect(second.code).toBe(0);
    const again = second.value['points'] as Points;
    expect(again.slice(0, 2)).toEqual(points.slice(0, 2));
    const withoutTimes = (list: Points) =>
      list.map(({ recipe, figures }) => ({ recipe, figures: { ...figures, milliseconds: 0, seconds: 0 } }));
    expect(withoutTimes(again)).toEqual(withoutTimes(points));
    expect(file('sweep.jsonl').trim().split('\n').length).toBe(6);

    // Other settings do not mix.
    const other = await run(args('sweep', ...grid, '--residual-bits', '6'));
    expect(other.code).toBe(2);
    expect(other.err).toContain('another folder');
  }, 240_000);

  test('tells of recipes that there are not, and of wrong lists', async () => {
    const { code, value } = await json(
      args('refused', '--group-size', '64', '--planes', '2', '--method', 'fgq-two-sided'),
    );
    expect(code).toBe(0);
    expect((value['points'] as Points)[0]!.refused).toContain('fgq');
    expect(readFileSync(join(folder, 'refused/sweep.csv'), 'utf8')).toContain('fgq-two-sided,2,64,free,8');
    for (const wrong of [
      ['--group-size', '4,many'],
      ['--method', 'best'],
      ['--planes', '3'],
    ]) {
      expect((await run(args('wrong', ...wrong))).code).toBe(2);
    }
    expect(existsSync(join(folder, 'wrong'))).toBe(false);
  }, 120_000);
});
