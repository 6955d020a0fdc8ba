import { parentPort } from 'node:worker_threads';

import type { ThreadStart } from '../../threads.js';

export function onStart(begin: (start: ThreadStart) => Promise<void>): void {
  parentPort?.once('message', (start: ThreadStart) => void begin(start));
}

export const reportReady = (): void => parentPort?.postMessage('ready');
