// What a thread of a batch does: decode one picture, classify it, answer. It never throws for a picture.
import { workerData } from 'node:worker_threads';

import { TrefoilError, messageOf } from '../../errors.js';
import type { Model } from '../../model-types.js';
import { loadModel } from '../../model.js';
import { limitSharp } from '../../platform/node/images.js';
import type { Outcome } from './records.js';

/** Shared by the threads of a batch. */
export interface BatchData {
  model: SharedArrayBuffer;
  topK: number;
}

// Piscina wraps what it is given.
const { model: bytes, topK } = (Array.isArray(workerData) ? workerData[1] : workerData) as BatchData;
let model: Promise<Model> | undefined;

/** After these an instance of WebAssembly answers no more, or has grown for nothing. */
const fatal = ['INTERNAL', 'OUT_OF_MEMORY'];

export default async function classifyFile(path: string): Promise<Outcome> {
  await limitSharp();
  model ??= loadModel(new Uint8Array(bytes), { worker: false });
  const loaded = await model;
  try {
    return { predictions: await loaded.classify(path, { topK }) };
  } catch (error) {
    const code = error instanceof TrefoilError ? error.code : 'INTERNAL';
    if (fatal.includes(code)) {
      loaded.dispose();
      model = undefined;
    }
    return { error: { code, message: messageOf(error) } };
  }
}
