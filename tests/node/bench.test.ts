// The benchmark against other runtimes, on a network so small that it takes seconds: outputs are compared, rows have their
// form, and a runner whose outputs are wrong gets no row. No time is judged.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { root } from './signs.js';

interface Row {
  model: string;
  runner: string;
  precision: string;
  recipe: string | null;
  engine: string;
  threads: number;
  min_ms: number;
  median_ms: number;
  wasm_bytes: number;
  first_ms: number | null;
  agreement: number;
}

let out: string;
const script = join(root, 'tests/bench/peers/compare.mjs');

function compare(...options: string[]): { status: number | null; stderr: string } {
  const narrow = ['--out', out, '--models', 'tiny', '--engines', 'node', '--threads', '1', '--runs', '3'];
  return spawnSync(process.execPath, [script, ...narrow, ...options], { encoding: 'utf8' });
}

const rows = (): Row[] => JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'));
const labels = (): string[] =>
  rows().map(({ runner, recipe, precision }) => `${runner} ${recipe ?? precision}`);

beforeAll(async () => void (out = await mkdtemp(join(tmpdir(), 'trefoil-bench-'))));
afterAll(() => rm(out, { recursive: true, force: true }));

test('every runner answers rightly and gets a row', () => {
  const { status, stderr } = compare('--recipes', 'n4-a8,n64-a8');
  expect({ status, stderr }).toMatchObject({ status: 0 });
  expect(labels()).toEqual([
    'onnxruntime-web fp32',
    'onnxruntime-web int8',
    'tfjs-wasm fp32',
    'trefoil n4-a8',
    'trefoil n64-a8',
  ]);
  for (const row of rows()) {
    expect(row).toMatchObject({ model: 'tiny', threads: 1, first_ms: null });
    expect(row.engine).toContain(`Node ${process.versions.node}`);
    expect(row.min_ms).toBeGreaterThan(0);
    expect(row.median_ms).toBeGreaterThanOrEqual(row.min_ms);
    expect(row.wasm_bytes).toBeGreaterThan(1e6);
    // Random weights suffer from ternary codes more than trained ones.
    expect(row.agreement).toBeGreaterThan({ fp32: 0.99999, int8: 0.99 }[row.precision] ?? 0.5);
  }
  const report = readFileSync(join(out, 'results.md'), 'utf8');
  for (const label of labels()) expect(report).toContain(label);
});

test('models are made once', () => {
  const { stderr } = compare('--recipes', 'n4-a8', '--runners', 'trefoil,ort');
  expect(stderr).not.toContain('quantizing');
  expect(stderr).not.toContain('weights');
  expect(labels()).toEqual(['onnxruntime-web fp32', 'onnxruntime-web int8', 'trefoil n4-a8']);
});

test('wrong outputs are reported and not timed', () => {
  const tamper = (file: string, change: (made: { integers: number[]; outputs: number[][] }) => void) => {
    const path = join(out, 'models/tiny', file);
    const kept = readFileSync(path, 'utf8');
    const made = JSON.parse(kept);
    change(made);
    writeFileSync(path, JSON.stringify(made));
    return () => writeFileSync(path, kept);
  };
  const restore = tamper('n4-a8.json', ({ integers }) => void ++integers[3]!);
  expect(compare('--recipes', 'n4-a8', '--runners', 'trefoil').status).toBe(1);
  expect(rows()).toEqual([]);
  expect(readFileSync(join(out, 'results.md'), 'utf8')).toContain(
    'integer 3 is not that of the scalar kernels',
  );
  restore();

  tamper('network.json', ({ outputs }) => outputs[1]!.reverse());
  expect(compare('--recipes', 'n4-a8', '--runners', 'ort').status).toBe(1);
  expect(rows()).toEqual([]);
});

test('options are checked before anything is done', () => {
  expect(compare('--runners', 'ort,tensorflow')).toMatchObject({ status: 2 });
  expect(compare('--runners', 'ort,tensorflow').stderr).toContain('there are trefoil, ort, litert, tfjs');
  expect(compare('--runs', '0').stderr).toContain('--runs');
});
