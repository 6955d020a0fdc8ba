import { evaluateInWorker } from '#platform/quantizer-worker.js';

import { Reporter } from './abort.js';
import { Classifier } from './classifier.js';
import type { Calls, Link } from './link.js';
import type { LayerValues, RunOptions } from './model-types.js';
import { checkLabelCount, checkLabels, openNetwork } from './network.js';
import { checkCallback, checkKeys, checkSignal } from './options.js';
import { checkPreprocess } from './preprocess-options.js';
import type { HostImage } from './pixels.js';
import type { FloatModel, FloatModelInfo, FloatOptions } from './quantize-types.js';
import type { QuantizerHost } from './quantizer-host.js';
import type { ImageInput, ModelSource } from './types.js';

class OnnxModel extends Classifier<QuantizerHost> implements FloatModel {
  readonly info: FloatModelInfo;

  constructor(link: Link<QuantizerHost>, info: FloatModelInfo) {
    super(link, info.labels);
    this.info = info;
  }

  async logits(image: ImageInput, options: RunOptions = {}): Promise<{ logits: Float32Array<ArrayBuffer> }> {
    checkKeys(options, ['signal'], 'logits');
    const { logits } = await this.withImage(image, options.signal, (host, ready, ticket) =>
      this.best(host, ready, 1, ticket),
    );
    return { logits };
  }

  async planes(image: ImageInput, options: RunOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    checkKeys(options, ['signal'], 'planes');
    return this.withImage(image, options.signal, (host, ready) => host.planes(ready, this.info.preprocess));
  }

  async layerValues(image: ImageInput, options: RunOptions = {}): Promise<LayerValues[]> {
    checkKeys(options, ['signal'], 'layerValues');
    return this.withImage(image, options.signal, (host, ready, ticket) =>
      host.layerValues(ready, this.info.preprocess, ticket),
    );
  }

  protected override best(host: Calls<QuantizerHost>, image: HostImage, topK: number, ticket: number) {
    return host.evaluate(image, this.info.preprocess, topK, ticket);
  }
}

/**
 * Loads an ONNX network to run in plain float: the reference that a quantized model is compared with.
 *
 * Errors: BAD_ONNX, UNSUPPORTED_OP (details.supported lists the operators that are), BAD_OPTION, NETWORK and others; the
 * signal's reason.
 */
export async function loadFloatModel(onnx: ModelSource, options: FloatOptions = {}): Promise<FloatModel> {
  checkKeys(options, ['preprocess', 'labels', 'wasm', 'worker', 'signal', 'onProgress'], 'loadFloatModel');
  const signal = checkSignal(options.signal);
  const labels = checkLabels(options.labels);
  const preprocess = checkPreprocess(options.preprocess, 'loadFloatModel');
  const reporter = new Reporter(checkCallback(options.onProgress, 'onProgress'), signal);
  reporter.report({ phase: 'load', fraction: 0 });
  const network = await openNetwork(
    onnx,
    preprocess,
    { ...options, byDefault: evaluateInWorker },
    (loaded, total) =>
      reporter.report({
        phase: 'load',
        fraction: total ? (0.9 * loaded) / total : 0,
        loaded,
        ...(total ? { total } : {}),
      }),
  );
  try {
    checkLabelCount(labels, network.graph.classes);
    reporter.report({ phase: 'prepare', fraction: 1 });
    return new OnnxModel(network.link, {
      name: network.graph.name,
      labels,
      classes: network.graph.classes,
      inputShape: network.graph.inputShape,
      preprocess: network.preprocess,
      layers: network.graph.layers,
      fileBytes: network.bytes.byteLength,
      worker: network.link.inWorker,
    });
  } catch (error) {
    network.link.close();
    throw error;
  }
}
