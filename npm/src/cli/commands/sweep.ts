import { mkdir, readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';

import { TrefoilError } from '../../errors.js';
import { hashOf } from '../../hash.js';
import { loadModel } from '../../model.js';
import { badOption } from '../../options.js';
import { fileError } from '../../platform/node/files.js';
import { loadFloatModel, quantize } from '../../quantize.js';
import { preprocessOf, type OutputFlags, type PreprocessFlags } from '../flags.js';
import { ClassFinder, openImages, spread, type ImageSet, type Sample } from '../images.js';
import { readLabels, type AnyModel } from '../models.js';
import { writeAtomically } from '../output-file.js';
import { Tally, decodedAhead, timedRanking } from '../scoring.js';
import { svgOf, type ChartPoint } from '../sweep/chart.js';
import { keyOf, recipesOf, type Figures, type Grid, type Point, type Recipe } from '../sweep/points.js';
import { SweepRecord, type Reference } from '../sweep/record.js';
import { csvOf, markdownOf } from '../sweep/tables.js';
import { ProgressLine, printResult } from '../terminal.js';

export interface SweepFlags extends Grid, PreprocessFlags, OutputFlags {
  output: string;
  calibration: string;
  calibrationCount: number;
  images: string;
  labels?: string;
  classLabels?: string;
  classOffset: number;
  skip: number;
  count?: number;
  residualBits: number;
}

/** The pictures that are scored, each with its class. */
interface Scored {
  samples: Sample[];
  truths: Map<Sample, number>;
}

class Sweep {
  readonly #onnx: Uint8Array<ArrayBuffer>;
  readonly #flags: SweepFlags;
  readonly #calibration: Sample[];
  readonly #labels: string[];
  readonly #signal: AbortSignal;

  constructor(
    onnx: Uint8Array<ArrayBuffer>,
    flags: SweepFlags,
    calibration: ImageSet,
    labels: string[],
    signal: AbortSignal,
  ) {
    this.#onnx = onnx;
    this.#flags = flags;
    this.#calibration = spread(calibration.samples, flags.calibrationCount);
    this.#labels = labels;
    this.#signal = signal;
  }

  async score(model: AnyModel, { samples, truths }: Scored, onImage: (done: number) => void) {
    const tally = new Tally();
    const answers: number[] = [];
    for await (const [sample, pixels] of decodedAhead(samples, this.#signal)) {
      answers.push(await timedRanking(model, pixels, tally, truths.get(sample)!, this.#signal));
      onImage(answers.length / samples.length);
      // Lets a signal through: the network runs on this thread.
      await new Promise((resolve) => setImmediate(resolve));
      this.#signal.throwIfAborted();
    }
    return { ...tally.figures, answers };
  }

  async measure(
    recipe: Recipe,
    scored: Scored,
    reference: Reference,
    onDone: (done: number) => void,
  ): Promise<Figures> {
    const start = performance.now();
    const { model: bytes, report } = await quantize(this.#onnx, {
      ...recipe,
      residualBits: this.#flags.residualBits,
      calibration: this.#calibration.map((sample) => sample.image()),
      labels: this.#labels,
      preprocess: preprocessOf(this.#flags),
      onProgress: ({ fraction }) => onDone(fraction / 2),
      signal: this.#signal,
    });
    const seconds = (performance.now() - start) / 1000;
    const model = await loadModel(bytes, { worker: false, signal: this.#signal });
    try {
      const { answers, ...scores } = await this.score({ kind: 'trefoil', model }, scored, (done) =>
        onDone((1 + done) / 2),
      );
      const agreed = answers.filter((answer, i) => answer === reference.answers[i]).length;
      const { bitsPerWeight, zeroShare, multiplicationsRemoved } = report.total;
      return {
        ...scores,
        agreement: agreed / answers.length,
        ...{ bitsPerWeight, zeroShare, multiplicationsRemoved, fileBytes: report.fileBytes, seconds },
      };
    } finally {
      model.dispose();
    }
  }

  /** A recipe that the quantizer refuses is an answer, too. */
  async point(...args: Parameters<Sweep['measure']>): Promise<Point> {
    const [recipe] = args;
    try {
      return { recipe, figures: await this.measure(...args) };
    } catch (error) {
      if (!(error instanceof TrefoilError) || !['BAD_OPTION', 'OVERFLOW'].includes(error.code)) throw error;
      return { recipe, refused: error.message };
    }
  }
}

/** All that figures depend on, but for the recipe. */
async function settingsOf(onnx: Uint8Array<ArrayBuffer>, flags: SweepFlags) {
  const { calibrationCount, classOffset, skip, count = null, residualBits } = flags;
  return {
    network: await hashOf(onnx),
    images: resolve(flags.images),
    labels: flags.labels === undefined ? null : resolve(flags.labels),
    calibration: resolve(flags.calibration),
    ...{ calibrationCount, classOffset, skip, count, residualBits },
    preprocess: preprocessOf(flags),
  };
}

async function writeResults(folder: string, title: string, reference: Reference, points: Point[]) {
  const text = new TextEncoder();
  const write = (name: string, content: string) => writeAtomically(join(folder, name), text.encode(content));
  await write('sweep.csv', csvOf(points));
  await write('sweep.md', markdownOf(title, reference, points));
  const drawn = points.filter((point): point is ChartPoint => 'figures' in point);
  if (drawn.length > 0) await write('sweep.svg', svgOf(title, drawn, reference.top1));
}

export async function sweep(path: string, flags: SweepFlags, signal: AbortSignal): Promise<void> {
  const onnx = new Uint8Array(
    await readFile(path).catch((error: unknown) => {
      throw fileError(path, error);
    }),
  );
  const labels = flags.classLabels === undefined ? [] : await readLabels(flags.classLabels);
  const set = await openImages(flags.images, flags.labels);
  const calibration = await openImages(flags.calibration);
  const progress = new ProgressLine(flags.quiet ?? false);
  try {
    const samples = set.samples.slice(flags.skip, flags.count && flags.skip + flags.count);
    if (samples.length === 0) throw badOption('skip', `no images are left: there are ${set.samples.length}`);
    await mkdir(flags.output, { recursive: true });
    const record = await SweepRecord.open(flags.output, await settingsOf(onnx, flags));
    const work = new Sweep(onnx, flags, calibration, labels, signal);
    const recipes = recipesOf(flags);
    const tell = (done: number, layer: string) =>
      progress.onProgress({ phase: 'sweep', fraction: done / (recipes.length + 1), layer });

    const float = await loadFloatModel(onnx, {
      preprocess: preprocessOf(flags),
      labels,
      worker: false,
      signal,
    });
    const finder = new ClassFinder(set, labels, float.info.classes, flags.classOffset);
    const scored = {
      samples,
      truths: new Map(samples.map((sample) => [sample, finder.classOf(sample)])),
    };
    try {
      if (!record.reference) {
        const { top1, top5, milliseconds, answers } = await work.score(
          { kind: 'onnx', model: float },
          scored,
          (done) => tell(done, 'float'),
        );
        await record.setReference({ top1, top5, milliseconds, answers });
      }
    } finally {
      float.dispose();
    }
    const reference = record.reference!;
    const title = `Sweep of ${basename(path)}`;
    const points: Point[] = [];
    for (const [i, recipe] of recipes.entries()) {
      const known = record.pointOf(recipe);
      const point =
        known ?? (await work.point(recipe, scored, reference, (done) => tell(1 + i + done, keyOf(recipe))));
      if (!known) await record.add(point);
      points.push(point);
      await writeResults(flags.output, title, reference, points);
      tell(2 + i, keyOf(recipe));
    }
    progress.stop();
    const { answers, ...float32 } = reference;
    const result = { model: path, output: flags.output, count: answers.length, float: float32, points };
    printResult(flags.json ?? false, result, () => markdownOf(title, reference, points).trimEnd());
  } finally {
    progress.stop();
    set.close();
    calibration.close();
  }
}
