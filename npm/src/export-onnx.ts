import { startQuantizerWorker } from '#platform/quantizer-worker.js';

import { Reporter, abortable } from './abort.js';
import { checkNotHtml, readBytes } from './bytes.js';
import { openLink } from './open-link.js';
import { checkCallback, checkKeys, checkSignal } from './options.js';
import type { QuantizerHost } from './quantizer-host.js';
import type { ModelSource, TaskOptions } from './types.js';
import { compileWasm } from './wasm.js';

/**
 * Writes a `.trefoil` model as a standard ONNX graph (opset 21, QuantizeLinear and DequantizeLinear around float
 * operators), for other engines. Its input is the picture as the float network takes it, its output the logits.
 *
 * Errors: BAD_MODEL, MODEL_VERSION, UNSUPPORTED_OP (what ONNX can't say), NETWORK and others; the signal's reason.
 */
export async function exportOnnx(
  model: ModelSource,
  options: TaskOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  checkKeys(options, ['wasm', 'worker', 'signal', 'onProgress'], 'exportOnnx');
  const signal = checkSignal(options.signal);
  const reporter = new Reporter(checkCallback(options.onProgress, 'onProgress'), signal);
  reporter.report({ phase: 'load', fraction: 0 });
  const compiling = compileWasm(options.wasm, new URL('./trefoil-quantizer.wasm', import.meta.url));
  compiling.catch(() => undefined);
  const bytes = await readBytes(model, 'the model', { signal });
  checkNotHtml(bytes, model, 'BAD_MODEL');
  const wasm = await abortable(compiling, signal);
  reporter.report({ phase: 'export', fraction: 0.5 });
  const { link, value } = await openLink<QuantizerHost, Uint8Array<ArrayBuffer>>(
    {
      worker: options.worker,
      byDefault: false,
      start: startQuantizerWorker,
      local: async () => new (await import('./quantizer-host.js')).QuantizerHost(),
    },
    (opening) => opening.call((host) => host.exportOnnx(wasm, bytes), signal),
  );
  link.close();
  reporter.report({ phase: 'export', fraction: 1 });
  return value;
}
