// What users install: the packed package, in an empty folder, without the repository around it.
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { picturesOf, quantizedSigns, root } from './signs.js';

let folder: string;
let installed: string;

function node(...args: string[]): string {
  return execFileSync(process.execPath, args, {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function npm(args: string[], cwd: string): string {
  const env = {
    ...process.env,
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_update_notifier: 'false',
  };
  return execFileSync('npm', args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trefoil-package-'));
  installed = join(folder, 'node_modules/trefoil');
  const [{ filename }] = JSON.parse(npm(['pack', '--json', '--pack-destination', folder], join(root, 'npm')));
  writeFileSync(join(folder, 'package.json'), '{ "name": "user", "private": true, "type": "module" }');
  // Without a registry: the package needs no other.
  npm(['install', '--offline', `./${filename}`], folder);
  writeFileSync(join(folder, 'signs.trefoil'), (await quantizedSigns()).model);
  copyFileSync(picturesOf('stop')[1]!, join(folder, 'stop.png'));
}, 120_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

const classifyPixels = `
  import { loadModel } from 'trefoil';
  const model = await loadModel('signs.trefoil', { worker: process.argv[2] === 'worker' });
  const image = { data: new Uint8Array(64 * 64 * 3).fill(128), width: 64, height: 64 };
  console.log((await model.classify(image)).length);
  model.dispose();`;

describe('the packed package', () => {
  test('brings no dependencies, and no sources', () => {
    expect(existsSync(join(installed, 'src'))).toBe(false);
    expect(existsSync(join(folder, 'node_modules/sharp'))).toBe(false);
    const { dependencies } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
    expect(dependencies).toBeUndefined();
    expect(readFileSync(join(installed, 'dist/THIRD-PARTY.txt'), 'utf8')).toContain('comlink');
  });

  test('is small', () => {
    const gzipped = (file: string) =>
      gzipSync(readFileSync(join(installed, 'dist', file)), { level: 9 }).length;
    expect(gzipped('trefoil-runtime.wasm')).toBeLessThan(100_000);
    for (const file of ['index.js', 'quantize.js']) expect(gzipped(file)).toBeLessThan(10_000);
    expect(gzipped('worker.js')).toBeLessThan(12_000);
  });

  test('names no machine in what it ships', () => {
    for (const file of ['cli.js', 'node.js', 'worker.js', 'trefoil-runtime.wasm', 'trefoil-quantizer.wasm']) {
      expect(readFileSync(join(installed, 'dist', file)).includes(root)).toBe(false);
    }
  });

  test('runs, in the process and in a worker', () => {
    writeFileSync(join(folder, 'classify.js'), classifyPixels);
    expect(node('classify.js')).toBe('5\n');
    expect(node('classify.js', 'worker')).toBe('5\n');
  });

  test('works under a policy against eval', () => {
    writeFileSync(join(folder, 'classify.js'), classifyPixels);
    expect(node('--disallow-code-generation-from-strings', 'classify.js')).toBe('5\n');
  });

  test('says how to get sharp where an image needs it', () => {
    writeFileSync(
      join(folder, 'peer.js'),
      `import { loadModel } from 'trefoil';
       const model = await loadModel('signs.trefoil');
       try { await model.classify('stop.png'); } catch (error) { console.log(error.code, error.message); }`,
    );
    expect(node('peer.js')).toMatch(/^MISSING_PEER .*npm install sharp/);
  });

  test('a forgotten model keeps no process alive', () => {
    writeFileSync(
      join(folder, 'forgotten.js'),
      `import { loadModel } from 'trefoil';
       await loadModel('signs.trefoil', { worker: true });
       console.log('done');`,
    );
    expect(node('forgotten.js')).toBe('done\n');
  });

  test('has the command trefoil', () => {
    const command = join(folder, 'node_modules/.bin/trefoil');
    expect(statSync(command).mode & 0o111).not.toBe(0);
    const out = execFileSync(command, ['inspect', 'signs.trefoil', '--json'], {
      cwd: folder,
      encoding: 'utf8',
    });
    expect(JSON.parse(out)).toMatchObject({ classes: 20 });
  });

  test('resolves its entries and its .wasm files', () => {
    const resolved = node(
      '--input-type=module',
      '-e',
      `for (const name of ['', '/quantize', '/wasm/trefoil-runtime.wasm', '/wasm/trefoil-quantizer.wasm', '/package.json'])
         console.log(import.meta.resolve('trefoil' + name).split('/trefoil/')[1]);`,
    );
    expect(resolved.trim().split('\n')).toEqual([
      'dist/node.js',
      'dist/node-quantize.js',
      'dist/trefoil-runtime.wasm',
      'dist/trefoil-quantizer.wasm',
      'package.json',
    ]);
  });

  test('has types that a strict project accepts, with and without those of the browser', () => {
    const options = {
      strict: true,
      noEmit: true,
      skipLibCheck: false,
      target: 'es2022',
      exactOptionalPropertyTypes: true,
    };
    const source = `
      import { loadModel, TrefoilError, type Model, type ImageInput } from 'trefoil';
      import { quantize, loadFloatModel } from 'trefoil/quantize';
      const image: ImageInput = { data: new Uint8Array(12), width: 2, height: 2 };
      export async function run(): Promise<string> {
        using model: Model = await loadModel('x.trefoil', { signal: AbortSignal.timeout(9) });
        const [best] = await model.classify(image, { topK: 1 });
        const { model: bytes, report } = await quantize('x.onnx', { calibration: [image], groupSize: 'filter' });
        const float = await loadFloatModel(bytes);
        // @ts-expect-error: an unknown option
        await loadModel('x', { wrker: true });
        // @ts-expect-error: no image
        await float.classify(5);
        return new TrefoilError('BAD_IMAGE', String(report.total.macs)).code + best!.label;
      }`;
    writeFileSync(join(folder, 'use.ts'), source);
    for (const [name, lib, moduleOptions] of [
      [
        'browser',
        ['es2023', 'esnext.disposable', 'dom'],
        { module: 'esnext', moduleResolution: 'bundler', types: [] },
      ],
      ['node', ['es2023'], { module: 'nodenext', moduleResolution: 'nodenext', types: ['node'] }],
    ] as const) {
      mkdirSync(join(folder, 'node_modules/@types'), { recursive: true });
      for (const types of ['@types/node', 'undici-types']) {
        cpSync(join(root, 'node_modules', types), join(folder, 'node_modules', types), { recursive: true });
      }
      const config = { compilerOptions: { ...options, lib, ...moduleOptions }, files: ['use.ts'] };
      writeFileSync(join(folder, `${name}.json`), JSON.stringify(config));
      const tsc = join(root, 'node_modules/typescript/bin/tsc');
      expect(() => node(tsc, '-p', `${name}.json`), name).not.toThrow();
    }
  }, 60_000);
});
