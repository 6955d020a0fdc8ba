import { TrefoilError, messageOf } from '../../errors.js';
import { decode } from '../../platform/node/images.js';
import type { Pixels, Prediction } from '../../types.js';
import type { OutputFlags } from '../flags.js';
import { openModel, type ModelFlags } from '../models.js';
import { percentText, print, printJson } from '../terminal.js';

interface Classified {
  file: string;
  predictions: Prediction[];
  /** Of resizing and the network; decoding is not counted. */
  milliseconds: number;
}

type Failed = { file: string; error: { code: string; message: string } };

export interface ClassifyFlags extends ModelFlags, OutputFlags {
  topK: number;
}

/** Returns false where a picture could not be classified; the others are. */
export async function classify(
  path: string,
  images: string[],
  flags: ClassifyFlags,
  signal: AbortSignal,
): Promise<boolean> {
  const { model, kind } = await openModel(path, flags, signal);
  const results: (Classified | Failed)[] = [];
  try {
    for (const file of images) {
      const result = await classifyOne(file);
      results.push(result);
      if (!flags.json) printOne(result);
    }
  } finally {
    model.dispose();
  }
  if (flags.json) printJson({ model: path, kind, images: results });
  return !results.some((result) => 'error' in result);

  async function classifyOne(file: string): Promise<Classified | Failed> {
    signal.throwIfAborted();
    try {
      const decoded = (await decode(file, signal)).image as Pixels;
      const start = performance.now();
      const predictions = await model.classify(decoded, { topK: flags.topK, signal });
      return { file, predictions, milliseconds: performance.now() - start };
    } catch (error) {
      signal.throwIfAborted();
      // A missing library is missing for every picture.
      if (error instanceof TrefoilError && error.code === 'MISSING_PEER') throw error;
      return {
        file,
        error: { code: error instanceof TrefoilError ? error.code : 'INTERNAL', message: messageOf(error) },
      };
    }
  }
}

function printOne(result: Classified | Failed): void {
  if ('error' in result) {
    process.stderr.write(`error: ${result.error.message} (${result.error.code})\n`);
    return;
  }
  print(`${result.file}  (${result.milliseconds.toFixed(1)} ms)`);
  for (const { label, score } of result.predictions) print(`${percentText(score).padStart(8)}  ${label}`);
}
