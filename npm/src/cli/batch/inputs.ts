// Which images a batch is about: files, folders, manifests and glob patterns, in an order that is the same each time.
import { statSync } from 'node:fs';
import { extname, isAbsolute } from 'node:path';

import { glob } from 'tinyglobby';

import { badOption } from '../../options.js';
import { imageTypes, manifestTypes, openImages } from '../images.js';

/** One part of a batch that several machines share: `index` of `count`, from 1. */
export interface Shard {
  index: number;
  count: number;
}

const byName = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

async function filesOf(given: string): Promise<string[]> {
  const found = statSync(given, { throwIfNoEntry: false });
  if (found?.isDirectory()) {
    const files = await glob('**/*', { cwd: given, onlyFiles: true, expandDirectories: false });
    const prefix = given.endsWith('/') ? given : `${given}/`;
    return files.filter((file) => imageTypes.has(extname(file).toLowerCase())).map((file) => prefix + file);
  }
  if (found && manifestTypes.has(extname(given).toLowerCase())) {
    const set = await openImages(given);
    return set.samples.map((sample) => sample.name);
  }
  if (found) return [given];
  return glob(given, { onlyFiles: true, expandDirectories: false, absolute: isAbsolute(given) });
}

/** Every file once, sorted by code units. Errors: BAD_OPTION where something given matches nothing. */
export async function listInputs(given: readonly string[], shard: Shard): Promise<string[]> {
  const all = new Set<string>();
  for (const pattern of given) {
    const files = await filesOf(pattern);
    if (files.length === 0) {
      throw badOption(
        'images',
        `'${pattern}' matches no image; give files, folders, manifests (.csv, .jsonl) or patterns like 'photos/**/*.jpg'`,
      );
    }
    for (const file of files) all.add(file);
  }
  return [...all].sort(byName).filter((_, i) => i % shard.count === shard.index - 1);
}
