import type { Endpoint } from 'comlink';

/** The end of the line inside a worker. */
export const endpoint = globalThis as unknown as Endpoint;
