// The command line as its users start it: a process, its two outputs and its exit code.
import { spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

import sharp from 'sharp';
import { loadModel } from 'trefoil';
import { loadFloatModel } from 'trefoil/quantize';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { labels, onnx, onnxPath, picturesOf, preprocess, quantizedSigns, root, signs } from './signs.js';

const cli = join(root, 'npm/dist/cli.js');
const prepare = ['--resize', '64', '--crop', '64', '--mean', '0.5', '--std', '1/4'];
let folder: string;
let model: string;

interface Ended {
  code: number | null;
  out: string;
  err: string;
}

type JsonDocument = Record<string, unknown> & { error?: { code: string } };

function run(args: string[], onStart?: (kill: (signal: NodeJS.Signals) => void) => void): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [cli, ...args], { cwd: folder });
    const ended: Ended = { code: null, out: '', err: '' };
    child.stdout.on('data', (data) => (ended.out += data));
    child.stderr.on('data', (data) => {
      ended.err += data;
      onStart?.((signal) => child.kill(signal));
    });
    child.on('close', (code) => resolve({ ...ended, code }));
  });
}

/** Runs with --json; whatever else is on stdout fails to parse. */
async function json(args: string[]): Promise<{ code: number | null; value: JsonDocument }> {
  const { code, out } = await run([...args, '--json']);
  return { code, value: JSON.parse(out) };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trefoil-cli-'));
  model = join(folder, 'signs.trefoil');
  writeFileSync(model, (await quantizedSigns()).model);
}, 120_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('trefoil', () => {
  test('--version and --help', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'npm/package.json'), 'utf8'));
    expect(await run(['--version'])).toEqual({ code: 0, out: `${version}\n`, err: '' });
    const { code, out } = await run(['--help']);
    expect(code).toBe(0);
    for (const command of ['inspect', 'quantize', 'classify', 'evaluate', 'sweep', 'export'])
      expect(out).toContain(command);
  });

  test('a wrong command line ends with 2', async () => {
    for (const args of [
      [],
      ['quantise'],
      ['inspect'],
      ['inspect', model, '--no-such'],
      ['classify', model],
      ['classify', model, 'x.png', '--top-k', 'many'],
      ['quantize', onnxPath, '--calibration', 'x'],
      ['quantize', onnxPath, '-o', 'x.trefoil', '--calibration', 'x', '--method', 'best'],
      ['inspect', model, '--mean', '0,0'],
      ['inspect', model, '--mean', '0'],
      ['evaluate', model, '--images', root],
      ['evaluate', model, '--images', cli],
    ]) {
      const { code, err, out } = await run(args);
      expect([args, code]).toEqual([args, 2]);
      expect(err).not.toBe('');
      expect(out).toBe('');
    }
    const { code, value } = await json(['inspect', model, '--no-such']);
    expect(code).toBe(2);
    expect(value.error!.code).toBe('BAD_OPTION');
  }, 120_000);

  test('what fails at work ends with 1, and says why', async () => {
    writeFileSync(join(folder, 'bad.trefoil'), 'not a model');
    for (const [args, expected] of [
      [['inspect', 'missing.trefoil'], 'FILE_NOT_FOUND'],
      [['inspect', 'missing.onnx'], 'FILE_NOT_FOUND'],
      [['inspect', 'bad.trefoil'], 'BAD_MODEL'],
      [['inspect', cli], 'BAD_MODEL'],
      [['evaluate', model, '--images', 'missing'], 'FILE_NOT_FOUND'],
    ] as const) {
      const { code, err, out } = await run([...args]);
      expect(code).toBe(1);
      expect(err).toContain(`(${expected})`);
      expect(err).toMatch(/^error: /m);
      expect(out).toBe('');
      const asJson = await json([...args]);
      expect(asJson.code).toBe(1);
      expect(asJson.value.error!.code).toBe(expected);
    }
  }, 120_000);

  test('closing its output early is no failure', async () => {
    const child = spawn(process.execPath, [cli, 'inspect', model], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    let err = '';
    child.stderr.on('data', (data) => (err += data));
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(code).toBe(0);
    expect(err).toBe('');
  });
});

describe('inspect', () => {
  test('a .trefoil and an .onnx, in words and as JSON', async () => {
    const words = await run(['inspect', model]);
    expect(words.code).toBe(0);
    expect(words.err).toBe('');
    expect(words.out).toContain('ternary_conv');
    expect(words.out).toContain('mean 0.5');
    const ternary = await json(['inspect', model]);
    expect(ternary.value).toMatchObject({ kind: 'trefoil', classes: 20, inputShape: [3, 64, 64], labels });

    const onnx = await run(['inspect', onnxPath]);
    expect(onnx.out).toContain('/linear/Gemm');
    expect(onnx.out).toContain('does not say how pictures are prepared');
    const float = await json(['inspect', onnxPath, ...prepare]);
    expect(float.value).toMatchObject({
      kind: 'onnx',
      classes: 20,
      preprocess: { resize: 64, std: [0.25, 0.25, 0.25] },
    });
  });
});

describe('preprocessing', () => {
  test('a letterbox, its bars and the order of channels', async () => {
    const given = ['--letterbox', '--channel-order', 'bgr', '--mean', '0.5', '--std', '1/4'];
    expect((await json(['inspect', onnxPath, ...given])).value).toMatchObject({
      preprocess: { resize: 0, crop: [64, 64], letterbox: [114, 114, 114], channelOrder: 'bgr' },
    });
    const words = await run(['inspect', onnxPath, '--bars', '1,2,3']);
    expect(words.out).toContain('preprocessing: fitted into 64 x 64 with bars of 1, 2, 3; RGB; mean');

    const quantized = await run([
      ...['quantize', onnxPath, '-o', 'boxed.trefoil', '--calibration', join(signs, 'calibration')],
      ...['--calibration-count', '4', '--method', 'fgq', '--labels', join(signs, 'labels.txt'), ...given],
    ]);
    expect(quantized.code).toBe(0);
    expect((await run(['inspect', 'boxed.trefoil'])).out).toContain('with bars of 114, 114, 114; BGR;');

    // The float network that is compared with is shown the same.
    const scored = ['--images', join(signs, 'test'), '--count', '40'];
    const float = await json(['evaluate', onnxPath, ...scored, ...given]);
    const both = await json(['evaluate', 'boxed.trefoil', ...scored, '--against', onnxPath, '--layers', '0']);
    expect(both.value).toMatchObject({ against: { top1: float.value['top1'] } });
    const usual = await json(['evaluate', onnxPath, ...scored, ...prepare]);
    expect(float.value['top1']).toBeLessThan(usual.value['top1'] as number);
  }, 60_000);

  test.each([
    ['--letterbox', '--resize', '64'],
    ['--bars', '256'],
    ['--bars', '1,2'],
    ['--channel-order', 'grb'],
  ])('%s %s %s is refused', async (...given) => {
    const { code, value } = await json(['inspect', onnxPath, ...given]);
    expect(code).toBe(2);
    expect(value.error!.code).toBe('BAD_OPTION');
  });
});

describe('bench', () => {
  test('times the whole network, and its layers on request', async () => {
    const words = await run(['bench', model, '--runs', '3', '--layers']);
    expect(words).toMatchObject({ code: 0, err: '' });
    expect(words.out).toMatch(/median of 3 runs/);
    expect(words.out).toMatch(/ternary_conv .*%$/m);
    const { value } = await json(['bench', model, '--runs', '3']);
    expect(value).toMatchObject({ model, threads: 1, runs: 3 });
    expect(value['minimum']).toBeGreaterThan(0);
    expect(value['median']).toBeGreaterThanOrEqual(value['minimum'] as number);
    expect(value).not.toHaveProperty('layers');

    const layers = (await json(['bench', model, '--runs', '3', '--layers'])).value['layers'];
    const rows = layers as { name: string; macs: number; milliseconds: number; gmacPerSecond?: number }[];
    const loaded = await json(['inspect', model]);
    expect(rows).toMatchObject(loaded.value['layers'] as object[]);
    for (const { macs, milliseconds, gmacPerSecond } of rows) {
      expect(milliseconds).toBeGreaterThanOrEqual(0);
      if (macs > 0) expect(gmacPerSecond).toBeCloseTo((macs / milliseconds) * 1e-6);
    }
  }, 120_000);

  test('refuses what it does not time', async () => {
    for (const args of [
      ['bench', onnxPath],
      ['bench', model, '--runs', '0'],
    ]) {
      const { code, value } = await json(args);
      expect(code).toBe(2);
      expect(value.error!.code).toBe('BAD_OPTION');
    }
  });
});

describe('quantize', () => {
  const args = (output: string, ...more: string[]) => [
    'quantize',
    onnxPath,
    '-o',
    output,
    '--calibration',
    join(signs, 'calibration'),
    '--calibration-count',
    '8',
    '--labels',
    join(signs, 'labels.txt'),
    ...prepare,
    ...more,
  ];

  test('writes the same bytes each time; progress goes to stderr', async () => {
    const output = join(folder, 'a.trefoil');
    const first = await run(args('a.trefoil', '--json'));
    expect(first.code).toBe(0);
    expect(JSON.parse(first.out)).toMatchObject({
      output: 'a.trefoil',
      calibrationImages: 8,
      fileBytes: statSync(output).size,
    });
    expect(first.err).toContain('100%');
    const second = await run(args('b.trefoil', '--quiet'));
    expect(second.err).toBe('');
    expect(second.out).toContain('times smaller');
    expect(Buffer.compare(readFileSync(output), readFileSync(join(folder, 'b.trefoil')))).toBe(0);
    expect((await json(['inspect', 'a.trefoil'])).value).toMatchObject({ labels });
  }, 120_000);

  test('takes every option of a recipe', async () => {
    const name = '/stages/stages.1/first/first.0/Conv';
    const { code, value } = await json(
      args(
        'c.trefoil',
        ...[
          '--group-size',
          'filter',
          '--method',
          'fgq-two-sided',
          '--activation-bits',
          '5',
          '--residual-bits',
          '7',
        ],
        ...[
          '--clip',
          'percentile',
          '--percentile',
          '99.9',
          '--no-affine',
          '--planes',
          '1',
          '--scale-levels',
          'free',
        ],
        ...['--layer', `${name}:weights=int8,activation-bits=8`],
      ),
    );
    expect(code).toBe(0);
    const layers = value['layers'] as { name: string; kind: string }[];
    expect(layers.find((layer) => layer.name === name)!.kind).toBe('int8');
    expect((await json(['inspect', 'c.trefoil'])).value).toMatchObject({
      recipe: {
        groupSize: 'filter',
        activationBits: 5,
        residualBits: 7,
        method: 'fgq-two-sided',
        affineCorrection: false,
      },
    });
  }, 60_000);

  test('never writes over an input, and leaves nothing behind', async () => {
    const copy = join(folder, 'copy.onnx');
    copyFileSync(onnxPath, copy);
    symlinkSync(copy, join(folder, 'link.onnx'));
    const before = statSync(copy);
    for (const output of [copy, 'copy.onnx', 'link.onnx']) {
      const call = args(output);
      call[1] = copy;
      expect((await run(call)).code).toBe(2);
    }
    expect(statSync(copy).mtimeMs).toBe(before.mtimeMs);
    expect((await run(args('no/such/folder/x.trefoil'))).code).toBe(1);
    expect((await run(args('x.trefoil', '--planes', '3'))).code).toBe(2);
    expect((await run(args('x.trefoil', '--layer', 'nothing'))).code).toBe(2);
    expect((await run(args('x.trefoil', '--layer', 'no such layer:group-size=4'))).code).toBe(2);
    expect(existsSync(join(folder, 'x.trefoil'))).toBe(false);
    expect(readdirSync(folder).filter((file) => file.endsWith('.part'))).toEqual([]);
  }, 120_000);

  test('SIGINT ends it with 130', async () => {
    const call = args('interrupted.trefoil');
    call[call.indexOf('8')] = '64';
    let sent = false;
    const { code, err } = await run(call, (kill) => {
      if (!sent) kill('SIGINT');
      sent = true;
    });
    expect(code).toBe(130);
    expect(err).toContain('SIGINT');
    expect(readdirSync(folder).filter((file) => file.includes('interrupted'))).toEqual([]);
  }, 60_000);
});

describe('classify', () => {
  test('names the classes, with either kind of model', async () => {
    const pictures = [picturesOf('stop')[1]!, picturesOf('yield')[0]!];
    const { out, code } = await run(['classify', model, ...pictures]);
    expect(code).toBe(0);
    expect(out).toContain('stop');
    const { value } = await json(['classify', model, ...pictures, '--top-k', '3']);
    const images = value['images'] as {
      file: string;
      predictions: { label: string }[];
      milliseconds: number;
    }[];
    expect(images.map(({ predictions }) => predictions.length)).toEqual([3, 3]);
    expect(images[0]!.predictions[0]!.label).toBe('stop');
    expect(images[0]!.milliseconds).toBeGreaterThan(0);
    const float = await json([
      ...['classify', onnxPath, pictures[0]!, ...prepare],
      ...['--class-labels', join(signs, 'labels.txt')],
    ]);
    expect((float.value['images'] as typeof images)[0]!.predictions[0]!.label).toBe('stop');
  });

  test('goes on after a picture that fails, and ends with 1', async () => {
    const { code, value } = await json(['classify', model, 'missing.png', picturesOf('stop')[1]!]);
    expect(code).toBe(1);
    expect(value['images']).toMatchObject([
      { error: { code: 'FILE_NOT_FOUND' } },
      { predictions: [{}, {}, {}, {}, {}] },
    ]);
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

describe('export', () => {
  test('writes an ONNX graph, but not over the model', async () => {
    const { code, value } = await json(['export', model, '-o', 'out.onnx']);
    expect(code).toBe(0);
    const bytes = readFileSync(join(folder, 'out.onnx'));
    expect(value).toEqual({ model, output: 'out.onnx', fileBytes: bytes.length });
    expect(bytes.includes('DequantizeLinear')).toBe(true);
    expect((await run(['export', model])).code).toBe(2);
    expect((await run(['export', model, '-o', model])).code).toBe(2);
    expect((await run(['export', onnxPath, '-o', 'other.onnx'])).code).toBe(1);
    expect(existsSync(join(folder, 'other.onnx'))).toBe(false);
  }, 60_000);
});

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
