// Builds the package: dist/ from src/ and from the WebAssembly modules that CMake made.
//   usage: node scripts/build.mjs [FOLDER with trefoil-runtime.mjs, .wasm, ...; default ../build/wasm/bindings]
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');
const wasm = join(root, 'wasm');
const modules = ['trefoil-runtime', 'trefoil-runtime-threads', 'trefoil-quantizer'];
const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));

/** Takes the modules over from CMake's build; without one, those of the last time serve. */
async function takeModules(from) {
  await mkdir(wasm, { recursive: true });
  for (const file of modules.flatMap((name) => [`${name}.mjs`, `${name}.wasm`])) {
    if (existsSync(join(from, file))) await cp(join(from, file), join(wasm, file));
    else if (!existsSync(join(wasm, file))) {
      throw new Error(`${join(from, file)} is missing: build the WebAssembly modules first (make wasm)`);
    }
  }
}

/** Sources say '#platform/...'; which platform it is, the build decides. */
function platformPlugin(platform) {
  return {
    name: 'platform',
    setup(bundle) {
      bundle.onResolve({ filter: /^#platform\// }, ({ path }) => ({
        path: join(root, 'src/platform', platform, basename(path).replace(/\.js$/, '.ts')),
      }));
      bundle.onResolve({ filter: /^trefoil-wasm\// }, ({ path }) => ({ path: join(wasm, basename(path)) }));
      if (platform === 'node') {
        // Piscina starts its threads from a file beside it: that is an entry of this build, by another name.
        bundle.onLoad({ filter: /piscina\/dist\/index\.js$/ }, async ({ path }) => {
          const text = await readFile(path, 'utf8');
          const place = "(__dirname, 'worker.js')";
          if (!text.includes(place)) throw new Error(`${path} does not start its threads as expected`);
          return { contents: text.replace(place, "(trefoilFolder, 'node-piscina-worker.js')"), loader: 'js' };
        });
        // For threads of its own, which are not used here, Emscripten's JavaScript would add a global to the user's process.
        bundle.onLoad({ filter: /trefoil-runtime-threads\.mjs$/ }, async ({ path }) => {
          const text = await readFile(path, 'utf8');
          const assignment = 'global.Worker=worker_threads.Worker;';
          if (!text.includes(assignment)) throw new Error(`${path} does not set a global as expected`);
          return { contents: text.replace(assignment, ''), loader: 'js' };
        });
        return;
      }
      // Emscripten's JavaScript asks at run time whether it is in Node. For browsers the answer is known, and without the
      // code for Node there is no import that a bundler for the web would stumble over.
      bundle.onLoad({ filter: /trefoil-[\w-]+\.mjs$/ }, async ({ path }) => {
        const text = await readFile(path, 'utf8');
        const question = /var ENVIRONMENT_IS_NODE=[^;]+;/;
        if (!question.test(text)) throw new Error(`${path} does not ask for Node as expected`);
        return {
          contents: text.replace(question, '').replaceAll('ENVIRONMENT_IS_NODE', 'false'),
          loader: 'js',
        };
      });
    },
  };
}

const common = {
  absWorkingDir: root,
  bundle: true,
  format: 'esm',
  target: 'es2022',
  outdir: dist,
  minify: true,
  sourcemap: false,
  metafile: true,
  logLevel: 'warning',
  legalComments: 'none',
  define: {
    TREFOIL_VERSION: JSON.stringify(version),
    // Known once the modules have been taken over, which is before the first build.
    get TREFOIL_QUANTIZER() {
      const bytes = readFileSync(join(wasm, 'trefoil-quantizer.wasm'));
      return JSON.stringify(createHash('sha256').update(bytes).digest('hex').slice(0, 16));
    },
  },
};

function buildBrowser() {
  const plugins = [platformPlugin('browser')];
  return Promise.all([
    build({
      ...common,
      plugins,
      entryPoints: { index: 'src/index.ts', quantize: 'src/quantize.ts' },
      splitting: true,
      chunkNames: 'browser-[name]-[hash]',
    }),
    // Whole: bundlers may turn a worker's script into one that can't import.
    build({
      ...common,
      plugins,
      entryPoints: {
        worker: 'src/worker.ts',
        'threads-worker': 'src/threads-worker.ts',
        thread: 'src/thread.ts',
        'quantize-worker': 'src/quantize-worker.ts',
      },
    }),
  ]);
}

function buildNode() {
  return build({
    ...common,
    platform: 'node',
    target: 'node20',
    plugins: [platformPlugin('node')],
    entryPoints: {
      node: 'src/index.ts',
      'node-quantize': 'src/quantize.ts',
      'node-worker': 'src/worker.ts',
      'node-threads-worker': 'src/threads-worker.ts',
      'node-thread': 'src/thread.ts',
      'node-quantize-worker': 'src/quantize-worker.ts',
      'node-batch-worker': 'src/cli/batch/worker.ts',
      'node-piscina-worker': join(dirname(createRequire(import.meta.url).resolve('piscina')), 'worker.js'),
      cli: 'src/cli/main.ts',
    },
    splitting: true,
    chunkNames: 'node-[name]-[hash]',
    external: ['sharp', '@napi-rs/nice'],
    banner: {
      // The command line's libraries are CommonJS.
      js:
        "import{createRequire as trefoilRequire}from'node:module';import{fileURLToPath as trefoilPath}from'node:url';" +
        "const require=trefoilRequire(import.meta.url),trefoilFolder=trefoilPath(new URL('.',import.meta.url));",
    },
  });
}

/** Declarations of the two entries, and of what they refer to; those of the inside are left out. */
async function writeTypes() {
  const types = join(dist, 'types');
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
  const run = (...args) => execFileSync(process.execPath, [tsc, ...args], { cwd: root, stdio: 'inherit' });
  run('-p', 'tsconfig.node.json');
  run(
    '-p',
    'tsconfig.json',
    '--noEmit',
    'false',
    '--declaration',
    '--emitDeclarationOnly',
    '--outDir',
    types,
  );

  const wanted = new Set();
  const visit = async (file) => {
    if (wanted.has(file)) return;
    wanted.add(file);
    const text = await readFile(file, 'utf8');
    const imports = text.matchAll(/from '(\.[^']+)\.js'|import\('(\.[^']+)\.js'\)/g);
    await Promise.all([...imports].map(([, a, b]) => visit(join(dirname(file), `${a ?? b}.d.ts`))));
  };
  await Promise.all(['index', 'quantize'].map((name) => visit(join(types, `${name}.d.ts`))));
  for (const entry of await readdir(types, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    if (entry.isFile() && !wanted.has(file)) await rm(file);
  }
  for (const folder of ['cli', 'platform']) await rm(join(types, folder), { recursive: true, force: true });
}

/** The licences of what is bundled, as they ask for. */
async function writeLicences(results) {
  const packages = new Map();
  for (const input of results.flatMap(({ metafile }) => Object.keys(metafile.inputs))) {
    const found = /^(.*node_modules\/((?:@[^/]+\/)?[^/]+))\//.exec(input);
    if (found) packages.set(found[2], resolve(root, found[1]));
  }
  const parts = [await readFile(join(root, 'licences/wasm.txt'), 'utf8')];
  for (const [name, folder] of [...packages].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const { version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
    // What a package itself was made from may have a licence further down.
    const files = (await readdir(folder, { recursive: true })).filter((entry) =>
      /^(codec\/)?licen[cs]e[^/]*$/i.test(entry),
    );
    const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
    const text = texts.map((one) => one.trim()).join('\n\n') || `Licence: ${license}`;
    parts.push(`${name} ${version}\n\n${text}\n`);
  }
  await writeFile(join(dist, 'THIRD-PARTY.txt'), parts.join(`\n${'-'.repeat(80)}\n\n`));
}

await takeModules(resolve(process.argv[2] ?? join(root, '../build/wasm/bindings')));
await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });
const results = (await Promise.all([buildBrowser(), buildNode()])).flat();
await cp(join(root, '../LICENSE'), join(dist, 'LICENSE'));
for (const name of modules) await cp(join(wasm, `${name}.wasm`), join(dist, `${name}.wasm`));
const jpegDecoder = createRequire(import.meta.url).resolve('@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm');
await cp(jpegDecoder, join(dist, 'jpeg-decoder.wasm'));
await writeTypes();
await writeLicences(results);
console.log(
  `${relative(process.cwd(), dist) || dist}: ${(await readdir(dist)).filter((file) => !file.startsWith('browser-') && !file.startsWith('node-')).join(', ')}`,
);
