import type { Model } from '../../model-types.js';
import type { FloatModel } from '../../quantize-types.js';
import type { Preprocess } from '../../types.js';
import type { OutputFlags } from '../flags.js';
import { openModel, type ModelFlags } from '../models.js';
import { bytesText, countText, percentText, printResult, shapeText, table } from '../terminal.js';

const triple = (values: readonly number[]) => values.map((value) => Number(value.toPrecision(6))).join(', ');

export function preprocessText(preprocess: Preprocess): string {
  const { resize, crop, letterbox, channelOrder, mean, std } = preprocess;
  const first = letterbox
    ? 'fitted into '
    : resize > 0
      ? `shorter side to ${resize}, centre `
      : 'resized to ';
  const bars = letterbox ? ` with bars of ${triple(letterbox)}` : '';
  const order = channelOrder.toUpperCase();
  return `${first}${crop[0]} x ${crop[1]}${bars}; ${order}; mean ${triple(mean)}; std ${triple(std)}`;
}

function trefoilText({ info }: Model): string {
  const macs = info.layers.reduce((sum, layer) => sum + layer.macs, 0);
  const recipe = Object.keys(info.recipe).length > 0 ? JSON.stringify(info.recipe) : 'not stated';
  const rows = info.layers.map((layer) => [
    layer.name,
    layer.operation,
    layer.variant,
    shapeText(layer.shape),
    layer.macs ? countText(layer.macs) : '',
    layer.weightBytes ? bytesText(layer.weightBytes) : '',
  ]);
  const right = { right: true };
  return [
    `${info.name || 'model'}: ternary, ${info.classes} classes, input ${shapeText(info.inputShape)}`,
    `file ${bytesText(info.fileBytes)}, memory ${bytesText(info.memoryBytes)}, ${countText(macs)} multiply-accumulates`,
    `preprocessing: ${preprocessText(info.preprocess)}`,
    `recipe: ${recipe}`,
    `labels: ${info.labels.length > 0 ? info.labels.slice(0, 8).join(', ') + (info.labels.length > 8 ? ', ...' : '') : 'none'}`,
    '',
    table(
      [
        { title: 'layer' },
        { title: 'operation' },
        { title: 'kernel' },
        { title: 'result', ...right },
        { title: 'MACs', ...right },
        { title: 'in memory', ...right },
      ],
      rows,
    ),
  ].join('\n');
}

function onnxText({ info }: FloatModel, stated: boolean): string {
  const macs = info.layers.reduce((sum, layer) => sum + layer.macs, 0);
  const weights = info.layers.reduce((sum, layer) => sum + layer.weights, 0);
  const rows = info.layers.map((layer) => [
    layer.name,
    layer.operation,
    shapeText(layer.shape),
    layer.weights ? countText(layer.weights) : '',
    layer.macs ? `${countText(layer.macs)}` : '',
    layer.macs ? percentText(layer.macs / macs) : '',
  ]);
  const right = { right: true };
  return [
    `${info.name || 'network'}: float, ${info.classes} classes, input ${shapeText(info.inputShape)}`,
    `file ${bytesText(info.fileBytes)}, ${countText(weights)} weights, ${countText(macs)} multiply-accumulates`,
    'every operator is supported; batch norm is folded into the convolutions below',
    `preprocessing: ${preprocessText(info.preprocess)}`,
    ...(stated
      ? []
      : [
          '  (an ONNX file does not say how pictures are prepared: give --resize, --crop, --mean, --std, or what else there was in training)',
        ]),
    '',
    table(
      [
        { title: 'layer' },
        { title: 'operation' },
        { title: 'result', ...right },
        { title: 'weights', ...right },
        { title: 'MACs', ...right },
        { title: 'share', ...right },
      ],
      rows,
    ),
  ].join('\n');
}

export async function inspect(
  path: string,
  flags: ModelFlags & OutputFlags,
  signal: AbortSignal,
): Promise<void> {
  const opened = await openModel(path, flags, signal);
  try {
    const { kind, model } = opened;
    const stated = flags.mean !== undefined || flags.std !== undefined || flags.resize !== undefined;
    printResult(flags.json ?? false, { kind, ...model.info }, () =>
      opened.kind === 'trefoil' ? trefoilText(opened.model) : onnxText(opened.model, stated),
    );
  } finally {
    opened.model.dispose();
  }
}
