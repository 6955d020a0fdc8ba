import { defineConfig } from 'vite';

export default defineConfig({
  root: import.meta.dirname,
  base: './',
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
