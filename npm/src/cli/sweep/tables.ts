// The figures of a sweep as CSV and as Markdown.
import { bytesText, percentText } from '../terminal.js';
import type { Point, Recipe } from './points.js';
import type { Reference } from './record.js';

const recipeColumns = ['method', 'planes', 'groupSize', 'scaleLevels', 'activationBits'] as const;
const figureColumns = [
  'top1',
  'top5',
  'agreement',
  'bitsPerWeight',
  'fileBytes',
  'zeroShare',
  'multiplicationsRemoved',
  'milliseconds',
  'seconds',
] as const;

const quoted = (cell: unknown) => {
  const text = String(cell ?? '');
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

export function csvOf(points: readonly Point[]): string {
  const head = [...recipeColumns, ...figureColumns, 'intervalLow', 'intervalHigh', 'images', 'refused'];
  const rows = points.map((point) => {
    const recipe = recipeColumns.map((column) => point.recipe[column]);
    if ('refused' in point) {
      return [...recipe, ...Array<string>(head.length - recipe.length - 1).fill(''), point.refused];
    }
    const { figures } = point;
    return [
      ...recipe,
      ...figureColumns.map((column) => figures[column]),
      ...figures.interval,
      figures.count,
      '',
    ];
  });
  return [head, ...rows].map((row) => `${row.map(quoted).join(',')}\n`).join('');
}

const recipeText = ({ method, planes, groupSize, scaleLevels, activationBits }: Recipe) =>
  `${method} | ${planes} | ${groupSize} | ${scaleLevels} | ${activationBits}`;

export function markdownOf(title: string, reference: Reference, points: readonly Point[]): string {
  const points100 = (value: number) => (100 * value).toFixed(2);
  const rows = points.map((point) => {
    if ('refused' in point) return `| ${recipeText(point.recipe)} | ${point.refused} | | | | | | | |`;
    const { figures } = point;
    return (
      `| ${recipeText(point.recipe)} | ${points100(figures.top1)} (${points100(figures.interval[0])} to ` +
      `${points100(figures.interval[1])}) | ${points100(reference.top1 - figures.top1)} | ` +
      `${percentText(figures.agreement)} | ${figures.bitsPerWeight.toFixed(2)} | ${bytesText(figures.fileBytes)} | ` +
      `${percentText(figures.zeroShare, 0)} | ${percentText(figures.multiplicationsRemoved)} | ` +
      `${figures.milliseconds.toFixed(2)} |`
    );
  });
  return `${[
    `# ${title}`,
    '',
    `${reference.answers.length} images; float: ${points100(reference.top1)} top-1, ${reference.milliseconds.toFixed(2)} ms an image.`,
    '',
    '| method | planes | group | levels | bits of activations | top-1 (95%) | drop | agrees | bits a weight | file | zeros | x removed | ms |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    ...rows,
    '',
    '![accuracy against bits a weight and milliseconds](sweep.svg)',
  ].join('\n')}\n`;
}
