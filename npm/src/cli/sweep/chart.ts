// Two charts side by side: top-1 against bits a weight, and against milliseconds.
import { frontier, type Figures, type Recipe } from './points.js';

export interface ChartPoint {
  recipe: Recipe;
  figures: Figures;
}

const size = { width: 520, height: 380, left: 60, right: 20, top: 50, bottom: 50, legend: 24 };
const colours = ['#1b6ca8', '#c8553d', '#3a7d44', '#8e5aa8', '#b08900', '#5b6770'];

const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** Round numbers that span the values, five or so. */
export function ticksOf(low: number, high: number): number[] {
  const span = Math.max(high - low, Math.abs(high) * 1e-3, 1e-6);
  const power = 10 ** Math.floor(Math.log10(span / 5));
  const step = power * [1, 2, 5, 10].find((factor) => span / (power * factor) <= 6)!;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: Math.max(2, last - first + 1) }, (_, i) =>
    Number(((first + i) * step).toPrecision(12)),
  );
}

const seriesOf = ({ method, planes }: Recipe) => `${method}, ${planes === 1 ? 'one plane' : 'two planes'}`;

function labelOf({ groupSize, scaleLevels, activationBits }: Recipe): string {
  const levels = scaleLevels === 'free' ? '' : `/${scaleLevels}`;
  return `N=${groupSize}${levels}, A${activationBits}`;
}

function panel(
  at: number,
  title: string,
  points: readonly ChartPoint[],
  series: readonly string[],
  x: (figures: Figures) => number,
  floatTop1: number,
): string {
  const shares = [...points.map(({ figures }) => figures.top1), floatTop1].map((share) => 100 * share);
  const xTicks = ticksOf(
    Math.min(...points.map(({ figures }) => x(figures))),
    Math.max(...points.map(({ figures }) => x(figures))),
  );
  const yTicks = ticksOf(Math.min(...shares), Math.max(...shares));
  const place = (value: number, ticks: readonly number[], from: number, to: number) =>
    from + ((value - ticks[0]!) / (ticks.at(-1)! - ticks[0]!)) * (to - from);
  const [left, right] = [size.left, size.width - size.right];
  const [top, bottom] = [size.top, size.height - size.bottom];
  const toX = (value: number) => place(value, xTicks, left, right).toFixed(1);
  const toY = (share: number) => place(share, yTicks, bottom, top).toFixed(1);
  const best = frontier(
    points,
    ({ figures }) => x(figures),
    ({ figures }) => figures.top1,
  ).sort((a, b) => x(a.figures) - x(b.figures));
  const line = best.map(({ figures }) => `${toX(x(figures))},${toY(100 * figures.top1)}`).join(' ');
  return [
    `<g transform="translate(${at} 0)">`,
    ...xTicks.map(
      (tick) =>
        `<path class="grid" d="M${toX(tick)} ${top}V${bottom}"/><text x="${toX(tick)}" y="${bottom + 18}" text-anchor="middle">${tick}</text>`,
    ),
    ...yTicks.map(
      (tick) =>
        `<path class="grid" d="M${left} ${toY(tick)}H${right}"/><text x="${left - 8}" y="${toY(tick)}" dy="4" text-anchor="end">${tick}</text>`,
    ),
    `<path class="float" d="M${left} ${toY(100 * floatTop1)}H${right}"/>`,
    `<text class="small" x="${right}" y="${toY(100 * floatTop1)}" dy="-4" text-anchor="end">float</text>`,
    `<polyline class="frontier" points="${line}"/>`,
    ...points.map(({ recipe, figures }) => {
      const [cx, cy] = [toX(x(figures)), toY(100 * figures.top1)];
      const colour = colours[series.indexOf(seriesOf(recipe)) % colours.length];
      const full = `${seriesOf(recipe)}, ${labelOf(recipe)}: ${(100 * figures.top1).toFixed(2)}% at ${x(figures).toFixed(2)}`;
      return (
        `<circle cx="${cx}" cy="${cy}" r="4.5" fill="${colour}"><title>${escaped(full)}</title></circle>` +
        `<text class="small" x="${cx}" y="${cy}" dx="7" dy="3">${escaped(labelOf(recipe))}</text>`
      );
    }),
    `<text x="${(left + right) / 2}" y="${bottom + 38}" text-anchor="middle">${escaped(title)}</text>`,
    `<text transform="translate(14 ${(top + bottom) / 2}) rotate(-90)" text-anchor="middle">top-1, %</text>`,
    '</g>',
  ].join('\n');
}

/** points: at least one. */
export function svgOf(title: string, points: readonly ChartPoint[], floatTop1: number): string {
  const series = [...new Set(points.map(({ recipe }) => seriesOf(recipe)))];
  const height = size.height + size.legend * Math.ceil(series.length / 3);
  const legend = series.map((name, i) => {
    const [x, y] = [size.left + (i % 3) * 320, size.height + size.legend * Math.floor(i / 3) + 6];
    return `<circle cx="${x}" cy="${y}" r="4.5" fill="${colours[i % colours.length]}"/><text x="${x + 10}" y="${y}" dy="4">${escaped(name)}</text>`;
  });
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${2 * size.width} ${height}" font-family="sans-serif" font-size="12">`,
    '<style>.grid{stroke:#ddd;fill:none}.float{stroke:#333;stroke-dasharray:4 3;fill:none}.frontier{stroke:#999;fill:none}.small{font-size:9px;fill:#555}</style>',
    `<rect width="${2 * size.width}" height="${height}" fill="#fff"/>`,
    `<text x="${size.left}" y="26" font-size="15">${escaped(title)}</text>`,
    panel(0, 'bits a weight', points, series, (figures) => figures.bitsPerWeight, floatTop1),
    panel(size.width, 'milliseconds an image', points, series, (figures) => figures.milliseconds, floatTop1),
    ...legend,
    '</svg>',
  ].join('\n')}\n`;
}
