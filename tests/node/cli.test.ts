// The commands: what they print, write and refuse.
import { spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { cli, folder, json, model, prepare, run, startFolder } from './command.js';
import { labels, onnxPath, picturesOf, root, signs } from './signs.js';

startFolder();

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

  test('SIGINT ends it with 130, however many runs are left', async () => {
    const args = ['bench', model, '--runs', '8000', '--tune', '1'];
    const env = { ...process.env, XDG_CACHE_HOME: folder };
    const child = spawn(process.execPath, [cli, ...args], { cwd: folder, env });
    // Kernels have been timed; a second later the runs are under way.
    child.stderr.once('data', () => setTimeout(() => child.kill('SIGINT'), 1000));
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(code).toBe(130);
  }, 60_000);

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
