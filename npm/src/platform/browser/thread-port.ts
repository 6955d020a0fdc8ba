import type { ThreadStart } from '../../threads.js';

export function onStart(begin: (start: ThreadStart) => Promise<void>): void {
  addEventListener('message', ({ data }: MessageEvent<ThreadStart>) => void begin(data), { once: true });
}

export const reportReady = (): void => postMessage('ready');
