import { realpathSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

import { TrefoilError, messageOf } from '../errors.js';
import { badOption } from '../options.js';

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

/** Throws where the output would overwrite what the command reads. */
export function checkNotInput(output: string, inputs: readonly (string | undefined)[]): void {
  const real = realPath(output);
  const same = inputs.find((input) => input !== undefined && realPath(input) === real);
  if (same !== undefined)
    throw badOption('output', `the output ${output} is an input of the command, ${same}`);
}

/** Writes beside the output and renames: whoever reads it sees the old file or the whole new one. */
export async function writeAtomically(output: string, bytes: Uint8Array): Promise<void> {
  const part = join(dirname(output), `.${basename(output)}.${process.pid}.part`);
  try {
    const file = await open(part, 'wx');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, output);
  } catch (error) {
    await rm(part, { force: true }).catch(() => undefined);
    throw new TrefoilError(
      'FILE_NOT_FOUND',
      `${output} can't be written: ${messageOf(error)}`,
      { path: output },
      error,
    );
  }
}
