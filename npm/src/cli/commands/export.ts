import { exportOnnx } from '../../export-onnx.js';
import type { OutputFlags } from '../flags.js';
import { checkNotInput, writeAtomically } from '../output-file.js';
import { bytesText, printResult } from '../terminal.js';

export interface ExportFlags extends OutputFlags {
  output: string;
}

export async function exportCommand(path: string, flags: ExportFlags, signal: AbortSignal): Promise<void> {
  checkNotInput(flags.output, [path]);
  const onnx = await exportOnnx(path, { signal });
  await writeAtomically(flags.output, onnx);
  const result = { model: path, output: flags.output, fileBytes: onnx.length };
  printResult(flags.json ?? false, result, () => `${flags.output}: ${bytesText(onnx.length)}`);
}
