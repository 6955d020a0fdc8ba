// `trefoil batch`: many images on several threads, into a file that survives being killed.
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Piscina } from 'piscina';

import { readBytes } from '../../bytes.js';
import { TrefoilError, messageOf } from '../../errors.js';
import { loadModel } from '../../model.js';
import { badOption } from '../../options.js';
import { compileWasm } from '../../wasm.js';
import { listInputs, type Shard } from '../batch/inputs.js';
import { lockOutput } from '../batch/lock.js';
import { RecordFile, formatOf, takeUp, type Failure, type FormatName } from '../batch/records.js';
import type { BatchData, Portion } from '../batch/worker.js';
import type { OutputFlags } from '../flags.js';
import { checkNotInput } from '../output-file.js';
import { ProgressLine, printResult } from '../terminal.js';

export interface BatchFlags extends OutputFlags {
  model: string;
  out: string;
  format?: FormatName;
  topK: number;
  workers?: number;
  shard: Shard;
  resume?: boolean;
}

/** What became of a batch: the exit code says it. */
export type BatchEnd = 'done' | 'skipped' | 'interrupted';

interface Summary {
  out: string;
  images: number;
  /** Of an earlier batch that --resume took up. */
  resumed: number;
  classified: number;
  /** Those that could not be read. */
  skipped: number;
  remaining: number;
  interrupted: boolean;
  workers: number;
  seconds: number;
  imagesPerSecond: number;
  /** The first of those that were skipped. */
  failures: Failure[];
}

const namedFailures = 20;
/** Messages between threads cost as much as a small picture, so pictures travel in portions; but a portion is short. */
const portions = { milliseconds: 50, most: 32, waitingAThread: 8 };

/**
 * A worker is to keep one core busy. Where others keep theirs busy as well, a decoder that waits to be woken, or for its
 * answer to be taken, would leave a core idle for as long; with two under way there is always something to do.
 */
const decodesOf = (workers: number) => (workers > 1 ? 2 : 1);

interface Plan {
  files: string[];
  data: BatchData;
  workers: number;
  signal: AbortSignal;
}

/**
 * Portions of outcomes in the order of the files. At most two a thread are under way, and what is done is held back only
 * until its turn: memory does not grow with the number of images. After an abort nothing new begins.
 */
async function* outcomes({ files, data, workers, signal }: Plan): AsyncGenerator<[string[], Portion]> {
  const pool = new Piscina<string[], Portion>({
    filename: fileURLToPath(new URL('./node-batch-worker.js', import.meta.url)),
    minThreads: workers,
    maxThreads: workers,
    idleTimeout: Infinity,
    atomics: 'disabled',
    workerData: data,
  });
  const format = formatOf(data.format, data.topK);
  const waiting: [string[], Promise<Portion>][] = [];
  let next = 0;
  let running = 0;
  let milliseconds = Infinity; // an image takes
  /** Where a thread is gone, and Piscina starts another one, it is for the image at fault to say so, and no other. */
  const attempt = async (part: string[]): Promise<Portion> => {
    try {
      const portion = await pool.run(part);
      milliseconds = portion.milliseconds / part.length;
      return portion;
    } catch (error) {
      if (part.length > 1) return joined(await Promise.all(part.map((file) => attempt([file]))));
      const failure = { code: 'INTERNAL', message: `a worker thread failed: ${messageOf(error)}` };
      const file = part[0]!;
      const records = format.line({ file, model: data.id, error: failure });
      return { records, failures: [{ file, ...failure }], milliseconds: 0 };
    }
  };
  const run = async (part: string[]): Promise<Portion> => {
    try {
      return await attempt(part);
    } finally {
      --running;
      start();
    }
  };
  const start = () => {
    while (
      !signal.aborted &&
      next < files.length &&
      running < 2 * workers &&
      waiting.length < portions.waitingAThread * workers
    ) {
      const size = Math.max(1, Math.min(portions.most, Math.floor(portions.milliseconds / milliseconds)));
      const part = files.slice(next, (next += size));
      ++running;
      waiting.push([part, run(part)]);
    }
  };
  try {
    start();
    while (waiting.length > 0) {
      const [part, portion] = waiting.shift()!;
      yield [part, await portion];
      start();
    }
  } finally {
    await pool.destroy();
  }
}

const joined = (parts: readonly Portion[]): Portion => ({
  records: parts.map(({ records }) => records).join(''),
  failures: parts.flatMap(({ failures }) => failures),
  milliseconds: 0,
});

function durationText(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  const whole = Math.ceil(seconds);
  const two = (value: number) => String(value).padStart(2, '0');
  const minutes = Math.floor(whole / 60);
  const rest = two(whole % 60);
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${rest}`;
}

async function readModel(path: string, topK: number): Promise<Omit<BatchData, 'format' | 'decodes'>> {
  if (extname(path).toLowerCase() === '.onnx') {
    throw badOption('model', `${path}: batch runs ternary models; quantize it first (trefoil quantize)`);
  }
  const bytes = await readBytes(path, 'the model');
  // Also finds out here, and once, what is wrong with the model.
  const compiled = (file: string) => compileWasm(undefined, new URL(file, import.meta.url));
  const wasm = await compiled('./trefoil-runtime.wasm');
  const model = await loadModel(bytes, { worker: false, wasm: { module: wasm } });
  const classes = Math.min(topK, model.info.classes);
  model.dispose();
  const shared = new SharedArrayBuffer(bytes.length);
  new Uint8Array(shared).set(bytes);
  const id = createHash('sha256').update(bytes).digest('hex').slice(0, 12);
  return { model: shared, wasm, jpegDecoder: await compiled('./jpeg-decoder.wasm'), topK: classes, id };
}

async function alreadyDone(
  flags: BatchFlags,
  format: ReturnType<typeof formatOf>,
  model: Omit<BatchData, 'format' | 'decodes'>,
): Promise<Set<string>> {
  const found = await stat(flags.out).catch(() => undefined);
  if (!found || found.size === 0) return new Set();
  if (!found.isFile()) throw badOption('out', `${flags.out} is not a file`);
  if (flags.resume) return takeUp(flags.out, format, model.id, model.topK);
  throw badOption('out', `${flags.out} exists; --resume goes on with it, or choose another --out`);
}

/** Runs a batch. Errors: BAD_OPTION, BAD_MODEL, FILE_NOT_FOUND, MISSING_PEER and others; never for one image. */
export async function batch(given: string[], flags: BatchFlags, signal: AbortSignal): Promise<BatchEnd> {
  checkNotInput(flags.out, [flags.model, ...given]);
  const model = await readModel(flags.model, flags.topK);
  const files = await listInputs(given, flags.shard);
  const name: FormatName = flags.format ?? (extname(flags.out).toLowerCase() === '.csv' ? 'csv' : 'jsonl');
  const format = formatOf(name, model.topK);
  const unlock = await lockOutput(flags.out);
  try {
    const done = await alreadyDone(flags, format, model);
    const todo = files.filter((file) => !done.has(file));
    const output = await RecordFile.open(flags.out, format);
    const workers = Math.max(1, Math.min(flags.workers ?? availableParallelism(), todo.length));
    const plan = {
      files: todo,
      data: { ...model, format: name, decodes: decodesOf(workers) },
      workers,
      signal,
    };
    try {
      const summary = await work(plan, output, flags);
      summary.resumed = files.length - todo.length;
      summary.images = files.length;
      printResult(flags.json ?? false, summary, () => summaryText(summary));
      return summary.interrupted ? 'interrupted' : summary.skipped > 0 ? 'skipped' : 'done';
    } finally {
      await output.close();
    }
  } finally {
    await unlock();
  }
}

async function work(plan: Plan, output: RecordFile, flags: BatchFlags): Promise<Summary> {
  const progress = new ProgressLine(flags.quiet ?? false);
  const { files, workers, signal } = plan;
  const failures: Summary['failures'] = [];
  let classified = 0;
  let skipped = 0;
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1000;
  try {
    for await (const [part, portion] of outcomes(plan)) {
      // Missing for every picture: nothing is written down as if the pictures were at fault.
      const missing = portion.failures.find(({ code }) => code === 'MISSING_PEER');
      if (missing) throw new TrefoilError('MISSING_PEER', missing.message, { package: 'sharp' });
      skipped += portion.failures.length;
      classified += part.length - portion.failures.length;
      failures.push(...portion.failures.slice(0, namedFailures - failures.length));
      await output.append(portion.records);
      const count = classified + skipped;
      const rate = count / seconds();
      const left = durationText((files.length - count) / rate);
      const bad = skipped > 0 ? `, ${skipped} skipped` : '';
      progress.onProgress({
        phase: 'classify',
        fraction: count / files.length,
        layer: `${count} of ${files.length}, ${rate.toFixed(0)} images/s, ${left} left${bad}`,
      });
    }
  } finally {
    progress.stop();
  }
  const count = classified + skipped;
  return {
    out: flags.out,
    images: files.length,
    resumed: 0,
    classified,
    skipped,
    remaining: files.length - count,
    interrupted: signal.aborted && count < files.length,
    workers,
    seconds: seconds(),
    imagesPerSecond: count / seconds(),
    failures,
  };
}

function summaryText(summary: Summary): string {
  const lines = summary.failures.map(({ file, code, message }) => {
    const what = message.startsWith(`${file}: `) ? message : `${file}: ${message}`;
    return `skipped ${what} (${code})`;
  });
  if (summary.skipped > lines.length)
    lines.push(`skipped ${summary.skipped - lines.length} more, see ${summary.out}`);
  const before = summary.resumed > 0 ? `, ${summary.resumed} were there already` : '';
  lines.push(
    `${summary.out}: ${summary.classified} of ${summary.images} images classified, ${summary.skipped} skipped${before}`,
    `${durationText(summary.seconds)} with ${summary.workers} worker${summary.workers === 1 ? '' : 's'}, ` +
      `${summary.imagesPerSecond.toFixed(1)} images a second`,
  );
  if (summary.interrupted)
    lines.push(`interrupted: ${summary.remaining} images remain; the same command with --resume does them`);
  return lines.join('\n');
}
