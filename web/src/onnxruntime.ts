// The comparison with onnxruntime-web: the same float network on the same pictures, in a worker of its own.
import type { Model } from 'trefoil';

import type { Contender } from './contenders.js';
import type { Opening, Reply, Task } from './onnxruntime-worker.js';

type Message = Task extends infer One ? (One extends { id: number } ? Omit<One, 'id'> : never) : never;

/** A worker that answers each message with one of the same number. */
class Calls {
  readonly #worker = new Worker(new URL('./onnxruntime-worker.ts', import.meta.url), { type: 'module' });
  readonly #waiting = new Map<number, { resolve(reply: Reply): void; reject(error: Error): void }>();
  #count = 0;

  constructor() {
    this.#worker.addEventListener('message', ({ data }: MessageEvent<Reply>) => {
      const call = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if ('problem' in data) call?.reject(new Error(`onnxruntime-web: ${data.problem}`));
      else call?.resolve(data);
    });
    // Its files did not come: a worker that runs reports problems itself.
    this.#worker.addEventListener('error', (event) => {
      event.preventDefault();
      const message =
        'onnxruntime-web could not be loaded. It is fetched from this site when it is asked for, so that needs a network the first time.';
      this.close(new Error(message));
    });
  }

  send<Wanted extends Reply>(message: Message, transfer: Transferable[] = []): Promise<Wanted> {
    const id = ++this.#count;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (reply: Reply) => void, reject });
      this.#worker.postMessage({ ...message, id } as Task, transfer);
    });
  }

  close(reason: Error = new Error('The comparison has ended.')): void {
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }
}

/** Some networks end with softmax, most with the values before it. */
function probabilityOf(values: Float32Array, index: number): number {
  const sum = values.reduce((total, value) => total + value, 0);
  if (Math.abs(sum - 1) < 1e-3 && values.every((value) => value >= 0)) return values[index]!;
  const best = values[index]!;
  return 1 / values.reduce((total, value) => total + Math.exp(value - best), 0);
}

/** `ternary` prepares the pictures, so that both networks see the same bytes, and knows sizes and labels. */
export async function startOnnxruntime(onnx: Uint8Array, ternary: Model): Promise<Contender> {
  const { inputShape, preprocess, labels, classes } = ternary.info;
  const opening: Opening = { onnx, shape: inputShape, mean: preprocess.mean, std: preprocess.std };
  const calls = new Calls();
  let version: string;
  try {
    ({ version } = await calls.send<Reply & { version: string }>({ opening }));
  } catch (error) {
    calls.close();
    throw error;
  }
  return {
    id: 'onnxruntime',
    name: `onnxruntime-web ${version}`.trim(),
    bytes: onnx.byteLength,
    async ask(image) {
      const start = performance.now();
      const planes = await ternary.planes(image);
      const prepared = performance.now() - start;
      const reply = await calls.send<Reply & { values: Float32Array; milliseconds: number }>({ planes }, [
        planes.buffer,
      ]);
      const { values } = reply;
      if (values.length !== classes) {
        throw new Error(
          `onnxruntime-web: the first output has ${values.length} values, not one for each of ${classes} classes`,
        );
      }
      const index = values.indexOf(values.reduce((most, value) => Math.max(most, value), -Infinity));
      return {
        index,
        label: labels[index] ?? String(index),
        score: probabilityOf(values, index),
        milliseconds: prepared + reply.milliseconds,
      };
    },
    dispose: () => calls.close(),
  };
}
