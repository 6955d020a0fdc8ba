// Runs the float network in onnxruntime-web, on this one thread. The page starts this worker, and with it fetches the
// library, only when a visitor asks for the comparison.
import * as ort from 'onnxruntime-web/wasm';
import wasm from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';

export interface Opening {
  onnx: Uint8Array;
  /** Channels, height, width. */
  shape: [number, number, number];
  mean: readonly number[];
  std: readonly number[];
}

export type Task = { id: number } & ({ opening: Opening } | { planes: Uint8Array });
export type Reply = { id: number } & (
  | { version: string }
  /** All outputs, and how long normalizing and running took. */
  | { values: Float32Array; milliseconds: number }
  | { problem: string }
);

ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = { wasm };
ort.env.logLevel = 'error';

let network: { session: ort.InferenceSession; opening: Opening } | undefined;

/** Of a picture's bytes, channel by channel, as the network was trained. */
function normalized(planes: Uint8Array, { shape: [channels], mean, std }: Opening): Float32Array {
  const floats = new Float32Array(planes.length);
  const size = planes.length / channels;
  for (let channel = 0, i = 0; channel < channels; ++channel) {
    const scale = 1 / (255 * std[channel]!);
    const offset = -mean[channel]! / std[channel]!;
    for (const end = i + size; i < end; ++i) floats[i] = planes[i]! * scale + offset;
  }
  return floats;
}

async function answer(task: Task): Promise<Reply> {
  if ('opening' in task) {
    const { opening } = task;
    const session = await ort.InferenceSession.create(opening.onnx, { executionProviders: ['wasm'] });
    network = { session, opening };
    return { id: task.id, version: ort.env.versions.web ?? '' };
  }
  if (!network) throw new Error('the network was not opened');
  const { session, opening } = network;
  const start = performance.now();
  const input = new ort.Tensor('float32', normalized(task.planes, opening), [1, ...opening.shape]);
  const outputs = await session.run({ [session.inputNames[0]!]: input });
  const milliseconds = performance.now() - start;
  return { id: task.id, values: outputs[session.outputNames[0]!]!.data as Float32Array, milliseconds };
}

addEventListener('message', ({ data }: MessageEvent<Task>) => {
  void answer(data)
    .catch((error: unknown): Reply => ({
      id: data.id,
      problem: error instanceof Error ? error.message : String(error),
    }))
    .then((reply) => postMessage(reply));
});
