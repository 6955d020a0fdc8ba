import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { fetchOk } from '../../bytes.js';
import { TrefoilError, messageOf } from '../../errors.js';

export interface OpenFile {
  chunks: AsyncIterable<Uint8Array>;
  size: number;
}

const isAddress = (text: string) => /^(https?|data|blob|file):/i.test(text);

function pathOf(source: string | URL): string | undefined {
  if (typeof source === 'string' && !isAddress(source)) return source;
  const url = new URL(source);
  return url.protocol === 'file:' ? fileURLToPath(url) : undefined;
}

export function fileError(path: string, error: unknown): TrefoilError {
  const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
  const message = missing ? `${path}: no such file` : `${path}: ${messageOf(error)}`;
  return new TrefoilError('FILE_NOT_FOUND', message, { path }, error);
}

/** The file that a path or a file: URL names; undefined for other URLs. */
export async function openFile(source: string | URL): Promise<OpenFile | undefined> {
  const path = pathOf(source);
  if (path === undefined) return undefined;
  try {
    const found = await stat(path);
    if (found.isDirectory()) throw new Error('is a folder, not a file');
    return { chunks: createReadStream(path, { highWaterMark: 1 << 20 }), size: found.size };
  } catch (error) {
    throw fileError(path, error);
  }
}

export async function fetchWasm(url: URL): Promise<Uint8Array<ArrayBuffer>> {
  if (url.protocol !== 'file:') return new Uint8Array(await (await fetchOk(url)).arrayBuffer());
  try {
    return new Uint8Array(await readFile(url));
  } catch (error) {
    throw fileError(fileURLToPath(url), error);
  }
}

export function resolveUrl(url: string | URL): URL {
  if (url instanceof URL || isAddress(url)) return new URL(url);
  return pathToFileURL(resolve(url));
}
