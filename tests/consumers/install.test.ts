// The packed package in Node and for TypeScript, as publint and attw judge it, and what a page downloads of it.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { publint } from 'publint';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { expectedAnswers, makeProject, pack, root, script, type Answers } from './project.js';

const node26 = join(root, '.toolchain/node26/node_modules/.bin/node');
let packed: string;
let tarball: string;
let project: string;
let expected: Answers;

beforeAll(async () => {
  packed = await mkdtemp(join(tmpdir(), 'trefoil-packed-'));
  tarball = pack(packed);
  project = await makeProject(tarball);
  expected = await expectedAnswers();
}, 120_000);

afterAll(async () => {
  await rm(packed, { recursive: true, force: true });
  await rm(project, { recursive: true, force: true });
});

describe.each([
  ['the Node that runs this test', process.execPath],
  ['Node 26', node26],
])('%s', (name, node) => {
  test.skipIf(!existsSync(node))('gives the same bytes as everywhere', () => {
    writeFileSync(
      join(project, 'node.mjs'),
      `${script('public/').replace('new Uint8Array(100)', '{ data: new Uint8Array(5), width: 2, height: 2 }')}
       console.log(JSON.stringify(await answers()));`,
    );
    const out = execFileSync(node, ['node.mjs'], { cwd: project, encoding: 'utf8' });
    expect(JSON.parse(out)).toEqual({ ...expected, worker: false, threads: 2 });
  });

  test.skipIf(!existsSync(node))('has the command', () => {
    const args = ['node_modules/.bin/trefoil', 'inspect', 'public/signs.onnx', '--json'];
    expect(JSON.parse(execFileSync(node, args, { cwd: project, encoding: 'utf8' }))).toMatchObject({
      classes: 20,
    });
  });
  if (!existsSync(node)) console.warn(`${name} is not installed: cmake/setup.sh node26`);
});

// Every type of the two entries that a program may write down.
const use = `
import { loadModel, modelCache, TrefoilError, version, type ErrorCode, type ImageInput, type Model, type ModelCache } from 'trefoil';
import { quantize, loadFloatModel, type QuantizeOptions, type QuantizeReport } from 'trefoil/quantize';
const image: ImageInput = { data: new Uint8Array(12), width: 2, height: 2 };
const recipe: Partial<QuantizeOptions> = { groupSize: 'filter', method: 'fgq-two-sided' };
export async function run(cache: ModelCache): Promise<string> {
  using model: Model = await loadModel('x.trefoil', { workers: 2, cache, signal: AbortSignal.timeout(9) });
  const [best] = await model.classify(image, { topK: 1 });
  const { model: bytes, report } = await quantize('x.onnx', { ...recipe, calibration: [image] });
  const total: QuantizeReport['total'] = report.total;
  const float = await loadFloatModel(bytes);
  for (const { url } of await modelCache.list()) await modelCache.delete(url);
  // @ts-expect-error: an unknown option
  await loadModel('x', { wrker: true });
  // @ts-expect-error: no image
  await float.classify(5);
  const code: ErrorCode = new TrefoilError('BAD_IMAGE', String(total.macs)).code;
  return code + version + best!.label + model.info.workers;
}`;

describe('TypeScript, strict', () => {
  test.each([
    ['bundler', 'esnext', ['es2023', 'esnext.disposable', 'dom', 'dom.asynciterable'], []],
    ['node16', 'node16', ['es2023', 'esnext.disposable'], ['node']],
  ])('moduleResolution %s with module %s, lib %j, types %j', (moduleResolution, module, lib, types) => {
    mkdirSync(join(project, 'node_modules/@types'), { recursive: true });
    for (const name of ['@types/node', 'undici-types']) {
      cpSync(join(root, 'node_modules', name), join(project, 'node_modules', name), { recursive: true });
    }
    writeFileSync(join(project, 'use.ts'), use);
    const compilerOptions = {
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      noEmit: true,
      skipLibCheck: false,
      target: 'es2022',
      module,
      moduleResolution,
      lib,
      types,
    };
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['use.ts'] }));
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', '.'], {
      cwd: project,
      encoding: 'utf8',
    });
    expect([status, stdout]).toEqual([0, '']);
  });
});

test('publint finds nothing', async () => {
  const bytes = readFileSync(tarball);
  const data = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
  const { messages } = await publint({ pack: { tarball: data }, strict: true });
  expect(messages).toEqual([]);
});

test('the types are right for every way of resolving them (attw)', () => {
  const attw = join(root, 'node_modules/@arethetypeswrong/cli/dist/index.js');
  // Modules only, as every engine that Trefoil runs in has them; the .wasm entries have no types.
  const args = [attw, tarball, '--profile', 'esm-only', '--format', 'ascii', '--no-color'];
  const { status, stdout } = spawnSync(
    process.execPath,
    [...args, '--exclude-entrypoints', 'wasm/*.wasm', 'package.json'],
    { encoding: 'utf8' },
  );
  expect(status, stdout).toBe(0);
  // It has looked at both entries.
  expect(stdout.match(/bundler: 🟢/g)?.length).toBe(2);
});

/** A module with what it imports before it runs: the JavaScript that a page waits for. */
function withImports(dist: string, file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const text = readFileSync(join(dist, file), 'utf8');
  for (const [, name] of text.matchAll(/\bfrom\s*"\.\/([^"]+)"|\bimport\s*"\.\/([^"]+)"/g)) {
    if (name) withImports(dist, name, seen);
  }
  return seen;
}

test('sizes, gzipped: the runtime below 100 KB, its JavaScript below 10 KB', () => {
  const dist = join(project, 'node_modules/trefoil/dist');
  const gzipped = (file: string) => gzipSync(readFileSync(join(dist, file)), { level: 9 }).length;
  const files = [...withImports(dist, 'index.js')];
  expect(files.length).toBeGreaterThan(1);
  const sizes = {
    wasm: gzipped('trefoil-runtime.wasm'),
    js: files.reduce((sum, file) => sum + gzipped(file), 0),
  };
  console.log(`gzipped: ${JSON.stringify(sizes)}`);
  expect(sizes.wasm).toBeLessThan(100_000);
  expect(sizes.js).toBeLessThan(10_000);
});
