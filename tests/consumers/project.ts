// A folder as a user's project: the packed package installed in it, a script that uses everything, and what it must say.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { quantize } from 'trefoil/quantize';

import { goldenPixels, parseGoldens } from '../golden/golden.js';

export const root = resolve(import.meta.dirname, '../..');
export const goldens = parseGoldens(readFileSync(join(root, 'tests/golden/golden.txt'), 'utf8'));

/** What the script finds: the same in every engine and with every bundler. */
export interface Answers {
  /** Of each golden model: the hash of its logits. */
  logits: Record<string, string>;
  /** SHA-256 of a model that was quantized on the spot. */
  quantized: string;
  code: string;
}

const calibration = [1, 2].map((seed) => ({ data: goldenPixels(64, 64, seed), width: 64, height: 64 }));

export async function expectedAnswers(): Promise<Answers> {
  const { model } = await quantize(join(root, 'models/signs/signs.onnx'), { calibration });
  return {
    logits: Object.fromEntries(goldens.map(({ file, hash }) => [file, hash])),
    quantized: createHash('sha256').update(model).digest('hex'),
    code: 'BAD_IMAGE',
  };
}

/** The script; `base` is put before the names of the files that it loads. */
export const script = (base: string) => `
import { loadModel } from 'trefoil';
import { quantize } from 'trefoil/quantize';

${goldenPixels.toString()}

function hashOf(list) {
  let hash = 0xcbf29ce484222325n;
  for (const integers of list) {
    for (const byte of new Uint8Array(integers.buffer, integers.byteOffset, integers.byteLength)) {
      hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
    }
  }
  return hash.toString(16).padStart(16, '0');
}

export async function answers() {
  const image = (seed) => ({ data: goldenPixels(64, 64, seed), width: 64, height: 64 });
  const logits = {};
  let worker;
  let threads;
  let code;
  for (const [file, images] of ${JSON.stringify(goldens.map(({ file, images }) => [file, images]))}) {
    const model = await loadModel('${base}' + file, { threads: 2 });
    const results = [];
    for (let seed = 1; seed <= images; ++seed) results.push((await model.logits(image(seed))).integers);
    logits[file] = hashOf(results);
    ({ worker, threads } = model.info);
    code = await model.classify(new Uint8Array(100)).then(() => 'none', (error) => error.code);
    model.dispose();
  }
  const { model } = await quantize('${base}signs.onnx', { calibration: [image(1), image(2)] });
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', model));
  const quantized = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return { logits, quantized, code, worker, threads };
}
`;

/** For pages: the answers as text, where a test of any browser finds them. */
const pageScript = `
import { answers } from './answers.js';
answers()
  .catch((error) => ({ error: String(error.stack ?? error) }))
  .then((found) => {
    const isolated = globalThis.crossOriginIsolated;
    document.querySelector('pre').textContent = JSON.stringify({ ...found, isolated });
    document.title = 'done';
  });
`;

const page = (source: string) =>
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>working</title></head><body><pre></pre>
<script type="module" src="${source}"></script></body></html>`;

function npm(args: string[], cwd: string): string {
  return execFileSync('npm', [...args, '--no-audit', '--no-fund', '--no-update-notifier'], {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** The tarball that would be published. */
export function pack(folder: string): string {
  const [{ filename }] = JSON.parse(npm(['pack', '--json', '--pack-destination', folder], join(root, 'npm')));
  return join(folder, filename as string);
}

/** A new project with the tarball installed, without a registry: the package needs no other. */
export async function makeProject(tarball: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'trefoil-consumer-'));
  writeFileSync(join(folder, 'package.json'), '{ "name": "user", "private": true, "type": "module" }');
  npm(['install', '--offline', tarball], folder);
  writeFileSync(join(folder, 'answers.js'), script('/'));
  writeFileSync(join(folder, 'main.js'), pageScript);
  writeFileSync(join(folder, 'index.html'), page('/main.js'));
  mkdirSync(join(folder, 'public'));
  copyFileSync(join(root, 'models/signs/signs.onnx'), join(folder, 'public/signs.onnx'));
  for (const { file } of goldens) {
    copyFileSync(join(root, 'tests/golden', file), join(folder, 'public', file));
  }
  return folder;
}

/** A folder for a server: the project's models, a page, and what a bundler makes of main.js, by the name bundle.js. */
export function makeSite(project: string, name: string): string {
  const site = join(project, name);
  mkdirSync(site, { recursive: true });
  for (const file of ['signs.onnx', ...goldens.map(({ file }) => file)]) {
    copyFileSync(join(project, 'public', file), join(site, file));
  }
  writeFileSync(join(site, 'index.html'), page('/bundle.js'));
  return site;
}
