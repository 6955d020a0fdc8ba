// The guides in docs/: their commands are run, one after the other, in a folder as they describe it.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { labels, picturesOf, root, signs } from './signs.js';

const docs = join(root, 'docs');
let folder: string;

function blocks(file: string, language: string): string[] {
  const text = readFileSync(join(docs, file), 'utf8');
  return [...text.matchAll(/```(\w+)\n([\s\S]*?)```/g)]
    .filter(([, kind]) => kind === language)
    .map(([, , body]) => body!);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trefoil-docs-'));
  cpSync(join(signs, 'signs.onnx'), join(folder, 'signs.onnx'));
  cpSync(join(signs, 'labels.txt'), join(folder, 'labels.txt'));
  symlinkSync(join(signs, 'calibration'), join(folder, 'calibration'));
  for (const label of labels) {
    mkdirSync(join(folder, 'photos', label), { recursive: true });
    for (const i of [0, 1]) cpSync(picturesOf(label)[i]!, join(folder, 'photos', label, `${i}.png`));
  }
}, 60_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

test('batch.md: every command works, in this order', () => {
  const commands = blocks('batch.md', 'sh').flatMap((block) => block.trim().split('\n'));
  expect(commands.length).toBe(6);
  for (const command of commands) {
    expect(command).toMatch(/^npx trefoil /);
    const shell = command.replace(
      /^npx trefoil/,
      `"${process.execPath}" "${join(root, 'npm/bin/trefoil.js')}"`,
    );
    const { status, stderr } = spawnSync('sh', ['-c', shell], { cwd: folder, encoding: 'utf8' });
    expect([command, status, status === 0 ? '' : stderr]).toEqual([command, 0, '']);
  }
  const lines = (name: string) => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n').length;
  expect(lines('labels.jsonl')).toBe(40);
  expect(lines('part1.csv') + lines('part2.csv')).toBe(42);
}, 120_000);

test('troubleshooting.md has every code, and no other', () => {
  const source = readFileSync(join(root, 'npm/src/errors.ts'), 'utf8');
  const codes = [...source.slice(0, source.indexOf(';')).matchAll(/'([A-Z_]+)'/g)].map(([, code]) => code!);
  expect(codes.length).toBeGreaterThan(20);
  const rows = readFileSync(join(docs, 'troubleshooting.md'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  const listed = rows.flatMap((row) =>
    [...row.split('|')[1]!.matchAll(/`([A-Z_]+)`/g)].map(([, code]) => code!),
  );
  expect([...listed].sort()).toEqual([...codes].sort());
});

test('documents name files that exist, and commands that are known', () => {
  const help = execFileSync(process.execPath, [join(root, 'npm/bin/trefoil.js'), '--help'], {
    encoding: 'utf8',
  });
  const guides = readdirSync(docs).filter((file) => file.endsWith('.md'));
  expect(guides.length).toBeGreaterThan(3);
  for (const file of guides.map((name) => join('docs', name)).concat('README.md', 'npm/README.md')) {
    const text = readFileSync(join(root, file), 'utf8');
    for (const [, target] of text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
      expect([file, target, existsSync(join(root, file, '..', target!))]).toEqual([file, target, true]);
    }
    for (const [, command] of text.matchAll(/npx trefoil ([a-z]+)/g)) {
      expect([file, command, new RegExp(`^  ${command} `, 'm').test(help)]).toEqual([file, command, true]);
    }
  }
});
