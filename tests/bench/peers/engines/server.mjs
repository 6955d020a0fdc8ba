// Serves the page with its runners (bundled and minified), the packages and the models.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';

import { build } from 'esbuild';

const types = {
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.html': 'text/html',
};
const html = '<!doctype html><script type="module" src="/bench/page.js"></script>';

async function bundle() {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, 'page.mjs')],
    outdir: '/bench',
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    // Our package is served as it is built; the others come in the form that their packages offer to bundlers.
    alias: { trefoil: '/npm/dist/index.js', 'onnxruntime-web': 'onnxruntime-web/wasm' },
    external: ['/npm/dist/*'],
    // For branches that are for Node alone.
    define: { 'process.env.NODE_ENV': '"production"' },
    logLevel: 'error',
    write: false,
  });
  return new Map(outputFiles.map(({ path, contents }) => [path, contents]));
}

/** /alone: a page that is cross-origin isolated, so that it has shared memory. / has not. */
export async function serve(root) {
  const scripts = await bundle();
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    const path = normalize(decodeURIComponent(pathname));
    const headers = {
      'Content-Type': types[extname(path)] ?? 'application/octet-stream',
      'Cache-Control': 'max-age=3600',
      'Cross-Origin-Resource-Policy': 'same-origin',
    };
    if (path !== '/') {
      headers['Cross-Origin-Opener-Policy'] = 'same-origin';
      headers['Cross-Origin-Embedder-Policy'] = 'require-corp';
    }
    if (path === '/' || path === '/alone') {
      response.writeHead(200, { ...headers, 'Content-Type': types['.html'], 'Cache-Control': 'no-store' });
      response.end(html);
    } else if (scripts.has(path)) {
      response.writeHead(200, headers).end(scripts.get(path));
    } else {
      const file = join(root, path);
      const found = await stat(file).catch(() => undefined);
      if (!found?.isFile()) return void response.writeHead(404).end();
      response.writeHead(200, { ...headers, 'Content-Length': found.size });
      createReadStream(file).pipe(response);
    }
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return {
    address: `http://127.0.0.1:${server.address().port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
