// Results as Markdown.
import { readFileSync } from 'node:fs';
import { cpus, loadavg, platform, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { floatTolerance, int8Correlation } from './check.mjs';
import { labelOf } from './runners/list.mjs';
import { targetRows } from './targets.mjs';

export function machine() {
  const [{ model }] = cpus();
  return {
    processor: `${model.trim()}, ${cpus().length} cores`,
    system: `${platform()} ${release()}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    load: loadavg()[0].toFixed(1),
  };
}

export const unique = (values) => [...new Set(values)];

export function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

const isFloatOrt = ({ runner, precision }) => runner === 'onnxruntime-web' && precision === 'fp32';
const milliseconds = (value) => (value < 20 ? value.toFixed(2) : value.toFixed(1));

/** One row a runner, one column a network: minimum (median), and how much faster than the two marks. */
export function speedTable(all, field) {
  const rows = all.filter((row) => row[field] !== null);
  const models = unique(rows.map(({ model }) => model));
  const labels = unique(rows.map(labelOf));
  const cell = (label, model) => {
    const of = rows.filter((row) => row.model === model);
    const row = of.find((item) => labelOf(item) === label);
    if (!row) return '';
    const float = of.find(isFloatOrt);
    const peers = of.filter(({ runner }) => runner !== 'trefoil').map((peer) => peer[field]);
    const ratios = [];
    if (float) ratios.push(`${(float[field] / row[field]).toFixed(2)}x`);
    if (row.runner === 'trefoil' && peers.length > 0) {
      ratios.push(`${(Math.min(...peers) / row[field]).toFixed(2)}x`);
    }
    const median = field === 'min_ms' ? ` (${milliseconds(row.median_ms)})` : '';
    return `${milliseconds(row[field])}${median} ${ratios.join(', ')}`.trim();
  };
  return table(
    ['', ...models],
    labels.map((label) => [label, ...models.map((model) => cell(label, model))]),
  );
}

function costTable(rows) {
  const show = (value, digits = 0) => (value === null ? '' : value.toFixed(digits));
  return table(
    [
      'network',
      'runner',
      'wasm memory, MB',
      'prepare, ms',
      'by processor time',
      'cold start, ms',
      'correlation with float',
    ],
    rows.map((row) => [
      row.model,
      labelOf(row),
      show(row.wasm_bytes / 1e6, 1),
      show(row.prepare_ms),
      show(row.prepare_cpu_ms ?? null),
      show(row.first_ms),
      row.agreement.toFixed(4),
    ]),
  );
}

function gzippedBytes(path) {
  try {
    return gzipSync(readFileSync(path), { level: 9 }).length;
  } catch {
    return undefined;
  }
}

const wasmFiles = {
  trefoil: 'npm/dist/trefoil-runtime.wasm',
  'onnxruntime-web': 'node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm',
  'LiteRT.js': 'node_modules/@litertjs/core/wasm/litert_wasm_internal.wasm',
  'tfjs-wasm': 'node_modules/@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm',
};

/** Whether other programs took so much of the machine that times by the clock are not to be trusted. */
export const isBusy = (rows) => rows.some(({ cpu_ms, median_ms }) => cpu_ms && median_ms > 1.15 * cpu_ms);

export function markdown(rows, { before, after, root, failures }) {
  const parts = [
    '# Benchmark',
    `${before.processor}; ${before.system}; load average ${before.load} at the start, ${after.load} at the end. Random ` +
      'weights. Times are of one image, from its tensor to the logits: minimum (median) in milliseconds, then how many ' +
      'times faster than onnxruntime-web fp32 and, for trefoil, than the fastest peer in any precision. Outputs were ' +
      `checked first: fp32 within ${floatTolerance} of the float logits, int8 by a correlation of at least ` +
      `${int8Correlation}, trefoil bit for bit against its scalar kernels.`,
  ];
  if (isBusy(rows)) {
    parts.push(
      '**The machine was busy with other programs.** That inflates long runs more than short ones, and so our ratios; ' +
        'those of processor times are the better ones.',
    );
  }
  const sizes = Object.entries(wasmFiles).map(([name, path]) => [name, gzippedBytes(join(root, path))]);
  for (const engine of unique(rows.map((row) => row.engine))) {
    const here = rows.filter((row) => row.engine === engine);
    for (const threads of unique(here.map((row) => row.threads))) {
      const same = here.filter((row) => row.threads === threads);
      parts.push(
        `## ${engine}, ${threads === 1 ? 'one thread' : `${threads} threads`}`,
        speedTable(same, 'min_ms'),
      );
      if (threads > 1) continue;
      if (same.some(({ cpu_ms }) => cpu_ms)) parts.push('By processor time:', speedTable(same, 'cpu_ms'));
      parts.push(costTable(same));
    }
    const targets = targetRows(rows, engine, sizes[0][1]);
    const head = ['target', 'at least', 'aim', 'measured', '', 'by processor time', ''];
    if (targets.length > 0) parts.push(`### Targets in ${engine}`, table(head, targets));
  }
  parts.push(
    '## WebAssembly, gzipped',
    table(
      ['', 'KB'],
      sizes.map(([name, bytes]) => [name, bytes ? (bytes / 1000).toFixed(0) : 'not built']),
    ),
  );
  if (failures.length > 0) parts.push('## Failed', failures.map((text) => `- ${text}`).join('\n'));
  return `${parts.join('\n\n')}\n`;
}
