// Two batches on one output file would write every record twice.
import { readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { badOption } from '../../options.js';

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Takes the output for this process until the returned function is called; the lock of a dead process is ignored. */
export async function lockOutput(output: string): Promise<() => Promise<void>> {
  const path = join(dirname(output), `.${basename(output)}.lock`);
  const take = () => writeFile(path, String(process.pid), { flag: 'wx' });
  try {
    await take();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw badOption('out', `${output} can't be written: ${(error as Error).message}`);
    }
    const owner = Number(await readFile(path, 'utf8').catch(() => ''));
    if (owner > 0 && owner !== process.pid && alive(owner)) {
      throw badOption(
        'out',
        `another batch (process ${owner}) writes ${output}; if none does, remove ${path}`,
      );
    }
    await rm(path, { force: true });
    await take();
  }
  return () => rm(path, { force: true });
}
