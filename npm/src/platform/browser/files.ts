import { TrefoilError } from '../../errors.js';

export interface OpenFile {
  chunks: AsyncIterable<Uint8Array>;
  size: number;
}

/** Browsers have no files of their own: every string is an address. */
export function openFile(_source: string | URL): Promise<OpenFile | undefined> {
  return Promise.resolve(undefined);
}

/** Reads the bytes of a .wasm, or compiles them while they arrive. */
export async function fetchWasm(url: URL): Promise<Uint8Array<ArrayBuffer> | WebAssembly.Module> {
  let response: Response;
  try {
    // Not "no-cache": the file's name is stable, and the server says how long it may be kept.
    response = await fetch(url, { credentials: 'same-origin' });
  } catch (error) {
    throw new TrefoilError('NETWORK', `${url.href}: ${String(error)}`, { url: url.href }, error);
  }
  if (!response.ok) {
    throw (await import('../../wasm-problems.js')).notServed(url.href, response.status);
  }
  if (response.headers.get('content-type')?.startsWith('application/wasm')) {
    return WebAssembly.compileStreaming(response);
  }
  return new Uint8Array(await response.arrayBuffer());
}

export function resolveUrl(url: string | URL): URL {
  return new URL(url, globalThis.location?.href);
}
