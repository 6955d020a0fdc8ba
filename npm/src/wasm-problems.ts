// Why a .wasm could not be had.
import { simd } from 'wasm-feature-detect';

import { TrefoilError, messageOf } from './errors.js';

export function notServed(url: string, status: number): TrefoilError {
  return new TrefoilError('NOT_WASM', `${url}: the server answered ${status}; see the option 'wasm'`, {
    url,
    status,
  });
}

/** `html`: the bytes are a page. */
export function notWasm(html: boolean, where: string): TrefoilError {
  const got = html ? `got HTML from ${where}: 404 page?` : `${where} is not WebAssembly`;
  return new TrefoilError(
    'NOT_WASM',
    `${got} The .wasm files lie beside this package's JavaScript; if your bundler moved one without the other, pass ` +
      `{ wasm: { url } } (with Vite's development server: optimizeDeps: { exclude: ['trefoil'] })`,
    { url: where },
  );
}

/** The engine is too old, or the page forbids it. */
export async function notCompiled(error: unknown, where: string): Promise<TrefoilError> {
  if (!(await simd())) {
    return new TrefoilError(
      'NOT_AVAILABLE',
      'this engine has no WebAssembly SIMD; Trefoil needs it',
      {},
      error,
    );
  }
  const hint = /content security policy|unsafe-eval|disallowed by embedder/i.test(messageOf(error))
    ? "; the page's Content-Security-Policy needs script-src 'wasm-unsafe-eval'"
    : '';
  return new TrefoilError('NOT_WASM', `${where}: ${messageOf(error)}${hint}`, { url: where }, error);
}
