import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { defineConfig, type Plugin } from 'vite';

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
      const kept = files.filter((name) => name !== 'index.html');
      const source = readFileSync(join(import.meta.dirname, 'src/sw.js'), 'utf8')
        .replace('self.TREFOIL_FILES', JSON.stringify(kept))
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
  plugins: [serviceWorker(), policyInBuildOnly()],
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
