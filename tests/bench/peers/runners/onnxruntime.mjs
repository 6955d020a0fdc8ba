// onnxruntime-web's WebAssembly back end.
import * as ort from 'onnxruntime-web';

export const input = 'floats';

export async function load({ bytes, shape, threads, asset }) {
  ort.env.wasm.numThreads = threads;
  if (asset) ort.env.wasm.wasmPaths = asset('onnxruntime-web/dist/');
  const session = await ort.InferenceSession.create(bytes['model'], { executionProviders: ['wasm'] });
  const [given] = session.inputNames;
  const [wanted] = session.outputNames;
  return {
    async run(floats) {
      const outputs = await session.run({ [given]: new ort.Tensor('float32', floats, [1, ...shape]) });
      return { logits: outputs[wanted].data };
    },
    close: () => session.release(),
  };
}
