import { setImmediate } from 'node:timers/promises';

/** Lets other tasks run: messages, timers. */
export const nextTask = (): Promise<void> => setImmediate();
