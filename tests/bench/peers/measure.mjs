// Measures all runners on one network in one engine, in turns.
import { join } from 'node:path';

import { check } from './check.mjs';
import { labelOf } from './runners/list.mjs';

const minimum = (values) => Math.min(...values);

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

const rounded = (value, digits = 3) => Number(value.toFixed(digits));

/** What Seat.open() takes. */
function specOf({ runner, files }, network, folder, threads) {
  return {
    runner,
    threads,
    files: Object.fromEntries(Object.entries(files).map(([name, file]) => [name, join(folder, file)])),
    pictures: join(folder, 'pictures.rgb'),
    count: network.outputs.length,
    tested: network.outputs.length,
    shape: network.inputShape,
  };
}

/** Opens a seat and checks its answers. Returns undefined, after a word about it, where that can't be. */
async function openSeat(entry, { engine, network, folder, threads, log, failures }) {
  const label = `${network.name}, ${labelOf(entry)}, ${engine.name}, threads: ${threads}`;
  const seat = await engine.seat({ threads });
  try {
    const outputs = await seat.call('open', specOf(entry, network, folder, threads));
    const { failure, agreement } = check(entry, outputs, network.outputs, entry.integers);
    if (!failure) {
      const memory = await seat.call('memory');
      return { entry, seat, agreement, memory, times: [], processor: [] };
    }
    failures.push(`${label}: ${failure}`);
  } catch (error) {
    if (error.code === 'NOT_AVAILABLE') log(`left out: ${label}: ${error.message}`);
    else failures.push(`${label}: ${error.message}`);
  }
  await seat.close();
  return undefined;
}

async function takeTurn({ seat, times, processor }, count) {
  const before = await seat.processorTime();
  const measured = await seat.call('time', count);
  const after = await seat.processorTime();
  times.push(...measured.times);
  if (before !== undefined) processor.push((after - before) / measured.runs);
}

async function prepareTimes({ seat }) {
  const clock = [];
  const processor = [];
  await seat.call('keepBytes');
  for (let i = 0; i < 3; ++i) {
    const before = await seat.processorTime();
    clock.push(await seat.call('prepare'));
    if (before !== undefined) processor.push((await seat.processorTime()) - before);
  }
  return {
    prepare: rounded(minimum(clock), 1),
    prepareProcessor: processor.length > 0 ? rounded(minimum(processor), 1) : null,
  };
}

/**
 * entries: { runner, precision, recipe?, files, integers? }. Returns rows of results.json. All are open at the same time, and
 * take `turn` runs in turn, so that whatever else the machine does meets all of them.
 */
export async function measure(entries, context) {
  const { engine, network, threads, runs, folder, coldStarts, turn = 4 } = context;
  const open = [];
  for (const entry of entries) {
    const opened = await openSeat(entry, context);
    if (opened) open.push(opened);
  }
  try {
    for (const { seat } of open) await seat.call('warmUp');
    for (let done = 0; done < runs; done += turn) {
      for (const item of open) await takeTurn(item, Math.min(turn, runs - done));
    }
    for (const item of open) {
      item.memory = Math.max(item.memory, await item.seat.call('memory'));
      Object.assign(item, await prepareTimes(item));
    }
  } finally {
    for (const { seat } of open) await seat.close();
  }
  const rows = [];
  for (const { entry, times, processor, memory, prepare, prepareProcessor, agreement } of open) {
    const oneThread = threads === 1 && processor.length > 0;
    const { runner, precision, recipe = null } = entry;
    const cold =
      coldStarts > 0 && threads === 1 && engine.coldStarts
        ? await engine.coldStarts(specOf(entry, network, folder, threads), coldStarts)
        : undefined;
    rows.push({
      model: network.name,
      runner,
      precision,
      recipe,
      engine: engine.name,
      threads,
      min_ms: rounded(minimum(times)),
      median_ms: rounded(median(times)),
      cpu_ms: oneThread ? rounded(minimum(processor)) : null,
      wasm_bytes: memory || null,
      first_ms: cold ? rounded(minimum(cold), 1) : null,
      prepare_ms: prepare,
      prepare_cpu_ms: oneThread ? prepareProcessor : null,
      agreement: rounded(agreement, 4),
    });
  }
  return rows;
}
