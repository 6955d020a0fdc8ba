// A seat in a process of its own.
import './memories.mjs';

import { readFile } from 'node:fs/promises';

import { Seat } from './seat.mjs';

const seat = new Seat({
  read: async (path) => {
    const { buffer, byteOffset, length } = await readFile(path);
    return new Uint8Array(buffer, byteOffset, length);
  },
});

process.on('message', async ({ method, given }) => {
  try {
    process.send({ value: await seat[method](...given) });
  } catch (error) {
    process.send({ error: { code: error.code, message: String(error.message ?? error) } });
  }
});
process.on('disconnect', () => process.exit());
