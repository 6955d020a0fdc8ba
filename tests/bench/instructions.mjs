// Counts each kernel's instructions on small fixed tasks and compares them with those of instructions.json: a measure
// of speed without noise, for spotting a kernel that has become slower by mistake.
//   usage: node tests/bench/instructions.mjs build/native/tests/kernel_instructions [--renew]
// Ends with 77, for "skipped", where valgrind is missing or the compiler is not that of the stored counts.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const stored = new URL('instructions.json', import.meta.url);
const renewing = 'make bench-instructions stores the counts anew';
/** Of a count. The C library's memcpy differs a little from one processor to another. */
const tolerance = 0.02;
const skipped = 77;

function skip(why) {
  console.log(`skipped: ${why}`);
  process.exit(skipped);
}

function hasValgrind() {
  try {
    execFileSync('valgrind', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Instructions by task. */
function count(binary) {
  const folder = mkdtempSync(join(tmpdir(), 'trefoil-instructions-'));
  try {
    const out = join(folder, 'out');
    const options = [
      '--tool=callgrind',
      `--callgrind-out-file=${out}`,
      '--toggle-collect=countedRun',
      '--dump-after=countedRun',
    ];
    const names = execFileSync('valgrind', [...options, binary], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    // One file a run, in their order; with the program's end comes one more.
    const counts = {};
    for (const [i, name] of names.trim().split('\n').entries()) {
      if (name in counts) throw new Error(`two tasks are called '${name}'`);
      counts[name] = Number(/^totals: (\d+)$/m.exec(readFileSync(`${out}.${i + 1}`, 'utf8'))[1]);
    }
    return counts;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const [binary, ...flags] = process.argv.slice(2);
const renew = flags.includes('--renew');
if (!binary) throw new Error('usage: node tests/bench/instructions.mjs BINARY [--renew]');
if (!hasValgrind()) {
  if (renew) throw new Error('valgrind is missing: cmake/setup.sh native installs it');
  skip('valgrind is not installed (cmake/setup.sh native)');
}
const compiler = execFileSync(binary, ['--compiler'], { encoding: 'utf8' }).trim();
const before = JSON.parse(readFileSync(stored, 'utf8'));
if (!renew && before.compiler !== compiler) {
  skip(`the counts are those of ${before.compiler}, this is ${compiler}`);
}

const counts = count(binary);
let slower = 0;
for (const [name, now] of Object.entries(counts)) {
  const old = before.counts[name];
  const change = old ? now / old - 1 : 0;
  if (!old) console.log(`new      ${name}: ${now}`);
  else if (Math.abs(change) > tolerance) {
    if (change > 0) ++slower;
    const sign = change > 0 ? '+' : '';
    console.log(
      `${change > 0 ? 'SLOWER  ' : 'faster  '} ${name}: ${old} to ${now} (${sign}${(100 * change).toFixed(1)}%)`,
    );
  }
}
for (const name of Object.keys(before.counts)) if (!(name in counts)) console.log(`gone     ${name}`);

if (renew) {
  writeFileSync(stored, JSON.stringify({ compiler, counts }, null, 2) + '\n');
  console.log(`${Object.keys(counts).length} counts stored`);
} else {
  console.log(`${Object.keys(counts).length} counts compared, ${slower} beyond ${100 * tolerance}%`);
  if (slower > 0) {
    console.log(`If the instructions are worth it, ${renewing}.`);
    process.exit(1);
  }
}
