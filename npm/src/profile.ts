// Timing a network: warm-up, and runs in portions that are short enough to be cancelled between them.
import { nextTask } from '#platform/next-task.js';

import type { RuntimeProfile } from './engine.js';
import type { Reply } from './errors.js';
import type { Calls } from './link.js';
import type { Profile } from './model-types.js';
import type { RuntimeHost } from './runtime-host.js';

type WithHost = <T>(
  signal: AbortSignal | undefined,
  use: (host: Calls<RuntimeHost>) => Promise<Reply<T>>,
) => Promise<T>;

/** The engine's optimizing compiler works beside the first runs. */
const warmUp = { runs: 3, milliseconds: 300 };
const portionMilliseconds = 200;
const loadRate = { milliseconds: 20, least: 5, most: 40 };

function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export async function profileModel(
  count: number,
  withLayers: boolean,
  signal: AbortSignal | undefined,
  withHost: WithHost,
): Promise<Profile> {
  const run = async (runs: number, layers: boolean): Promise<RuntimeProfile> => {
    const part = await withHost(signal, (host) => host.profile(runs, layers));
    // On the caller's own thread nothing else would have its turn, not even what is to end this.
    await nextTask();
    return part;
  };

  const warm: number[] = [];
  for (let spent = 0; warm.length < warmUp.runs || spent < warmUp.milliseconds;) {
    const start = performance.now();
    warm.push(...(await run(1, withLayers)).runs);
    spent += performance.now() - start;
  }

  const portion = Math.max(1, Math.floor(portionMilliseconds / Math.max(warm.at(-1)!, 0.1)));
  const runs: number[] = [];
  let layers: number[] = [];
  let rate = 0;
  let rated = 0;
  const rateOnce = async () => {
    const { milliseconds } = loadRate;
    rate = Math.max(rate, await withHost(signal, (host) => host.loadRate(milliseconds)));
    ++rated;
  };
  while (runs.length < count) {
    const part = await run(Math.min(portion, count - runs.length), withLayers);
    runs.push(...part.runs);
    layers = [...part.layers].map((time, i) => Math.min(time, layers[i] ?? Infinity));
    if (rated < loadRate.most) await rateOnce();
  }
  while (rated < loadRate.least) await rateOnce();
  const minimum = Math.min(...runs);
  const inside = layers.reduce((sum, time) => sum + time, 0);
  return {
    runs,
    minimum,
    median: medianOf(runs),
    layers,
    outside: withLayers ? Math.max(0, minimum - inside) : 0,
    loadRate: rate,
  };
}
