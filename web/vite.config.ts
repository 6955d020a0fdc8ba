import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { defineConfig, type Plugin } from 'vite';

/** What is fetched only when a visitor asks for the comparison: onnxruntime-web and the worker that runs it. */
const fetchedOnDemand = /^assets\/(onnxruntime|ort)-/;

/** Says in the page how much that is. */
function onnxruntimeSize(): Plugin {
  const wasm = createRequire(import.meta.url).resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm');
  const size = `${(statSync(wasm).size / 1e6).toFixed(0)} MB`;
  return { name: 'onnxruntime-size', transformIndexHtml: (html) => html.replace('%ONNXRUNTIME_SIZE%', size) };
}

/** The licences of what is in the folder and others have written. */
function notices(): Plugin {
  return {
    name: 'notices',
    apply: 'build',
    generateBundle() {
      const require = createRequire(import.meta.url);
      const uplot = join(dirname(require.resolve('uplot/package.json')), 'LICENSE');
      const parts = [
        readFileSync(join(import.meta.dirname, '../npm/dist/THIRD-PARTY.txt'), 'utf8'),
        `In the page:\n\nuPlot (github.com/leeoniya/uPlot):\n\n${readFileSync(uplot, 'utf8')}`,
        readFileSync(join(import.meta.dirname, 'licences/onnxruntime.txt'), 'utf8'),
      ];
      this.emitFile({ type: 'asset', fileName: 'THIRD-PARTY.txt', source: parts.join('\n') });
    },
  };
}

/** Writes the service worker with the list of what was built. */
function serviceWorker(): Plugin {
  return {
    name: 'service-worker',
    apply: 'build',
    enforce: 'post',
    generateBundle(_, bundle) {
      const hash = createHash('sha256');
      for (const [name, file] of Object.entries(bundle)) {
        hash.update(name).update(file.type === 'chunk' ? file.code : file.source);
      }
      const files = ['./', ...Object.keys(bundle), ...readdirSync(join(import.meta.dirname, 'public'))];
      const onDemand = files.filter((name) => fetchedOnDemand.test(name));
      const kept = files.filter((name) => name !== 'index.html' && !onDemand.includes(name));
      const source = readFileSync(join(import.meta.dirname, 'src/sw.js'), 'utf8')
        .replace('self.TREFOIL_FILES', JSON.stringify(kept))
        .replace('self.TREFOIL_ON_DEMAND', JSON.stringify(onDemand))
        .replace('self.TREFOIL_BUILD', JSON.stringify(hash.digest('hex').slice(0, 16)));
      this.emitFile({ type: 'asset', fileName: 'sw.js', source });
    },
  };
}

/** Vite's development server puts its own scripts and styles into the page, which the policy would forbid. */
function policyInBuildOnly(): Plugin {
  return {
    name: 'policy-in-build-only',
    apply: 'serve',
    transformIndexHtml: (html) => html.replace(/<meta\s+http-equiv="Content-Security-Policy"[^>]*>/, ''),
  };
}

export default defineConfig({
  root: import.meta.dirname,
  base: './',
  plugins: [onnxruntimeSize(), notices(), serviceWorker(), policyInBuildOnly()],
  build: {
    target: 'es2022',
    outDir: 'dist',
    emptyOutDir: true,
    assetsInlineLimit: 0, // the page's policy allows no inlined scripts or workers; images stay files
  },
  // The package finds its .wasm and worker files by import.meta.url; pre-bundling would move the code away from them.
  optimizeDeps: { exclude: ['trefoil'] },
  worker: { format: 'es' },
  server: { fs: { allow: ['..'] } },
});
