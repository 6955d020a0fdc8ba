import { badOption } from '../../options.js';
import { quantize as quantizeNetwork } from '../../quantize.js';
import type {
  Budget,
  Clip,
  FrontierPoint,
  LayerOptions,
  LayerReport,
  LevelKind,
  LossCheck,
  Method,
  QuantizeOptions,
  QuantizeReport,
} from '../../quantize-types.js';
import { preprocessOf, type OutputFlags, type PreprocessFlags } from '../flags.js';
import { openImages, spread } from '../images.js';
import { readLabels } from '../models.js';
import { checkNotInput, writeAtomically } from '../output-file.js';
import { ProgressLine, bytesText, countText, percentText, printResult, table } from '../terminal.js';

export interface QuantizeFlags extends PreprocessFlags, OutputFlags {
  output: string;
  calibration?: string;
  calibrationCount: number;
  bytes?: number;
  top1Loss?: number;
  milliseconds?: number;
  groupSize?: number | 'filter';
  scaleLevels?: 2 | 4 | 8 | 'free';
  levelKind?: LevelKind;
  planes?: 1 | 2;
  activationBits: number;
  residualBits: number;
  method?: Method;
  layer: string[];
  labels?: string;
  clip: Clip;
  percentile?: number;
  affine: boolean;
}

const layerKeys: Record<string, (text: string) => LayerOptions> = {
  weights: (text) => ({ weights: text as 'int8' }),
  method: (text) => ({ method: text as Method }),
  'group-size': (text) => ({ groupSize: text === 'filter' ? text : Number(text) }),
  'scale-levels': (text) => ({ scaleLevels: text === 'free' ? text : (Number(text) as 2) }),
  'level-kind': (text) => ({ levelKind: text as LevelKind }),
  planes: (text) => ({ planes: Number(text) as 1 }),
  'activation-bits': (text) => ({ activationBits: Number(text) }),
};

/** "NAME:KEY=VALUE[,KEY=VALUE]". Names may have colons themselves. */
export function parseLayers(given: readonly string[]): Record<string, LayerOptions> {
  const layers: Record<string, LayerOptions> = {};
  for (const text of given) {
    const colon = text.lastIndexOf(':');
    if (colon < 1) throw badOption('layer', `--layer '${text}' should read NAME:KEY=VALUE`);
    const name = text.slice(0, colon);
    for (const pair of text.slice(colon + 1).split(',')) {
      const [key = '', value = ''] = pair.split('=');
      const parse = layerKeys[key.trim()];
      if (!parse || value === '') {
        const keys = Object.keys(layerKeys).join(', ');
        throw badOption('layer', `--layer '${text}': '${pair}' should be KEY=VALUE, with a KEY of ${keys}`);
      }
      layers[name] = { ...layers[name], ...parse(value.trim()) };
    }
  }
  return layers;
}

/** The form of the layers' weights, or what chooses it; only what is given. */
function formOf(flags: QuantizeFlags) {
  const { bytes, top1Loss, milliseconds, groupSize, scaleLevels, levelKind, planes, method } = flags;
  const budget = { bytes, top1Loss, milliseconds };
  const form = { groupSize, scaleLevels, levelKind, planes, method };
  const given = Object.entries(form).filter(([, value]) => value !== undefined);
  const chosen = Object.entries(budget).filter(([, value]) => value !== undefined);
  return {
    ...(Object.fromEntries(given) as Pick<QuantizeOptions, keyof typeof form>),
    ...(chosen.length > 0 && { recipe: Object.fromEntries(chosen) as unknown as Budget }),
  };
}

export async function quantize(path: string, flags: QuantizeFlags, signal: AbortSignal): Promise<void> {
  checkNotInput(flags.output, [path, flags.labels, flags.calibration]);
  const layers = parseLayers(flags.layer);
  const labels = flags.labels === undefined ? [] : await readLabels(flags.labels);
  const set = flags.calibration === undefined ? undefined : await openImages(flags.calibration);
  const progress = new ProgressLine(flags.quiet ?? false);
  const start = performance.now();
  try {
    const chosen = set && spread(set.samples, flags.calibrationCount);
    const { model, report } = await quantizeNetwork(path, {
      ...(chosen && { calibration: chosen.map((sample) => sample.image()) }),
      ...formOf(flags),
      activationBits: flags.activationBits,
      residualBits: flags.residualBits,
      clip: flags.clip,
      ...(flags.percentile !== undefined && { percentile: flags.percentile }),
      affineCorrection: flags.affine,
      layers,
      labels,
      preprocess: preprocessOf(flags),
      onProgress: progress.onProgress,
      signal,
    });
    progress.stop();
    await writeAtomically(flags.output, model);
    for (const warning of report.warnings ?? []) process.stderr.write(`warning: ${warning}\n`);
    const milliseconds = performance.now() - start;
    printResult(flags.json ?? false, { output: flags.output, milliseconds, ...report }, () =>
      reportText(flags.output, report, milliseconds),
    );
  } finally {
    progress.stop();
    set?.close();
  }
}

const decibels = (value: number | null) => (value === null ? '-' : value.toFixed(1));

function layerRow(layer: LayerReport): string[] {
  return [
    layer.name,
    layer.kind,
    layer.kind === 'ternary' ? (layer.groupSize === 0 ? 'filter' : String(layer.groupSize)) : '',
    countText(layer.weights),
    layer.bitsPerWeight.toFixed(2),
    String(layer.inputBits),
    percentText(layer.zeroShare, 0),
    percentText(layer.multiplicationsRemoved),
    decibels(layer.weightSqnrDb),
    decibels(layer.outputSqnrDb),
  ];
}

const shownPoints = 12;

/** Points of the frontier, evenly spread, and the chosen one. */
function frontierText(points: readonly FrontierPoint[]): string {
  const right = { right: true };
  const step = Math.max(1, (points.length - 1) / (shownPoints - 1));
  const spreadOut = new Set(Array.from({ length: shownPoints }, (_, i) => Math.round(i * step)));
  const timed = points.some(({ milliseconds }) => milliseconds !== null);
  return table(
    [
      { title: 'file', ...right },
      { title: 'top-1 lost', ...right },
      ...(timed ? [{ title: 'ms', ...right }] : []),
      { title: '' },
    ],
    points
      .filter(({ chosen }, i) => chosen || spreadOut.has(i))
      .map(({ bytes, top1Loss, milliseconds, chosen }) => [
        bytesText(bytes),
        top1Loss.toFixed(2),
        ...(timed ? [milliseconds?.toFixed(2) ?? ''] : []),
        chosen ? 'chosen' : '',
      ]),
  );
}

function lossText(check: LossCheck): string {
  const { wished, predicted, measured, standardError, agreement, images, tries } = check;
  const before = tries.length > 1 ? `; ${tries.length} mixtures tried` : '';
  return (
    `top-1 lost: ${measured.toFixed(2)} ± ${standardError.toFixed(2)} points measured, ${predicted.toFixed(2)} predicted, ${wished} wished; ` +
    `${percentText(agreement)} of ${images} held-out pictures get the float network's class${before}`
  );
}

function reportText(output: string, report: QuantizeReport, milliseconds: number): string {
  const right = { right: true };
  const { total } = report;
  return [
    table(
      [
        { title: 'layer' },
        { title: 'weights' },
        { title: 'group', ...right },
        { title: 'count', ...right },
        { title: 'bits', ...right },
        { title: 'input', ...right },
        { title: 'zeros', ...right },
        { title: 'x removed', ...right },
        { title: 'weights dB', ...right },
        { title: 'result dB', ...right },
      ],
      report.layers.map(layerRow),
    ),
    '',
    ...(report.frontier ? ['as predicted before quantizing:', frontierText(report.frontier), ''] : []),
    ...(report.lossCheck ? [lossText(report.lossCheck), ''] : []),
    `${output}: ${bytesText(report.fileBytes)}, from ${bytesText(report.sourceBytes)} ` +
      `(${(report.sourceBytes / report.fileBytes).toFixed(1)} times smaller)`,
    `${total.bitsPerWeight.toFixed(2)} bits a weight, ${percentText(total.multiplicationsRemoved)} of the multiplications ` +
      `removed, ${report.calibrationImages} calibration images, ${(milliseconds / 1000).toFixed(1)} s`,
  ].join('\n');
}
