// MODEL of the command line: a .trefoil, or an .onnx that is run in float.
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';

import { loadModel } from '../model.js';
import type { Model } from '../model-types.js';
import { badOption } from '../options.js';
import { fileError } from '../platform/node/files.js';
import { loadFloatModel } from '../quantize.js';
import type { FloatModel } from '../quantize-types.js';
import { hasPreprocess, preprocessOf, type PreprocessFlags } from './flags.js';

export type AnyModel = { kind: 'trefoil'; model: Model } | { kind: 'onnx'; model: FloatModel };

export const isOnnx = (path: string) => extname(path).toLowerCase() === '.onnx';

/** One label a line; a last line may be empty. */
export async function readLabels(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw fileError(path, error);
  });
  const lines = text.replace(/^\ufeff/, '').split(/\r?\n/);
  while (lines.length > 0 && lines.at(-1)!.trim() === '') lines.pop();
  return lines.map((line) => line.trim());
}

export interface ModelFlags extends PreprocessFlags {
  /** A text file, for an .onnx. */
  classLabels?: string;
}

export async function openFloatModel(
  path: string,
  flags: ModelFlags,
  signal: AbortSignal,
): Promise<FloatModel> {
  const labels = flags.classLabels === undefined ? [] : await readLabels(flags.classLabels);
  return loadFloatModel(path, { preprocess: preprocessOf(flags), labels, worker: false, signal });
}

export async function openModel(path: string, flags: ModelFlags, signal: AbortSignal): Promise<AnyModel> {
  if (isOnnx(path)) return { kind: 'onnx', model: await openFloatModel(path, flags, signal) };
  if (hasPreprocess(flags)) {
    throw badOption(
      'preprocess',
      `${path} states its own preprocessing: --resize, --crop, --mean and the like are for an .onnx`,
    );
  }
  return { kind: 'trefoil', model: await loadModel(path, { worker: false, signal }) };
}
