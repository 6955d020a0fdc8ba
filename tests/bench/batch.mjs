// Images a second of `trefoil batch` with one and with two workers, processor time an image by thread (which says more than
// the clock on a busy machine), and memory. Needs the built package and Linux.
//   usage: node tests/bench/batch.mjs [COUNT of images, default 3000] [ROUNDS, default 3] [MODEL.trefoil FOLDER of images]
// Without a model it is the bundled network and its pictures of 64 x 64 pixels, whose decoding costs as much as classifying them.
// The runs alternate; the best of each count, and the median of the rounds' ratios. The two outputs must be the same bytes.
import { execFileSync, spawn } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  mkdtempSync,
} from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { extname, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
const cli = join(root, 'npm/dist/cli.js');
const signs = join(root, 'models/signs');
const count = Number(process.argv[2] ?? 3000);
const rounds = Number(process.argv[3] ?? 3);
const [model, pictureFolder = join(signs, 'test')] = process.argv.slice(4);

/** Milliseconds of processor time by now of each thread of a process: { id: [name, milliseconds] }. */
function threadTimes(pid) {
  const tasks = `/proc/${pid}/task`;
  const times = {};
  for (const id of readdirSync(tasks)) {
    const [, name, rest] = /\((.*)\) (.*)/.exec(readFileSync(join(tasks, id, 'stat'), 'utf8'));
    const fields = rest.split(' ');
    times[id] = [name, 10 * (Number(fields[11]) + Number(fields[12]))];
  }
  return times;
}

/** The process's first thread is the main one; those of the workers are the busiest; the others decode, collect, compile. */
function shares(pid, times, workers) {
  const sum = (list) => list.reduce((total, [, time]) => total + time, 0);
  const others = Object.entries(times)
    .filter(([id]) => Number(id) !== pid)
    .map(([, thread]) => thread)
    .sort((one, other) => other[1] - one[1]);
  return {
    main: times[pid]?.[1] ?? 0,
    workers: sum(others.slice(0, workers)),
    others: sum(others.slice(workers)),
  };
}

function batch(folder, workers) {
  const out = `${workers}.jsonl`;
  rmSync(join(folder, out), { force: true });
  const args = ['batch', 'images', '--model', 'm.trefoil', '--out', out, '--workers', workers];
  const child = spawn(process.execPath, [cli, ...args, '--json', '--quiet'], { cwd: folder });
  const memory = [];
  const times = {};
  const timer = setInterval(() => {
    try {
      memory.push((4096 * Number(readFileSync(`/proc/${child.pid}/statm`, 'utf8').split(' ')[1])) / 1e6);
      Object.assign(times, threadTimes(child.pid));
    } catch {
      // Over.
    }
  }, 100);
  let text = '';
  child.stdout.on('data', (data) => (text += data));
  return new Promise((done) => {
    child.on('close', () => {
      clearInterval(timer);
      const half = memory.length >> 1;
      const peaks = [memory.slice(0, half), memory.slice(half)].map((list) => Math.max(...list));
      const { imagesPerSecond, seconds } = JSON.parse(text);
      done({ rate: imagesPerSecond, seconds, peaks, times: shares(child.pid, times, workers) });
    });
  });
}

const folder = mkdtempSync(join(tmpdir(), 'trefoil-batch-bench-'));
try {
  const quantize = ['quantize', join(signs, 'signs.onnx'), '-o', 'm.trefoil', '--quiet'];
  const prepare = [
    '--calibration',
    join(signs, 'calibration'),
    '--resize',
    '64',
    '--mean',
    '0.5',
    '--std',
    '0.25',
  ];
  if (model) copyFileSync(model, join(folder, 'm.trefoil'));
  else execFileSync(process.execPath, [cli, ...quantize, ...prepare], { cwd: folder });
  const pictures = readdirSync(pictureFolder, { recursive: true }).filter((name) =>
    /\.(png|jpe?g)$/.test(name),
  );
  mkdirSync(join(folder, 'images'));
  for (let i = 0; i < count; ++i) {
    const picture = pictures[i % pictures.length];
    symlinkSync(resolve(pictureFolder, picture), join(folder, 'images', `${i}${extname(picture)}`));
  }
  const best = { 1: 0, 2: 0 };
  const ratios = [];
  for (let round = 0; round < rounds; ++round) {
    const rates = {};
    for (const workers of [1, 2]) {
      const { rate, seconds, peaks, times } = await batch(folder, workers);
      best[workers] = Math.max(best[workers], rate);
      rates[workers] = rate;
      const memory = peaks.map((peak) => peak.toFixed(0)).join(' and ');
      const total = times.main + times.workers + times.others;
      const parts = Object.entries(times).map(([name, time]) => `${name} ${(time / count).toFixed(3)}`);
      const processor = `${(total / count).toFixed(2)} ms of processor time an image (${parts.join(', ')})`;
      const cores = `${(total / 1000 / seconds).toFixed(2)} cores`;
      console.log(
        `${workers} worker(s): ${rate.toFixed(1)} images/s, ${cores}, ${processor}; at most ${memory} MB in the two halves`,
      );
    }
    ratios.push(rates[2] / rates[1]);
  }
  if (readFileSync(join(folder, '1.jsonl'), 'utf8') !== readFileSync(join(folder, '2.jsonl'), 'utf8')) {
    throw new Error('one and two workers wrote different records');
  }
  ratios.sort((one, other) => one - other);
  const median = (ratios[(rounds - 1) >> 1] + ratios[rounds >> 1]) / 2;
  console.log(
    `${count} images, ${cpus().length} cores: two workers are ${(best[2] / best[1]).toFixed(2)} times one, ${median.toFixed(2)} in the median round`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
