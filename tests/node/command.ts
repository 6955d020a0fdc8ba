// The command line as its users start it: a process, its two outputs and its exit code. What the tests of it share.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll } from 'vitest';

import { quantizedSigns, root } from './signs.js';

export const cli = join(root, 'npm/dist/cli.js');
export const prepare = ['--resize', '64', '--crop', '64', '--mean', '0.5', '--std', '1/4'];
export let folder: string;
export let model: string;

export interface Ended {
  code: number | null;
  out: string;
  err: string;
}

export type JsonDocument = Record<string, unknown> & { error?: { code: string } };

export function run(
  args: string[],
  onStart?: (kill: (signal: NodeJS.Signals) => void) => void,
): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [cli, ...args], { cwd: folder });
    const ended: Ended = { code: null, out: '', err: '' };
    child.stdout.on('data', (data) => (ended.out += data));
    child.stderr.on('data', (data) => {
      ended.err += data;
      onStart?.((signal) => child.kill(signal));
    });
    child.on('close', (code) => resolve({ ...ended, code }));
  });
}

/** Runs with --json; whatever else is on stdout fails to parse. */
export async function json(args: string[]): Promise<{ code: number | null; value: JsonDocument }> {
  const { code, out } = await run([...args, '--json']);
  return { code, value: JSON.parse(out) };
}

/** A folder with a model of the signs, which commands run in, for the tests of the file that calls it. */
export function startFolder(): void {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'trefoil-cli-'));
    model = join(folder, 'signs.trefoil');
    writeFileSync(model, (await quantizedSigns()).model);
  }, 120_000);

  afterAll(() => rm(folder, { recursive: true, force: true }));
}
