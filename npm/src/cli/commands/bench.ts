import { arch, cpus, platform } from 'node:os';

import { TrefoilError } from '../../errors.js';
import { loadModel } from '../../model.js';
import type { LayerInfo, Model, Profile } from '../../model-types.js';
import type { OutputFlags } from '../flags.js';
import { isOnnx } from '../models.js';
import { percentText, printResult, shapeText, table } from '../terminal.js';

export interface BenchFlags extends OutputFlags {
  runs: number;
  threads: number;
  layers?: boolean;
  /** Milliseconds. */
  tune?: number;
}

interface LayerRow extends LayerInfo {
  milliseconds: number;
  /** Of the dense layer; undefined where the layer has none, or was too fast for the clock. */
  gmacPerSecond?: number;
  /** Of what loads and additions allow, 0 to 1; undefined where that is no measure. */
  limitShare?: number;
}

function rowOf(layer: LayerInfo, milliseconds: number, loadRate: number): LayerRow {
  const row: LayerRow = { ...layer, milliseconds };
  if (layer.macs === 0 || milliseconds === 0) return row;
  row.gmacPerSecond = (layer.macs / milliseconds) * 1e-6;
  const limit = loadRate * layer.macsPerLoad;
  if (limit > 0) row.limitShare = row.gmacPerSecond / limit;
  return row;
}

function layersText(rows: readonly LayerRow[], profile: Profile): string {
  const right = { right: true };
  const text = table(
    [
      { title: 'layer' },
      { title: 'operation' },
      { title: 'result', ...right },
      { title: 'kernel' },
      { title: 'ms', ...right },
      { title: 'share', ...right },
      { title: 'GMAC/s', ...right },
      { title: 'of limit', ...right },
    ],
    rows.map((row) => [
      row.name,
      row.operation,
      shapeText(row.shape),
      row.variant,
      row.milliseconds.toFixed(3),
      percentText(row.milliseconds / profile.minimum),
      row.gmacPerSecond?.toFixed(1) ?? '',
      row.limitShare === undefined ? '' : percentText(row.limitShare, 0),
    ]),
  );
  const limit = profile.loadRate
    ? `limit: ${profile.loadRate.toFixed(2)} loads of 16 bytes with an addition in a nanosecond, each worth 4 ternary ` +
      'weights at 8 pixels, or at 16 where inputs have 4 bits; what skips zeros may do better'
    : 'limit: unknown, the clock is too coarse';
  return [
    text,
    '',
    `not in layers: ${profile.outside.toFixed(3)} ms (copying the input, logits; a layer's time is its fastest)`,
    limit,
  ].join('\n');
}

function benchText(model: Model, profile: Profile, rows: readonly LayerRow[], engine: string): string {
  const { name, threads, inputShape } = model.info;
  const head = [
    `${name || 'model'}, input ${shapeText(inputShape)}: ${profile.minimum.toFixed(2)} ms minimum, ` +
      `${profile.median.toFixed(2)} ms median of ${profile.runs.length} runs, from image tensor to logits`,
    `${threads} ${threads === 1 ? 'thread' : 'threads'}, ${engine}`,
  ];
  return rows.length > 0 ? [...head, '', layersText(rows, profile)].join('\n') : head.join('\n');
}

/** Times the kernels that are not known yet, for the load that follows and all later ones. */
async function tune(path: string, flags: BenchFlags, signal: AbortSignal): Promise<void> {
  const model = await loadModel(path, { worker: false, tune: true, signal });
  try {
    const { kernels, milliseconds, leftOut } = await model.tune({ budget: flags.tune!, signal });
    if (flags.quiet) return;
    const rest = leftOut > 0 ? `, ${leftOut} left for the next time` : '';
    process.stderr.write(
      `timed the kernels of ${Object.keys(kernels).length} kinds of layers in ${milliseconds.toFixed(0)} ms${rest}\n`,
    );
  } finally {
    model.dispose();
  }
}

export async function bench(path: string, flags: BenchFlags, signal: AbortSignal): Promise<void> {
  if (isOnnx(path)) {
    throw new TrefoilError(
      'BAD_OPTION',
      'bench times a .trefoil: the float evaluator is there for calibration, not for speed',
    );
  }
  if (flags.tune !== undefined) await tune(path, flags, signal);
  const model = await loadModel(path, {
    worker: false,
    threads: flags.threads,
    tune: flags.tune !== undefined,
    signal,
  });
  try {
    const profile = await model.profile({ runs: flags.runs, layers: flags.layers ?? false, signal });
    const { name, threads, layers } = model.info;
    const machine = cpus()[0]?.model.trim() || 'unknown processor';
    const engine = `Node ${process.versions.node} (V8 ${process.versions.v8}), ${platform()} ${arch()}, ${machine}`;
    const rows = profile.layers.map((time, i) => rowOf(layers[i]!, time, profile.loadRate));
    const { runs, minimum, median, outside, loadRate } = profile;
    printResult(
      flags.json ?? false,
      {
        model: path,
        name,
        engine,
        threads,
        runs: runs.length,
        minimum,
        median,
        ...(rows.length > 0 && { outside, loadRate, layers: rows }),
      },
      () => benchText(model, profile, rows, engine),
    );
  } finally {
    model.dispose();
  }
}
