// What a thread of a batch does: read, decode and classify a portion of the pictures, and write their records. It never
// throws for a picture.
import { readFileSync } from 'node:fs';
import { workerData } from 'node:worker_threads';

import { TrefoilError, messageOf } from '../../errors.js';
import type { Model } from '../../model-types.js';
import { loadModel } from '../../model.js';
import { fileError } from '../../platform/node/files.js';
import { decode, limitSharp } from '../../platform/node/images.js';
import type { Pixels } from '../../types.js';
import { formatOf, type Failure, type FormatName, type Outcome } from './records.js';
import { SmallPictures } from './small-pictures.js';

/** Shared by the threads of a batch. */
export interface BatchData {
  model: SharedArrayBuffer;
  /** The runtime, compiled: what V8 makes of it while it runs is then made once, and not by every thread. */
  wasm: WebAssembly.Module;
  /** A decoder for small pictures, compiled: see SmallPictures. */
  jpegDecoder: WebAssembly.Module;
  /** The model's name in the records. */
  id: string;
  topK: number;
  format: FormatName;
  /** Pictures of a thread that sharp has under decoding at once. */
  decodes: number;
}

/** What became of some files, in their order. */
export interface Portion {
  records: string;
  failures: Failure[];
  milliseconds: number;
}

// Piscina wraps what it is given.
const data = (Array.isArray(workerData) ? workerData[1] : workerData) as BatchData;
const format = formatOf(data.format, data.topK);
const smallPictures = new SmallPictures(data.jpegDecoder);
let model: Promise<Model> | undefined;

/** After these an instance of WebAssembly answers no more, or has grown for nothing. */
const fatal = ['INTERNAL', 'OUT_OF_MEMORY'];

function failed(error: unknown): { error: { code: string; message: string } } {
  const code = error instanceof TrefoilError ? error.code : 'INTERNAL';
  return { error: { code, message: messageOf(error) } };
}

/** At once: this thread has nothing else to do, and every turn of the event loop would cost as much as a small file. */
function bytesOf(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw fileError(path, error);
  }
}

async function decodeFile(path: string): Promise<Pixels | ReturnType<typeof failed>> {
  try {
    const bytes = bytesOf(path);
    return (await smallPictures.decode(bytes)) ?? ((await decode(bytes)).image as Pixels);
  } catch (error) {
    return failed(error);
  }
}

async function classifyPixels(pixels: Pixels): Promise<Outcome> {
  model ??= loadModel(new Uint8Array(data.model), { worker: false, wasm: { module: data.wasm } });
  const loaded = await model;
  try {
    return { predictions: await loaded.classify(pixels, { topK: data.topK }) };
  } catch (error) {
    const outcome = failed(error);
    if (fatal.includes(outcome.error.code)) {
      loaded.dispose();
      model = undefined;
    }
    return outcome;
  }
}

/** Decoded pictures wait for their turn up to this size: a portion may hold large ones. */
const heldBytes = 8 << 20;

export default async function classifyFiles(files: string[]): Promise<Portion> {
  const start = performance.now();
  await limitSharp();
  let records = '';
  const failures: Failure[] = [];
  let held: [string, Awaited<ReturnType<typeof decodeFile>>][] = [];
  let bytes = 0;
  const classifyHeld = async () => {
    for (const [file, picture] of held) {
      const outcome = 'error' in picture ? picture : await classifyPixels(picture);
      records += format.line({ file, model: data.id, ...outcome });
      if ('error' in outcome) failures.push({ file, ...outcome.error });
    }
    held = [];
    bytes = 0;
  };
  // Some are decoded, one or two at a time, then these are classified: taking turns, each would drive the other's code and tables
  // out of the core's caches, which small pictures feel most.
  const decoding: ReturnType<typeof decodeFile>[] = []; // of the files from the next one on
  let begun = 0;
  for (const file of files) {
    while (begun < files.length && decoding.length < data.decodes) decoding.push(decodeFile(files[begun++]!));
    const picture = await decoding.shift()!;
    held.push([file, picture]);
    if ('data' in picture) bytes += picture.data.length;
    if (bytes >= heldBytes) await classifyHeld();
  }
  await classifyHeld();
  return { records, failures, milliseconds: performance.now() - start };
}
