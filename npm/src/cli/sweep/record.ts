// What a sweep has found so far, a line a point: one that was ended goes on where it stopped.
import { appendFile, readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';

import { badOption } from '../../options.js';
import { keyOf, type Point } from './points.js';

/** The float network's part: its figures, and its best class of each image. */
export interface Reference {
  top1: number;
  top5: number;
  milliseconds: number;
  answers: number[];
}

type Line = { settings: unknown } | { reference: Reference } | { point: Point };

export class SweepRecord {
  readonly #path: string;
  readonly #points = new Map<string, Point>();
  #reference: Reference | undefined;

  private constructor(path: string) {
    this.#path = path;
  }

  /** settings: all that figures depend on, but for the recipe. Errors: BAD_OPTION where the folder's are others. */
  static async open(folder: string, settings: unknown): Promise<SweepRecord> {
    const record = new SweepRecord(join(folder, 'sweep.jsonl'));
    const text = await readFile(record.#path, 'utf8').catch(() => '');
    // A line that was cut short when the last run ended counts for nothing.
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    if (whole.length < text.length) await truncate(record.#path, Buffer.byteLength(whole));
    const lines = whole.split('\n').filter((line) => line !== '');
    if (lines.length === 0) await record.#write({ settings });
    for (const line of lines) record.#take(JSON.parse(line) as Line, folder, settings);
    return record;
  }

  get reference(): Reference | undefined {
    return this.#reference;
  }

  pointOf(recipe: Point['recipe']): Point | undefined {
    return this.#points.get(keyOf(recipe));
  }

  async setReference(reference: Reference): Promise<void> {
    this.#reference = reference;
    await this.#write({ reference });
  }

  async add(point: Point): Promise<void> {
    this.#points.set(keyOf(point.recipe), point);
    await this.#write({ point });
  }

  #take(line: Line, folder: string, settings: unknown): void {
    if ('settings' in line) {
      if (JSON.stringify(line.settings) === JSON.stringify(settings)) return;
      throw badOption(
        'output',
        `${folder} holds a sweep of another network, other images or other options; give another folder`,
      );
    }
    if ('reference' in line) this.#reference = line.reference;
    if ('point' in line) this.#points.set(keyOf(line.point.recipe), line.point);
  }

  #write(line: Line): Promise<void> {
    return appendFile(this.#path, `${JSON.stringify(line)}\n`);
  }
}
