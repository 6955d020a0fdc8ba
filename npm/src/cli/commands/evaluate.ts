import { TrefoilError } from '../../errors.js';
import { badOption } from '../../options.js';
import type { FloatModel } from '../../quantize-types.js';
import { loadFloatModel } from '../../quantize.js';
import { preprocessOf, type OutputFlags } from '../flags.js';
import { ClassFinder, openImages } from '../images.js';
import { LayerNoise, type LayerNoiseFigure } from '../layer-noise.js';
import { isOnnx, openModel, type AnyModel, type ModelFlags } from '../models.js';
import { Tally, decodedAhead, timedRanking } from '../scoring.js';
import { ProgressLine, percentText, printResult, table, wilsonInterval } from '../terminal.js';

export interface EvaluateFlags extends ModelFlags, OutputFlags {
  images: string;
  labels?: string;
  skip: number;
  count?: number;
  against?: string;
  /** Images that the noise of each layer is measured on. */
  layers?: number;
  classOffset: number;
}

/** The float network prepares pictures as the model does that it is compared with, unless told otherwise. */
async function openReference(
  path: string,
  model: AnyModel['model'],
  flags: EvaluateFlags,
  signal: AbortSignal,
): Promise<FloatModel> {
  const reference = await loadFloatModel(path, {
    preprocess: { ...model.info.preprocess, ...preprocessOf(flags) },
    worker: false,
    signal,
  });
  if (reference.info.classes !== model.info.classes) {
    const { classes } = reference.info;
    reference.dispose();
    throw badOption('against', `${path} has ${classes} classes, but the model has ${model.info.classes}`);
  }
  return reference;
}

/** Images whose layers are compared, unless the command line says how many. */
const comparedImages = 16;

export async function evaluate(path: string, flags: EvaluateFlags, signal: AbortSignal): Promise<void> {
  if (flags.layers !== undefined && flags.against === undefined) {
    throw badOption('layers', '--layers compares with a float network: add --against MODEL.onnx');
  }
  if (flags.against !== undefined && isOnnx(path) && (flags.layers ?? 0) > 0) {
    throw badOption('layers', `--layers needs a .trefoil to compare, and ${path} is a float network`);
  }
  const set = await openImages(flags.images, flags.labels);
  const opened = await openModel(path, flags, signal);
  const { model } = opened;
  let reference: FloatModel | undefined;
  const progress = new ProgressLine(flags.quiet ?? false);
  try {
    const end = flags.count === undefined ? undefined : flags.skip + flags.count;
    const samples = set.samples.slice(flags.skip, end);
    if (samples.length === 0) {
      throw badOption(
        'skip',
        `no images are left: there are ${set.samples.length}, and --skip is ${flags.skip}`,
      );
    }
    const finder = new ClassFinder(set, model.info.labels, model.info.classes, flags.classOffset);
    // Before any work: a wrong label further on should not cost the time until then.
    const truths = new Map(samples.map((sample) => [sample, finder.classOf(sample)]));
    if (flags.against !== undefined) reference = await openReference(flags.against, model, flags, signal);

    const tally = new Tally();
    const referenceTally = new Tally();
    const noise =
      opened.kind === 'trefoil' && reference ? new LayerNoise(opened.model.info.layers) : undefined;
    const compared = flags.layers ?? comparedImages;
    let agreed = 0;
    for await (const [sample, pixels] of decodedAhead(samples, signal)) {
      const truth = truths.get(sample)!;
      const best = await timedRanking(opened, pixels, tally, truth, signal);
      if (
        reference &&
        best ===
          (await timedRanking({ kind: 'onnx', model: reference }, pixels, referenceTally, truth, signal))
      )
        ++agreed;
      if (opened.kind === 'trefoil' && reference && noise && noise.images < compared) {
        const float = await reference.layerValues(pixels, { signal });
        noise.add(await opened.model.layerValues(pixels, { signal }), float);
      }
      progress.onProgress({
        phase: 'evaluate',
        fraction: tally.count / samples.length,
        layer: `${tally.count} images`,
      });
      // Lets a signal through: the networks run on this thread.
      await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
    }
    progress.stop();
    const against = reference && { model: flags.against, ...referenceTally.figures };
    const agreement = reference ? agreed / tally.count : undefined;
    const agreementInterval = reference && wilsonInterval(agreed, tally.count);
    const layers = noise && noise.images > 0 ? noise.figures : undefined;
    const result = {
      ...{ model: path, kind: opened.kind, ...tally.figures },
      ...{ agreement, agreementInterval, against, layers, layerImages: layers && noise?.images },
    };
    printResult(flags.json ?? false, result, () =>
      [
        resultText(path, tally, flags.against, referenceTally),
        ...(agreement !== undefined && agreementInterval
          ? [
              `the two agree on ${percentText(agreement, 2)} of the images (95%: ${rangeText(agreementInterval)})`,
            ]
          : []),
        ...(layers ? [layersText(layers, noise!.images)] : []),
      ].join('\n'),
    );
  } catch (error) {
    progress.stop();
    if (error instanceof TrefoilError && error.code === 'BAD_IMAGE') {
      throw new TrefoilError(
        'BAD_IMAGE',
        `${error.message}; accuracy is not counted without it`,
        error.details,
      );
    }
    throw error;
  } finally {
    set.close();
    reference?.dispose();
    model.dispose();
  }
}

const rangeText = (interval: readonly number[]) => interval.map((share) => percentText(share)).join(' to ');

function resultText(path: string, tally: Tally, against: string | undefined, referenceTally: Tally): string {
  const row = (name: string, { figures }: Tally) => [
    name,
    percentText(figures.top1, 2),
    rangeText(figures.interval),
    percentText(figures.top5, 2),
    rangeText(figures.top5Interval),
    String(figures.count),
    figures.milliseconds.toFixed(2),
  ];
  const right = { right: true };
  return table(
    [
      { title: 'model' },
      { title: 'top-1', ...right },
      { title: '95% interval', ...right },
      { title: 'top-5', ...right },
      { title: '95% interval', ...right },
      { title: 'images', ...right },
      { title: 'ms an image', ...right },
    ],
    [row(path, tally), ...(against === undefined ? [] : [row(against, referenceTally)])],
  );
}

function layersText(layers: readonly LayerNoiseFigure[], images: number): string {
  const rows = layers.map(({ name, operation, signalToNoiseDb }) => [
    name,
    operation,
    signalToNoiseDb === null ? 'no noise' : signalToNoiseDb.toFixed(1),
  ]);
  return `\nresults of layers against the float network's, ${images} images\n${table(
    [{ title: 'layer' }, { title: 'operation' }, { title: 'signal to noise, dB', right: true }],
    rows,
  )}`;
}
