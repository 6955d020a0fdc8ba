// Compares this package with onnxruntime-web, LiteRT.js and tfjs, all in one run on one machine.
//
//   make bench ARGS='--models resnet50 --runners trefoil,ort --engines node26 --runs 10'
//
// README.md beside this file says how, and what the figures mean. Results: build/bench/results.json and results.md.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { ChromiumEngine } from './engines/chromium.mjs';
import { NodeEngine } from './engines/node.mjs';
import { measure } from './measure.mjs';
import { makePeers } from './models/make.mjs';
import { makeTernary, recipes } from './models/ternary.mjs';
import { machine, markdown } from './report.mjs';
import { families, peers, recipesFor } from './runners/list.mjs';

const root = resolve(import.meta.dirname, '../../..');
const node26 = join(root, '.toolchain/node26/node_modules/.bin/node');

const engineStarters = {
  chromium: () => ChromiumEngine.start(root),
  node: () => new NodeEngine(process.execPath),
  node26: () => {
    if (existsSync(node26)) return new NodeEngine(node26);
    throw new Error(`${node26} is missing: cmake/setup.sh node26`);
  },
};

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: 'resnet50,resnet18,alexnet,squeezenet,mobilenet' },
    runners: { type: 'string', default: Object.keys(families).join() },
    recipes: { type: 'string' },
    engines: { type: 'string', default: Object.keys(engineStarters).join() },
    threads: { type: 'string', default: '1,2' },
    runs: { type: 'string', default: '20' },
    'cold-starts': { type: 'string', default: '5' },
    'reuse-models': { type: 'boolean', default: false },
    out: { type: 'string', default: join(root, 'build/bench') },
  },
});

function listed(name, known) {
  const items = options[name].split(',').filter(Boolean);
  const unknown = items.find((item) => !known.includes(item));
  if (unknown === undefined) return items;
  throw new Error(`--${name}: '${unknown}' is unknown; there are ${known.join(', ')}`);
}

function count(name, least) {
  const value = Number(options[name]);
  if (Number.isInteger(value) && value >= least) return value;
  throw new Error(`--${name} must be a whole number from ${least} on`);
}

const log = (text) => console.error(text);

/** Our models of a network; recipes that this version does not have are left out with a word. */
async function ternaryEntries(network, folder, names) {
  const entries = [];
  for (const recipe of names) {
    const made = await makeTernary(network, folder, recipe, { log, reuse: options['reuse-models'] });
    if (made.missing) log(`left out: ${network.name}, trefoil ${recipe}: ${made.missing}`);
    else {
      const { file, integers } = made;
      entries.push({ runner: 'trefoil', precision: 'ternary', recipe, files: { model: file }, integers });
    }
  }
  return entries;
}

async function run() {
  const known = ['resnet50', 'resnet18', 'alexnet', 'squeezenet', 'mobilenet', 'tiny'];
  const models = listed('models', known);
  const wanted = listed('runners', Object.keys(families)).map((name) => families[name]);
  const engineNames = listed('engines', Object.keys(engineStarters));
  const threadCounts = listed('threads', ['1', '2', '3', '4', '6', '8']).map(Number);
  const chosen = options.recipes === undefined ? undefined : listed('recipes', Object.keys(recipes));
  const runs = count('runs', 1);
  const coldStarts = count('cold-starts', 0);
  mkdirSync(options.out, { recursive: true });

  const before = machine();
  const rows = [];
  const failures = [];
  for (const model of models) {
    const folder = join(options.out, 'models', model);
    const network = await makePeers(model, folder, log);
    const entries = peers.filter(({ runner }) => wanted.includes(runner));
    if (wanted.includes('trefoil')) {
      entries.push(...(await ternaryEntries(network, folder, chosen ?? recipesFor(model))));
    }
    for (const name of engineNames) {
      // A fresh engine a network: nothing is left behind by the one before.
      const engine = await engineStarters[name]();
      try {
        for (const threads of threadCounts) {
          log(`${model}: ${engine.name}, threads: ${threads}`);
          const fit = entries.filter(({ browserOnly }) => !browserOnly || name === 'chromium');
          const context = { engine, network, folder, threads, runs, coldStarts, log, failures };
          rows.push(...(await measure(fit, context)));
        }
      } finally {
        await engine.close();
      }
      writeFileSync(join(options.out, 'results.json'), `${JSON.stringify(rows, null, 1)}\n`);
    }
  }
  const after = machine();
  writeFileSync(join(options.out, 'machine.json'), `${JSON.stringify({ before, after }, null, 1)}\n`);
  const report = markdown(rows, { before, after, root, failures });
  writeFileSync(join(options.out, 'results.md'), report);
  console.log(report);
  if (failures.length > 0) process.exitCode = 1;
}

try {
  await run();
} catch (error) {
  console.error(error.message);
  if (!(error instanceof TypeError) && !error.message.startsWith('--')) console.error(error.stack);
  process.exitCode = 2;
}
