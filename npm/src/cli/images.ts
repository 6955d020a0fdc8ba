// IMAGES of the command line: a folder with one sub-folder a class, a folder with a CSV of labels, a flat folder, a
// manifest, or a file in CIFAR-10's binary format.
import { closeSync, openSync, readSync, statSync, type Dirent } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { dirname, extname, join, resolve } from 'node:path';

import { parse } from 'csv-parse/sync';

import { TrefoilError, messageOf } from '../errors.js';
import { badOption } from '../options.js';
import { fileError } from '../platform/node/files.js';
import type { ImageInput } from '../types.js';

/** One picture. `label` is what the set says of its class: a number, or a name that the model's labels explain. */
export interface Sample {
  name: string;
  label: string | number | undefined;
  image: () => ImageInput;
}

export interface ImageSet {
  kind: 'folders' | 'folder' | 'manifest' | 'cifar';
  /** For folders: their names, sorted. */
  folders: string[];
  samples: Sample[];
  close: () => void;
}

export const imageTypes: ReadonlySet<string> = new Set([
  '.jpg',
  '.jpeg',
  '.png',
  '.webp',
  '.gif',
  '.tif',
  '.tiff',
  '.avif',
  '.svg',
]);
export const manifestTypes: ReadonlySet<string> = new Set(['.csv', '.jsonl', '.ndjson']);
const cifarSide = 32;
const cifarRecord = 1 + 3 * cifarSide * cifarSide;

/** By code units, so that the order is the same everywhere. */
const byName = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

async function entriesOf(folder: string): Promise<Dirent[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter((entry) => !entry.name.startsWith('.')).sort((a, b) => byName(a.name, b.name));
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function sampleOf(path: string, label?: string | number): Sample {
  return { name: path, label, image: () => path };
}

async function imagesIn(folder: string): Promise<string[]> {
  const entries = await entriesOf(folder);
  return entries
    .filter((entry) => imageTypes.has(extname(entry.name).toLowerCase()))
    .map((entry) => join(folder, entry.name));
}

type Row = { file: string; class: string | undefined };

/** Rows of a CSV (with a heading) or of JSON Lines, each with `file` and perhaps `class`. */
async function readRows(path: string): Promise<Row[]> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw fileError(path, error);
  });
  const lines = ['.jsonl', '.ndjson'].includes(extname(path).toLowerCase());
  let records: Record<string, unknown>[];
  try {
    records = lines
      ? text
          .split('\n')
          .filter((line) => line.trim() !== '')
          .map((line) => JSON.parse(line) as Record<string, unknown>)
      : parse(text, {
          columns: (names: string[]) => names.map((name) => name.trim().toLowerCase()),
          bom: true,
          skip_empty_lines: true,
          trim: true,
        });
  } catch (error) {
    throw badOption('labels', `${path}: ${messageOf(error)}`);
  }
  return records.map((record, i) => {
    if (typeof record !== 'object' || record === null || typeof record['file'] !== 'string') {
      throw badOption('labels', `${path}: row ${i + 1} has no 'file'; the columns needed are file and class`);
    }
    const given = record['class'];
    return { file: record['file'], class: given === undefined || given === null ? undefined : String(given) };
  });
}

async function manifestSet(path: string, folder: string): Promise<ImageSet> {
  const rows = await readRows(path);
  const samples = rows.map((row) => sampleOf(resolve(folder, row.file), row.class));
  return { kind: 'manifest', folders: [], samples, close: () => undefined };
}

async function folderSet(path: string): Promise<ImageSet> {
  const folders = (await entriesOf(path))
    .map((entry) => entry.name)
    .filter((name) => isFolder(join(path, name)));
  const samples: Sample[] = [];
  for (const folder of folders) {
    for (const file of await imagesIn(join(path, folder))) samples.push(sampleOf(file, folder));
  }
  if (samples.length > 0) return { kind: 'folders', folders, samples, close: () => undefined };
  const flat = (await imagesIn(path)).map((file) => sampleOf(file));
  return { kind: 'folder', folders: [], samples: flat, close: () => undefined };
}

/** Planes of a record, R then G then B, to interleaved pixels. */
function cifarPixels(record: Uint8Array): ImageInput {
  const plane = cifarSide * cifarSide;
  const data = new Uint8Array(3 * plane);
  for (let i = 0; i < plane; ++i) {
    for (let channel = 0; channel < 3; ++channel) data[3 * i + channel] = record[1 + channel * plane + i]!;
  }
  return { data, width: cifarSide, height: cifarSide, channels: 3 };
}

function cifarSet(path: string, size: number): ImageSet {
  const file = openSync(path, 'r');
  const record = (index: number, length: number) => {
    const bytes = new Uint8Array(length);
    if (readSync(file, bytes, 0, length, index * cifarRecord) !== length) {
      throw new TrefoilError('BAD_IMAGE', `${path}: record ${index} can't be read`);
    }
    return bytes;
  };
  const samples = Array.from({ length: size / cifarRecord }, (_, index): Sample => ({
    name: `${path}#${index}`,
    get label() {
      return record(index, 1)[0]!;
    },
    image: () => cifarPixels(record(index, cifarRecord)),
  }));
  return { kind: 'cifar', folders: [], samples, close: () => closeSync(file) };
}

/** Opens IMAGES. `labels`: the CSV of --labels, whose files are relative to the folder. */
export async function openImages(path: string, labels?: string): Promise<ImageSet> {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) throw new TrefoilError('FILE_NOT_FOUND', `${path}: no such file or folder`, { path });
  let set: ImageSet;
  if (found.isDirectory()) {
    set = labels === undefined ? await folderSet(path) : await manifestSet(labels, path);
  } else if (manifestTypes.has(extname(path).toLowerCase())) {
    set = await manifestSet(path, dirname(path));
  } else if (found.size > 0 && found.size % cifarRecord === 0) {
    set = cifarSet(path, found.size);
  } else {
    throw badOption(
      'images',
      `${path} is neither a folder, nor a manifest (.csv, .jsonl), nor a file in CIFAR-10's binary format ` +
        `(records of ${cifarRecord} bytes)`,
    );
  }
  if (set.samples.length === 0) {
    throw badOption('images', `${path} holds no images (${[...imageTypes].join(', ')})`, { path });
  }
  return set;
}

/** `count` of `items`, evenly spread: always the same ones, from the first on. */
export function spread<T>(items: readonly T[], count: number): T[] {
  if (items.length <= count) return [...items];
  return Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)]!);
}

const normal = (text: string) => text.trim().toLowerCase();

/** Finds the class that a sample's label means. */
export class ClassFinder {
  readonly #byLabel: Map<string, number>;
  readonly #classes: number;
  readonly #folders: Map<string, number> | undefined;
  readonly #offset: number;

  constructor(set: ImageSet, labels: readonly string[], classes: number, offset: number) {
    this.#classes = classes;
    this.#offset = offset;
    this.#byLabel = new Map(labels.map((label, index) => [normal(label), index]));
    this.#folders = set.kind === 'folders' ? this.#matchFolders(set.folders) : undefined;
  }

  /** Errors: BAD_OPTION where the label fits no class. */
  classOf(sample: Sample): number {
    const { label } = sample;
    if (label === undefined || label === '') {
      throw badOption(
        'labels',
        `${sample.name} has no class: use one sub-folder a class, or --labels with a CSV of file and class`,
      );
    }
    const folder = this.#folders?.get(String(label));
    return folder ?? this.#named(String(label), sample.name);
  }

  #named(label: string, where: string): number {
    const known = this.#byLabel.get(normal(label));
    if (known !== undefined) return known;
    const index = /^\d+$/.test(label) ? Number(label) + this.#offset : -1;
    if (index < 0 || index >= this.#classes) {
      throw badOption(
        'labels',
        `${where}: '${label}' is neither a label of the model nor a class below ${this.#classes}`,
      );
    }
    return index;
  }

  /** By name where the names are labels or class numbers; else one after the other, if there is one for each class. */
  #matchFolders(folders: readonly string[]): Map<string, number> | undefined {
    const unknown = folders.filter((folder) => !this.#byLabel.has(normal(folder)));
    if (unknown.length === 0 || folders.every((folder) => /^\d+$/.test(folder))) return undefined;
    if (unknown.length < folders.length) {
      throw badOption('images', `no label of the model is called '${unknown[0]}', as a sub-folder is`, {
        unknown,
      });
    }
    if (folders.length !== this.#classes) {
      throw badOption(
        'images',
        `the ${folders.length} sub-folders have other names than the model's labels, and there are ${this.#classes} classes`,
      );
    }
    return new Map(folders.map((folder, index) => [folder, index]));
  }
}
