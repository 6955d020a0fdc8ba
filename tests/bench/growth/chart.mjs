// One panel an axis, both scales logarithmic: measured milliseconds, and what they would be if they followed the additions
// from the middle point on.
const panel = { width: 300, height: 220, left: 52, right: 12, top: 34, bottom: 40 };
const columns = 3;

const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

function scale(values, from, to) {
  const low = Math.log(Math.min(...values));
  const high = Math.log(Math.max(...values));
  return (value) => from + ((Math.log(value) - low) / (high - low || 1)) * (to - from);
}

/** 1, 2 and 5 times powers of ten within the range. */
function ticks(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); ++power) {
    for (const digit of [1, 2, 5]) {
      const value = digit * 10 ** power;
      if (value >= low * 0.999 && value <= high * 1.001) found.push(value);
    }
  }
  return found;
}

function drawPanel({ title, name }, rows, index) {
  const of = rows.filter(({ axis }) => axis === name);
  if (of.length === 0) return '';
  const anchor = of[of.length >> 1];
  const expected = of.map(({ additions }) => (anchor.min_ms * additions) / anchor.additions);
  const all = [...of.map(({ min_ms }) => min_ms), ...expected];
  const x = scale(
    of.map((row) => row.x),
    panel.left + 8,
    panel.width - panel.right - 8,
  );
  const y = scale(all, panel.height - panel.bottom - 6, panel.top + 6);
  const line = (values) => of.map((row, i) => `${x(row.x).toFixed(1)},${y(values[i]).toFixed(1)}`).join(' ');
  const parts = [
    `<text x="${panel.left}" y="18" class="title">${escape(title)}</text>`,
    `<text x="14" y="${panel.height / 2}" transform="rotate(-90 14 ${panel.height / 2})" text-anchor="middle">ms</text>`,
  ];
  for (const value of ticks(Math.min(...all), Math.max(...all))) {
    const at = y(value).toFixed(1);
    parts.push(`<path d="M${panel.left} ${at}H${panel.width - panel.right}" class="grid"/>`);
    parts.push(
      `<text x="${panel.left - 6}" y="${at}" dy="4" text-anchor="end">${Number(value.toPrecision(3))}</text>`,
    );
  }
  for (const row of of) {
    parts.push(
      `<text x="${x(row.x).toFixed(1)}" y="${panel.height - panel.bottom + 16}" text-anchor="middle">${escape(row.label)}</text>`,
    );
  }
  const measured = of.map(({ min_ms }) => min_ms);
  parts.push(`<polyline points="${line(expected)}" class="expected"/>`);
  parts.push(`<polyline points="${line(measured)}" class="measured"/>`);
  for (const row of of) {
    parts.push(`<circle cx="${x(row.x).toFixed(1)}" cy="${y(row.min_ms).toFixed(1)}" r="3"/>`);
  }
  const left = (index % columns) * panel.width;
  const top = Math.floor(index / columns) * panel.height;
  return `<g transform="translate(${left} ${top})">${parts.join('')}</g>`;
}

/** axes: { name, title }; rows: those of growth.json. Returns an SVG document. */
export function chart(axes, rows) {
  const width = columns * panel.width;
  const height = Math.ceil(axes.length / columns) * panel.height;
  const style = [
    'text{font:11px system-ui,sans-serif;fill:#333}.title{font-weight:600;font-size:12px}',
    '.grid{stroke:#ddd}polyline{fill:none;stroke-width:2}.measured{stroke:#0b7a4b}.expected{stroke:#c77b1b;stroke-dasharray:4 3}',
    'circle{fill:#0b7a4b}',
  ].join('');
  const panels = axes.map((axis, index) => drawPanel(axis, rows, index)).join('\n');
  const legend = `<g transform="translate(${2 * panel.width + panel.left} ${panel.height + 60})"><path d="M0 0h30" stroke="#0b7a4b" stroke-width="2"/><text x="38" y="4">measured minimum</text><path d="M0 22h30" stroke="#c77b1b" stroke-width="2" stroke-dasharray="4 3"/><text x="38" y="26">in step with the additions</text></g>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}"><style>${style}</style><rect width="100%" height="100%" fill="#fff"/>\n${panels}\n${legend}</svg>\n`;
}
