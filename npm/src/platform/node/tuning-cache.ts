import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { arch, cpus, homedir, platform } from 'node:os';
import { join } from 'node:path';

import type { TuningCache } from '../../model-types.js';

export function engineName(): string {
  return `node ${process.versions.v8} ${platform()} ${arch()} ${cpus()[0]?.model ?? ''} ${cpus().length}`;
}

function cacheFolder(): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (platform() === 'win32') return LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local');
  if (platform() === 'darwin') return join(homedir(), 'Library', 'Caches');
  return XDG_CACHE_HOME || join(homedir(), '.cache');
}

/** Small files in the user's folder for caches. */
export function usualCache(): Promise<TuningCache> {
  const fileOf = (url: string) => join(cacheFolder(), 'trefoil', url.slice(url.lastIndexOf('/') + 1));
  return Promise.resolve({
    async match(url) {
      const text = await readFile(fileOf(url), 'utf8');
      return { text: () => Promise.resolve(text) };
    },
    async put(url, response) {
      const file = fileOf(url);
      await mkdir(join(cacheFolder(), 'trefoil'), { recursive: true });
      const part = `${file}.${process.pid}.part`;
      try {
        await writeFile(part, await response.text());
        await rename(part, file);
      } catch (error) {
        await rm(part, { force: true });
        throw error;
      }
    },
  });
}
