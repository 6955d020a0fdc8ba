// The bundled traffic-sign network, as the tests use it.
import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { quantize, type Quantized, type QuantizeOptions } from 'trefoil/quantize';

export const root = resolve(import.meta.dirname, '../..');
export const signs = join(root, 'models/signs');
export const onnxPath = join(signs, 'signs.onnx');
export const onnx = new Uint8Array(readFileSync(onnxPath));
export const labels = readFileSync(join(signs, 'labels.txt'), 'utf8').trim().split('\n');
export const preprocess = JSON.parse(readFileSync(join(signs, 'preprocess.json'), 'utf8'));

/** Test pictures of a class, sorted. */
export function picturesOf(label: string): string[] {
  const folder = join(signs, 'test', label);
  return readdirSync(folder)
    .sort()
    .map((file) => join(folder, file));
}

export function calibration(count: number): string[] {
  const folder = join(signs, 'calibration');
  return readdirSync(folder)
    .sort()
    .slice(0, count)
    .map((file) => join(folder, file));
}

/** A ternary model, made fast: few pictures are enough for what the tests ask. */
export function quantizedSigns(options: Partial<QuantizeOptions> = {}): Promise<Quantized> {
  return quantize(onnx, {
    calibration: calibration(8),
    labels,
    preprocess,
    method: 'fgq',
    groupSize: 4,
    ...options,
  });
}

/** The error that a promise ends with. */
export async function errorOf(
  promise: Promise<unknown>,
): Promise<Error & { code?: string; details?: unknown }> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('no error came');
}
