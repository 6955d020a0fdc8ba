// What threads gain: one model, runs in turn on every number of threads, minima compared, answers checked first.
//   usage: node tests/bench/threads.mjs MODEL.trefoil [2 [3 ...]] [--rounds 30]
import { cpus } from 'node:os';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';

import { loadModel } from 'trefoil';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '30' } },
});
const [file, ...numbers] = positionals;
const counts = [1, ...(numbers.length > 0 ? numbers.map(Number) : [2])];
const models = [];
for (const threads of counts) models.push(await loadModel(file, { threads, worker: false }));
const planes = Uint8Array.from(
  { length: models[0].info.inputShape.reduce((a, b) => a * b) },
  (_, i) => (i * 2654435761) >>> 24,
);

const answers = [];
for (const model of models) answers.push((await model.run(planes)).integers.join());
if (new Set(answers).size !== 1) throw new Error('the numbers of threads disagree');

const best = counts.map(() => Infinity);
// The first rounds are for the engine's compiler.
for (let round = -3; round < Number(values.rounds); ++round) {
  for (const [i, model] of models.entries()) {
    const start = performance.now();
    await model.run(planes);
    if (round >= 0) best[i] = Math.min(best[i], performance.now() - start);
  }
}
console.log(
  `${models[0].info.name}, Node ${process.versions.node}, ${cpus().length} cores, ${cpus()[0]?.model}`,
);
for (const [i, model] of models.entries()) {
  const { threads } = model.info;
  console.log(`${threads} threads: ${best[i].toFixed(2)} ms minimum, ${(best[0] / best[i]).toFixed(2)}x`);
  model.dispose();
}
