// What is printed where: results on stdout (one JSON document with --json), news of progress on stderr.
import { Presets, SingleBar } from 'cli-progress';

import type { OnProgress } from '../types.js';

export type Column = { title: string; right?: boolean };

/** Columns padded to their widest cell. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const width = columns.map((column, i) =>
    Math.max(column.title.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    columns
      .map((column, i) => {
        const cell = cells[i] ?? '';
        return column.right ? cell.padStart(width[i]!) : cell.padEnd(width[i]!);
      })
      .join('  ')
      .trimEnd();
  return [line(columns.map((column) => column.title)), ...rows.map(line)].join('\n');
}

export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB'];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    ++unit;
  }
  return `${value.toPrecision(3)} ${units[unit]}`;
}

export function countText(count: number): string {
  if (count < 1e4) return String(count);
  const units = ['k', 'M', 'G', 'T'];
  let value = count / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    ++unit;
  }
  return `${value.toPrecision(3)} ${units[unit]}`;
}

export const percentText = (share: number, digits = 1) => `${(100 * share).toFixed(digits)}%`;

export const shapeText = (shape: readonly number[]) => shape.join(' x ');

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

/** Prints a result: as JSON, or in words. */
export function printResult(json: boolean, value: unknown, words: () => string): void {
  if (json) printJson(value);
  else print(words());
}

/** A bar where stderr is a terminal; else a line for each tenth of the way. */
export class ProgressLine {
  readonly #bar: SingleBar | undefined;
  readonly #quiet: boolean;
  #tenth = -1;

  constructor(quiet: boolean) {
    this.#quiet = quiet;
    if (quiet || !process.stderr.isTTY) return;
    this.#bar = new SingleBar(
      { format: '{bar} {percentage}%  {phase} {layer}', hideCursor: true, clearOnComplete: true, fps: 10 },
      Presets.rect,
    );
  }

  readonly onProgress: OnProgress = ({ phase, fraction, layer }) => {
    if (this.#quiet) return;
    if (this.#bar) {
      if (!this.#bar.isActive) this.#bar.start(1000, 0, { phase, layer });
      this.#bar.update(Math.round(1000 * fraction), { phase, layer });
      return;
    }
    const tenth = Math.floor(10 * fraction + 1e-9);
    if (tenth <= this.#tenth) return;
    this.#tenth = tenth;
    process.stderr.write(`${String(10 * tenth).padStart(3)}%  ${phase} ${layer}`.trimEnd() + '\n');
  };

  stop(): void {
    this.#bar?.stop();
  }
}

/** 95% interval of a share by Wilson's score. */
export function wilsonInterval(successes: number, count: number): [number, number] {
  if (count === 0) return [0, 1];
  const z = 1.959963984540054;
  const share = successes / count;
  const scale = 1 + (z * z) / count;
  const centre = (share + (z * z) / (2 * count)) / scale;
  const half = (z / scale) * Math.sqrt((share * (1 - share)) / count + (z * z) / (4 * count * count));
  // All or none: the bound is exact, but for rounding.
  return [successes === 0 ? 0 : centre - half, successes === count ? 1 : centre + half];
}
