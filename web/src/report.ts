// The report: sizes, savings, a bar chart of the layers, and the weights of the layer that is chosen.
import type { LayerReport, QuantizeReport, WeightHistogram } from 'trefoil/quantize';

import { element, formatBytes, formatCount, show } from './ui.js';

const svgSpace = 'http://www.w3.org/2000/svg';

function svg(name: string, attributes: Record<string, string | number>): SVGElement {
  const made = document.createElementNS(svgSpace, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

function text(tag: string, content: string, className = ''): HTMLElement {
  const made = document.createElement(tag);
  made.textContent = content;
  if (className) made.className = className;
  return made;
}

/** A bar as wide as its share. Widths are attributes of SVG: the page's policy allows no styles of elements. */
function bar(share: number, className: string): SVGElement {
  const box = svg('svg', {
    class: `bar ${className}`,
    viewBox: '0 0 100 10',
    preserveAspectRatio: 'none',
    'aria-hidden': 'true',
  });
  box.append(svg('rect', { class: 'track', width: 100, height: 10, rx: 2 }));
  box.append(svg('rect', { class: 'fill', width: 100 * Math.max(0, Math.min(1, share)), height: 10, rx: 2 }));
  return box;
}

/** Operations of one image: each weight that is not zero adds, each scale multiplies. */
function operations(layers: readonly LayerReport[]): { additions: number; multiplications: number } {
  let additions = 0;
  let multiplications = 0;
  for (const { kind, macs, zeroShare, multiplicationsRemoved, planes } of layers) {
    multiplications += macs * (1 - multiplicationsRemoved);
    additions += kind === 'ternary' ? macs * (planes || 1) * (1 - zeroShare) : macs;
  }
  return { additions, multiplications };
}

function showSizes(report: QuantizeReport): void {
  const rows = [
    ['Float', report.sourceBytes, 'float'],
    ['Ternary', report.fileBytes, 'ternary'],
  ] as const;
  element('sizes').replaceChildren(
    ...rows.map(([name, bytes, className]) => {
      const row = document.createElement('div');
      row.append(
        text('span', name),
        bar(bytes / report.sourceBytes, className),
        text('b', formatBytes(bytes)),
      );
      return row;
    }),
  );
}

function showFacts(report: QuantizeReport): void {
  const { total, layers } = report;
  const left = operations(layers);
  const facts: [string, string][] = [
    ['Smaller by', `${(report.sourceBytes / report.fileBytes).toFixed(1)}×`],
    ['Bits a weight', total.bitsPerWeight.toFixed(2)],
    ['Weights that are 0', `${(100 * total.zeroShare).toFixed(0)}%`],
    ['Multiplications removed', `${(100 * total.multiplicationsRemoved).toFixed(1)}%`],
    ['Multiplications an image', `${formatCount(total.macs)} → ${formatCount(left.multiplications)}`],
    ['Additions an image', `${formatCount(total.macs)} → ${formatCount(left.additions)}`],
  ];
  element('summary').replaceChildren(
    ...facts.map(([term, value]) => {
      const group = document.createElement('div');
      group.append(text('dt', term), text('dd', value));
      return group;
    }),
  );
}

function drawHistogram({ limit, float, quantized }: WeightHistogram): SVGElement {
  const width = 320;
  const height = 170;
  const bottom = height - 22;
  // Zero is so frequent once quantized that it would flatten the rest: heights are square roots.
  const most = Math.sqrt(Math.max(...float, ...quantized));
  const step = width / float.length;
  const y = (count: number) => bottom - (bottom - 6) * (Math.sqrt(count) / most);
  const picture = svg('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img' });
  const title = svg('title', {});
  title.textContent = `How many weights have which value, from ${(-limit).toFixed(3)} to ${limit.toFixed(3)}, before and after`;
  picture.append(title);
  quantized.forEach((count, i) => {
    const top = y(count);
    picture.append(
      svg('rect', { class: 'ternary', x: i * step + 0.4, y: top, width: step - 0.8, height: bottom - top }),
    );
  });
  const points = float.map((count, i) => `${(i + 0.5) * step},${y(count)}`).join(' ');
  picture.append(svg('polyline', { class: 'float', points, fill: 'none' }));
  picture.append(svg('line', { class: 'axis', x1: 0, x2: width, y1: bottom, y2: bottom }));
  for (const [value, x, anchor] of [
    [-limit, 0, 'start'],
    [0, width / 2, 'middle'],
    [limit, width, 'end'],
  ] as const) {
    const mark = svg('text', { x, y: height - 6, 'text-anchor': anchor });
    mark.textContent = value === 0 ? '0' : value.toPrecision(2).replace('-', '\u2212');
    picture.append(mark);
  }
  return picture;
}

function choose(layer: LayerReport, row: HTMLElement): void {
  for (const other of element('layers').querySelectorAll('button'))
    other.setAttribute('aria-pressed', 'false');
  row.setAttribute('aria-pressed', 'true');
  const what =
    layer.kind === 'ternary'
      ? `ternary, ${layer.groupSize === 0 ? 'a scale a filter' : `groups of ${layer.groupSize}`}`
      : 'int8';
  element('histogram-title').textContent = `Weights of ${shortName(layer.name)} (${what})`;
  element('histogram').replaceChildren(
    layer.histogram ? drawHistogram(layer.histogram) : text('p', 'All weights of this layer are zero.'),
  );
}

/** Exporters write paths, in which "first" comes before "first.0" and tells nothing; the last parts tell layers apart. */
function shortName(name: string): string {
  const parts = name.split('/').filter(Boolean);
  if (parts.length > 1 && /^(Conv|Gemm|MatMul)/.test(parts.at(-1)!)) parts.pop();
  return parts
    .filter((part, i) => !parts[i + 1]?.startsWith(`${part}.`))
    .slice(-2)
    .join('/');
}

function showLayers(layers: readonly LayerReport[]): void {
  const loudest = Math.max(...layers.map(({ outputSqnrDb }) => outputSqnrDb ?? 0), 1);
  const rows = layers.map((layer) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.title = `${layer.name}: ${formatCount(layer.weights)} weights, ${layer.bitsPerWeight.toFixed(2)} bits each`;
    const noise = layer.outputSqnrDb ?? loudest;
    button.append(
      text('span', shortName(layer.name), 'name'),
      text('span', layer.kind, 'kind'),
      bar(layer.zeroShare, 'zeros'),
      text('span', `${(100 * layer.zeroShare).toFixed(0)}%`, 'value'),
      bar(noise / loudest, 'snr'),
      text('span', `${noise.toFixed(0)} dB`, 'value'),
    );
    button.addEventListener('click', () => choose(layer, button));
    const item = document.createElement('li');
    item.append(button);
    return item;
  });
  element('layers').replaceChildren(...rows);
  // The first ternary layer shows best what this is about.
  const first = Math.max(
    0,
    layers.findIndex(({ kind }) => kind === 'ternary'),
  );
  choose(layers[first]!, rows[first]!.querySelector('button')!);
}

export function showReport(report: QuantizeReport): void {
  showSizes(report);
  showFacts(report);
  showLayers(report.layers);
  show('report-card', true);
}
