// `trefoil batch` as its users run it: patterns, shards, formats, unreadable files, and being ended at any moment.
import { spawn, type ChildProcess } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { parse } from 'csv-parse/sync';
import sharp from 'sharp';
import { loadModel } from 'trefoil';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { labels, picturesOf, quantizedSigns, root } from './signs.js';

const cli = join(root, 'npm/dist/cli.js');
/** Enough for a batch to be in the middle of its work for a second or more. */
const many = 600;
let folder: string;
let whole: string;

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  out: string;
  err: string;
}

interface Row {
  file: string;
  model: string;
  predictions?: { label: string; score: number; index: number }[];
  error?: { code: string; message: string };
}

function start(
  args: string[],
  env: Record<string, string> = {},
): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [cli, 'batch', ...args, '--model', 'signs.trefoil'], {
    cwd: folder,
    env: { ...process.env, ...env },
  });
  const ended = new Promise<Ended>((resolve) => {
    let out = '';
    let err = '';
    child.stdout.on('data', (data) => (out += data));
    child.stderr.on('data', (data) => (err += data));
    child.on('close', (code, signal) => resolve({ code, signal, out, err }));
  });
  return { child, ended };
}

const run = (...args: string[]) => start(args).ended;
const textOf = (name: string) => readFileSync(join(folder, name), 'utf8');
const rowsOf = (name: string): Row[] =>
  textOf(name)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);

/** Waits until the output has so many lines. */
async function untilLines(name: string, count: number): Promise<void> {
  for (;;) {
    const path = join(folder, name);
    if (existsSync(path) && textOf(name).split('\n').length > count) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trefoil-batch-'));
  writeFileSync(join(folder, 'signs.trefoil'), (await quantizedSigns()).model);
  const pictures = labels.flatMap((label) => picturesOf(label).slice(0, 4));
  for (let i = 0; i < many; ++i) {
    const under = join(folder, 'many', String(i % 7));
    mkdirSync(under, { recursive: true });
    symlinkSync(pictures[i % pictures.length]!, join(under, `${String(i).padStart(4, '0')}.png`));
  }
  const { code } = await run('many/**/*.png', '--out', 'whole.jsonl', '--quiet');
  expect(code).toBe(0);
  whole = textOf('whole.jsonl');
}, 120_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('what it writes', () => {
  test('a record an image, in sorted order, that says what loadModel() says', async () => {
    const rows = rowsOf('whole.jsonl');
    const files = rows.map(({ file }) => file);
    expect(files.length).toBe(many);
    expect(files).toEqual([...new Set(files)].sort());
    const model = await loadModel(join(folder, 'signs.trefoil'));
    for (const row of rows.slice(0, 5)) {
      expect(row.predictions).toEqual(await model.classify(join(folder, row.file)));
      expect(row.model).toMatch(/^[0-9a-f]{12}$/);
    }
    model.dispose();
  });

  test('the same bytes with any number of workers', async () => {
    await run('many/**/*.png', '--out', 'one.jsonl', '--workers', '1', '--quiet');
    await run('many/**/*.png', '--out', 'three.jsonl', '--workers', '3', '--quiet');
    expect(textOf('one.jsonl')).toBe(whole);
    expect(textOf('three.jsonl')).toBe(whole);
  }, 60_000);

  test('shards are disjoint and make up the whole', async () => {
    for (const i of [1, 2, 3]) {
      expect((await run('many', '--out', `shard${i}.jsonl`, '--shard', `${i}/3`, '--quiet')).code).toBe(0);
    }
    const lines = [1, 2, 3].flatMap((i) => textOf(`shard${i}.jsonl`).trimEnd().split('\n'));
    expect(lines.sort()).toEqual(whole.trimEnd().split('\n').sort());
    expect(rowsOf('shard1.jsonl').length).toBe(many / 3);
  }, 60_000);

  test('CSV, with names that need quotes', async () => {
    const odd = join(folder, 'odd');
    mkdirSync(odd);
    for (const name of ['a, "b".png', 'two\nlines.png', '[x].png'])
      symlinkSync(picturesOf('stop')[1]!, join(odd, name));
    writeFileSync(join(odd, 'text,"x.png'), 'no image');
    const { code, out } = await run('odd', 'odd/text,"x.png', '--out', 'odd.csv', '--top-k', '2', '--json');
    expect(code).toBe(3);
    expect(JSON.parse(out)).toMatchObject({ images: 4, classified: 3, skipped: 1 });
    const rows = parse(textOf('odd.csv'), { columns: true }) as Record<string, string>[];
    expect(rows.map((row) => row['file'])).toEqual(
      ['odd/[x].png', 'odd/a, "b".png', 'odd/text,"x.png', 'odd/two\nlines.png'].sort(),
    );
    expect(Object.keys(rows[0]!)).toEqual(
      'file model error label1 score1 index1 label2 score2 index2'.split(' '),
    );
    expect(rows.filter((row) => row['label1'] === 'stop').length).toBe(3);
    expect(rows.find((row) => row['file']!.includes('text'))!['error']).toMatch(/^BAD_IMAGE: /);
    // A file that is complete has nothing left to do; one that was cut in a quoted name is mended.
    const complete = textOf('odd.csv');
    const again = ['odd', 'odd/text,"x.png', '--out', 'odd.csv', '--top-k', '2', '--quiet', '--resume'];
    expect((await run(...again)).code).toBe(0);
    expect(textOf('odd.csv')).toBe(complete);
    truncateSync(join(folder, 'odd.csv'), complete.indexOf('two\nlines') + 5);
    expect((await run(...again)).code).toBe(0);
    expect(textOf('odd.csv')).toBe(complete);
  }, 60_000);

  test('images that cannot be read are skipped, with their reason and an exit code', async () => {
    const some = join(folder, 'some');
    mkdirSync(some);
    symlinkSync(picturesOf('stop')[1]!, join(some, 'good.png'));
    symlinkSync('nowhere', join(some, 'gone.png'));
    writeFileSync(join(some, 'cut.png'), readFileSync(picturesOf('stop')[1]!).subarray(0, 300));
    writeFileSync(join(some, 'list.csv'), 'file\ngood.png\ngone.png\ncut.png\n');
    const { code, out, err } = await run('some/list.csv', '--out', 'some.jsonl');
    expect(code).toBe(3);
    expect(err).toMatch(/100% {2}classify 3 of 3, \d+ images\/s, 0:00 left, 2 skipped/);
    expect(out).toContain('1 of 3 images classified, 2 skipped');
    expect(out).toContain('gone.png: no such file (FILE_NOT_FOUND)');
    const codes = rowsOf('some.jsonl').map(({ error }) => error?.code);
    expect(codes).toEqual(['BAD_IMAGE', 'FILE_NOT_FOUND', undefined]);
  });
});

// A script that runs first in each thread ends it where a certain file is read.
test('a picture that ends its thread is the only one that fails', async () => {
  const script = join(folder, 'ends.mjs');
  writeFileSync(
    script,
    `import fs from 'node:fs';
     import { syncBuiltinESMExports } from 'node:module';
     import { isMainThread } from 'node:worker_threads';
     const { readFileSync } = fs;
     fs.readFileSync = (path, ...rest) => {
       if (!isMainThread && String(path).endsWith('/0107.png')) process.exit(7);
       return readFileSync(path, ...rest);
     };
     syncBuiltinESMExports();`,
  );
  const { ended } = start(['many', '--out', 'ends.jsonl', '--quiet'], { NODE_OPTIONS: `--import=${script}` });
  expect((await ended).code).toBe(3);
  const rows = rowsOf('ends.jsonl');
  expect(rows.map(({ file }) => file)).toEqual(rowsOf('whole.jsonl').map(({ file }) => file));
  const failed = rows.filter(({ error }) => error);
  expect(failed.map(({ file, error }) => [file.slice(-8), error!.code])).toEqual([['0107.png', 'INTERNAL']]);
}, 60_000);

describe('being ended', () => {
  test('killed at any moment, it goes on: nothing lost, nothing twice', async () => {
    let seed = 12345;
    const random = () => (seed = (1103515245 * seed + 12345) % 2 ** 31) / 2 ** 31;
    const args = ['many/**/*.png', '--out', 'killed.jsonl', '--quiet', '--resume'];
    let kills = 0;
    for (let lines = 0; kills < 6; ++kills) {
      const { child, ended } = start(args);
      lines += 1 + Math.floor(90 * random());
      await Promise.race([untilLines('killed.jsonl', lines), ended]);
      child.kill('SIGKILL');
      if ((await ended).signal !== 'SIGKILL') break;
      // What a kill within a write leaves behind.
      if (random() < 0.5) appendFileSync(join(folder, 'killed.jsonl'), '{"file":"many/0/00');
    }
    expect(kills).toBeGreaterThan(3);
    expect((await run(...args)).code).toBe(0);
    expect(textOf('killed.jsonl')).toBe(whole);
  }, 120_000);

  test('SIGINT finishes what is under way, says how to go on, and ends with 130', async () => {
    const { child, ended } = start(['many/**/*.png', '--out', 'int.jsonl', '--json']);
    await untilLines('int.jsonl', 20);
    child.kill('SIGINT');
    const { code, out } = await ended;
    expect(code).toBe(130);
    const summary = JSON.parse(out);
    expect(summary).toMatchObject({ interrupted: true, images: many, skipped: 0 });
    expect(summary.remaining).toBeGreaterThan(0);
    expect(rowsOf('int.jsonl').length).toBe(summary.classified);
    expect(whole.startsWith(textOf('int.jsonl'))).toBe(true);
    expect(readdirSync(folder).filter((name) => name.endsWith('.lock') && name.includes('int'))).toEqual([]);
    const rest = await run('many/**/*.png', '--out', 'int.jsonl', '--json', '--resume');
    expect(JSON.parse(rest.out)).toMatchObject({
      resumed: summary.classified,
      classified: summary.remaining,
    });
    expect(textOf('int.jsonl')).toBe(whole);
  }, 60_000);

  test('what is not its own output is left alone', async () => {
    const before = statSync(join(folder, 'whole.jsonl'));
    expect((await run('many/0', '--out', 'whole.jsonl')).code).toBe(2);
    // The middle of a file is no torn end.
    writeFileSync(join(folder, 'broken.jsonl'), whole.replace('"predictions"', '"prediction'));
    writeFileSync(join(folder, 'twice.jsonl'), whole + whole.slice(0, whole.indexOf('\n') + 1));
    writeFileSync(join(folder, 'other.jsonl'), whole.replace(/"model":"\w{12}"/, '"model":"000000000000"'));
    for (const [name, why] of [
      ['broken.jsonl', 'line 1 is no record'],
      ['twice.jsonl', 'a second time'],
      ['other.jsonl', 'of another model'],
    ] as const) {
      const { code, err } = await run('many/0', '--out', name, '--resume');
      expect([name, code]).toEqual([name, 2]);
      expect(err).toContain(why);
    }
    const { code, err } = await run('many/0', '--out', 'whole.jsonl', '--resume', '--top-k', '3');
    expect(code).toBe(2);
    expect(err).toContain('--top-k');
    expect(statSync(join(folder, 'whole.jsonl')).mtimeMs).toBe(before.mtimeMs);
  }, 60_000);

  test('two batches never share an output', async () => {
    const { child, ended } = start(['many/**/*.png', '--out', 'shared.jsonl', '--quiet']);
    await untilLines('shared.jsonl', 5);
    const second = await run('many/**/*.png', '--out', 'shared.jsonl', '--resume');
    child.kill('SIGINT');
    await ended;
    expect(second.code).toBe(2);
    expect(second.err).toContain('another batch');
  }, 60_000);
});

test.each([
  [['no/such/*.png', '--out', 'x.jsonl'], 'matches no image'],
  [['many', '--out', 'x.jsonl', '--shard', '4/3'], 'I/N'],
  [['many', '--out', 'x.jsonl', '--workers', '0'], 'whole number'],
  [['many', '--out', 'no/such/folder/x.jsonl'], "can't be written"],
  [['signs.trefoil', '--out', 'signs.trefoil'], 'is an input'],
  [['many'], '--out'],
])('batch %j ends with 2', async (args, why) => {
  const { code, err } = await run(...args);
  expect(code).toBe(2);
  expect(err).toContain(why);
  expect(existsSync(join(folder, 'x.jsonl'))).toBe(false);
});

test('memory does not grow with the number of images', async () => {
  const tiny = join(folder, 'tiny');
  const count = 2400;
  mkdirSync(tiny);
  const picture = await sharp({ create: { width: 8, height: 8, channels: 3, background: '#c33' } })
    .png()
    .toBuffer();
  for (let i = 0; i < count; ++i) writeFileSync(join(tiny, `${i}.png`), picture);
  const { child, ended } = start(['tiny', '--out', 'tiny.jsonl', '--quiet', '--workers', '2']);
  /** Of the lines written so far, the memory then. */
  const samples: [number, number][] = [];
  const timer = setInterval(() => {
    try {
      const pages = Number(readFileSync(`/proc/${child.pid}/statm`, 'utf8').split(' ')[1]);
      samples.push([textOf('tiny.jsonl').split('\n').length, (pages * 4096) / 1e6]);
    } catch {
      // Not begun, or over.
    }
  }, 50);
  const { code } = await ended;
  clearInterval(timer);
  expect(code).toBe(0);
  const largest = (from: number, to: number) =>
    Math.max(...samples.filter(([lines]) => lines >= from && lines < to).map(([, megabytes]) => megabytes));
  const early = largest(200, count / 2);
  expect(early).toBeGreaterThan(20);
  // Two heaps of V8 take some seconds to settle (31 MB in Node 26 on a busy machine): what 50 KB an image would exceed.
  expect(largest(count / 2, count + 1)).toBeLessThan(early + 60);
}, 120_000);

test('large pictures behind small ones are not held in memory together', async () => {
  const sizes = join(folder, 'sizes');
  mkdirSync(sizes);
  const draw = (width: number, height: number, name: string) =>
    sharp({ create: { width, height, channels: 3, background: '#36c' } })
      .png()
      .toFile(join(sizes, name));
  await draw(8, 8, 'a000.png');
  await draw(4000, 3000, 'b00.png'); // 36 MB of pixels
  for (let i = 1; i < 100; ++i)
    symlinkSync(join(sizes, 'a000.png'), join(sizes, `a${String(i).padStart(3, '0')}.png`));
  for (let i = 10; i < 30; ++i) symlinkSync(join(sizes, 'b00.png'), join(sizes, `b${i}.png`));
  const { child, ended } = start(['sizes', '--out', 'sizes.jsonl', '--quiet', '--workers', '1']);
  let most = 0;
  const timer = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      most = Math.max(most, Number(/VmHWM:\s+(\d+)/.exec(status)![1]) / 1e3);
    } catch {
      // Not begun, or over.
    }
  }, 50);
  expect((await ended).code).toBe(0);
  clearInterval(timer);
  expect(most).toBeGreaterThan(100);
  expect(most).toBeLessThan(430); // 290; a whole portion of them takes 570
}, 120_000);
