// Opening an ONNX network in a host, for evaluating as for quantizing.
import { startQuantizerWorker } from '#platform/quantizer-worker.js';

import { abortable } from './abort.js';
import { checkNotHtml, readBytes } from './bytes.js';
import type { GraphInfo } from './engine.js';
import type { Link } from './link.js';
import { openLink } from './open-link.js';
import { badOption } from './options.js';
import { fitPreprocess } from './preprocess-options.js';
import type { QuantizerHost } from './quantizer-host.js';
import type { ModelSource, Preprocess, TaskOptions } from './types.js';
import { compileWasm } from './wasm.js';

/** An ONNX network that a host has open. */
export interface OpenNetwork {
  link: Link<QuantizerHost>;
  bytes: Uint8Array<ArrayBuffer>;
  graph: GraphInfo;
  preprocess: Preprocess;
}

/** Reads and opens a network. `preprocess` need not name the crop; what comes back does. */
export async function openNetwork(
  source: ModelSource,
  preprocess: Preprocess,
  options: TaskOptions & { byDefault: boolean },
  onBytes: (loaded: number, total: number | undefined) => void,
): Promise<OpenNetwork> {
  const { signal } = options;
  const compiling = compileWasm(options.wasm, new URL('./trefoil-quantizer.wasm', import.meta.url));
  compiling.catch(() => undefined);
  const bytes = await readBytes(source, 'the network', { signal, onBytes });
  checkNotHtml(bytes, source, 'BAD_ONNX');
  const wasm = await abortable(compiling, signal);
  const [height, width] = preprocess.crop;
  const { link, value: graph } = await openLink<QuantizerHost, GraphInfo>(
    {
      worker: options.worker,
      byDefault: options.byDefault,
      start: startQuantizerWorker,
      local: async () => new (await import('./quantizer-host.js')).QuantizerHost(),
    },
    (opening) => opening.call((host, ticket) => host.open(wasm, bytes, height, width, ticket), signal),
  );
  try {
    return { link, bytes, graph, preprocess: fitPreprocess(preprocess, graph.inputShape) };
  } catch (error) {
    link.close();
    throw error;
  }
}

/** Errors: BAD_OPTION. */
export function checkLabelCount(labels: readonly string[], classes: number): void {
  if (labels.length === 0 || labels.length === classes) return;
  throw badOption('labels', `${labels.length} labels were given for the ${classes} classes of the network`);
}

export function checkLabels(value: unknown): string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.some((label) => typeof label !== 'string')) {
    throw badOption('labels', 'labels must be an array of strings, one a class');
  }
  return [...(value as string[])];
}
