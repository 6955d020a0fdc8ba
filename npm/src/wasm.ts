// Finding and compiling the .wasm files. Each is compiled once a page (or process); workers are given the result.
import { fetchWasm, resolveUrl } from '#platform/files.js';

import { looksLikeHtml } from './bytes.js';
import { TrefoilError } from './errors.js';
import { badOption, checkKeys } from './options.js';
import type { WasmSource } from './types.js';

const compiled = new Map<string, Promise<WebAssembly.Module>>();

async function compileBytes(bytes: Uint8Array<ArrayBuffer>, where: string): Promise<WebAssembly.Module> {
  const magic = bytes[0] === 0x00 && bytes[1] === 0x61 && bytes[2] === 0x73 && bytes[3] === 0x6d;
  if (!magic) throw (await problems()).notWasm(looksLikeHtml(bytes), where);
  return WebAssembly.compile(bytes);
}

async function explain(error: unknown, where: string): Promise<unknown> {
  return error instanceof TrefoilError ? error : (await problems()).notCompiled(error, where);
}

/** What goes wrong, in words: read only by those for whom it does. */
const problems = () => import('./wasm-problems.js');

async function compileUrl(url: URL): Promise<WebAssembly.Module> {
  try {
    const fetched = await fetchWasm(url);
    return fetched instanceof Uint8Array ? await compileBytes(fetched, url.href) : fetched;
  } catch (error) {
    throw await explain(error, url.href);
  }
}

/** The module that `source` describes, or the one at `usual`. Errors: NOT_WASM, NETWORK, FILE_NOT_FOUND, NOT_AVAILABLE. */
export async function compileWasm(source: WasmSource | undefined, usual: URL): Promise<WebAssembly.Module> {
  if (source !== undefined) {
    checkKeys(source, ['url', 'module', 'bytes'], 'wasm');
    if (Object.values(source).filter((value) => value !== undefined).length !== 1) {
      throw badOption('wasm', 'wasm needs exactly one of url, module and bytes');
    }
    if (source.module !== undefined) {
      if (!(source.module instanceof WebAssembly.Module)) {
        throw badOption('wasm', 'wasm.module must be a WebAssembly.Module');
      }
      return source.module;
    }
    if (source.bytes !== undefined) {
      // A copy: the caller may change the bytes while they are compiled.
      const bytes = new Uint8Array(source.bytes as ArrayBuffer).slice();
      try {
        return await compileBytes(bytes, 'wasm.bytes');
      } catch (error) {
        throw await explain(error, 'wasm.bytes');
      }
    }
  }
  const url = source?.url === undefined ? usual : resolveUrl(source.url);
  const known = compiled.get(url.href);
  if (known) return known;
  const compiling = compileUrl(url);
  compiled.set(url.href, compiling);
  // A failure is not kept: the next call may find the file.
  compiling.catch(() => compiled.delete(url.href));
  return compiling;
}
