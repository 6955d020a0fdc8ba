// A batch's output file: one record an image, whole lines only, so that a killed batch can be taken up again.
import { createReadStream } from 'node:fs';
import { open, truncate, type FileHandle } from 'node:fs/promises';

import { parse } from 'csv-parse/sync';

import { TrefoilError, messageOf } from '../../errors.js';
import { badOption } from '../../options.js';
import type { Prediction } from '../../types.js';

export type Outcome = { predictions: Prediction[] } | { error: { code: string; message: string } };

export interface Failure {
  file: string;
  code: string;
  message: string;
}

/** What the batch says of one image. `model`: the first digits of the model file's SHA-256. */
export type BatchRecord = { file: string; model: string } & Outcome;

/** What of a record counts when a batch is taken up again. */
interface Seen {
  file: string;
  model: string;
  /** Undefined for an image that failed. */
  classes: number | undefined;
}

export interface RecordFormat {
  /** The first line, or an empty string. */
  header: string;
  line(record: BatchRecord): string;
  /** Undefined where the line is no record. */
  read(line: string): Seen | undefined;
}

const jsonLines: RecordFormat = {
  header: '',
  line: (record) => `${JSON.stringify(record)}\n`,
  read(line) {
    try {
      const { file, model, predictions, error } = JSON.parse(line) as Record<string, unknown>;
      if (typeof file !== 'string' || typeof model !== 'string') return undefined;
      if (!Array.isArray(predictions) && typeof error !== 'object') return undefined;
      return { file, model, classes: Array.isArray(predictions) ? predictions.length : undefined };
    } catch {
      return undefined;
    }
  },
};

const cell = (value: string | number) =>
  /[",\r\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value);

/** Columns: file, model, error, then label, score and index of each class, best first. */
function csv(classes: number): RecordFormat {
  const names = Array.from({ length: classes }, (_, i) => [
    `label${i + 1}`,
    `score${i + 1}`,
    `index${i + 1}`,
  ]);
  const header = `${['file', 'model', 'error', ...names.flat()].join(',')}\n`;
  return {
    header,
    line(record) {
      const error = 'error' in record ? `${record.error.code}: ${record.error.message}` : '';
      const best =
        'error' in record
          ? names.flatMap(() => ['', '', ''])
          : record.predictions.flatMap(({ label, score, index }) => [label, score, index]);
      return `${[record.file, record.model, error, ...best].map(cell).join(',')}\n`;
    },
    read(line) {
      try {
        const [row] = parse(line, { relax_column_count: true }) as string[][];
        if (row?.length !== 3 + 3 * classes) return undefined;
        return { file: row[0]!, model: row[1]!, classes: row[2] === '' ? classes : undefined };
      } catch {
        return undefined;
      }
    },
  };
}

export type FormatName = 'jsonl' | 'csv';

export const formatOf = (name: FormatName, classes: number): RecordFormat =>
  name === 'csv' ? csv(classes) : jsonLines;

interface Line {
  text: string;
  /** The file's length up to the line's end. */
  end: number;
}

/** Whole lines of a file; in quotes (CSV) a line break does not end one. What follows the last break is left out. */
async function* wholeLines(path: string, quotes: boolean): AsyncGenerator<Line> {
  let rest = Buffer.alloc(0);
  let end = 0;
  let quoted = false;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    const bytes = Buffer.concat([rest, chunk]);
    let start = 0;
    for (let i = rest.length; i < bytes.length; ++i) {
      if (quotes && bytes[i] === 0x22) quoted = !quoted;
      if (bytes[i] !== 0x0a || quoted) continue;
      end += i + 1 - start;
      yield { text: bytes.toString('utf8', start, i), end };
      start = i + 1;
    }
    rest = bytes.subarray(start);
  }
}

/** Appends records, some in one write(), so that a kill leaves whole lines, or one torn line at the end. */
export class RecordFile {
  readonly #file: FileHandle;
  readonly #path: string;

  private constructor(file: FileHandle, path: string) {
    this.#file = file;
    this.#path = path;
  }

  static async open(path: string, format: RecordFormat): Promise<RecordFile> {
    try {
      const file = await open(path, 'a');
      const records = new RecordFile(file, path);
      if ((await file.stat()).size === 0 && format.header) await records.append(format.header);
      return records;
    } catch (error) {
      throw notWritten(path, error);
    }
  }

  async close(): Promise<void> {
    await this.#file.sync().catch(() => undefined);
    await this.#file.close();
  }

  /** Whole lines. */
  async append(text: string): Promise<void> {
    const bytes = Buffer.from(text);
    try {
      const { bytesWritten } = await this.#file.write(bytes);
      if (bytesWritten !== bytes.length) throw new Error('the disk is full');
    } catch (error) {
      throw notWritten(this.#path, error);
    }
  }
}

function notWritten(path: string, error: unknown): TrefoilError {
  const message = `${path} can't be written: ${messageOf(error)}; what it holds stays usable with --resume`;
  return new TrefoilError('FILE_NOT_FOUND', message, { path }, error);
}

/**
 * Reads what an earlier batch has done, and cuts off a torn last line. Returns the files that have a record.
 *
 * Errors: BAD_OPTION where the file is not the work of the same model and options.
 */
export async function takeUp(
  path: string,
  format: RecordFormat,
  model: string,
  classes: number,
): Promise<Set<string>> {
  const done = new Set<string>();
  const refuse = (line: number, what: string) =>
    badOption('resume', `${path}: line ${line} ${what}; choose another --out, or remove the file`, { line });
  let number = 0;
  let whole = 0;
  for await (const { text, end } of wholeLines(path, format.header !== '')) {
    whole = end;
    ++number;
    if (number === 1 && format.header) {
      if (`${text}\n` !== format.header) throw refuse(1, 'is not the heading that this batch would write');
      continue;
    }
    const seen = format.read(text);
    if (!seen) throw refuse(number, 'is no record of trefoil batch');
    if (seen.model !== model) throw refuse(number, `is of another model (${seen.model}, not ${model})`);
    if (seen.classes !== undefined && seen.classes !== classes) {
      throw refuse(number, `names ${seen.classes} classes, not ${classes} (--top-k)`);
    }
    if (done.has(seen.file)) throw refuse(number, `has ${seen.file} a second time`);
    done.add(seen.file);
  }
  await truncate(path, whole);
  return done;
}
