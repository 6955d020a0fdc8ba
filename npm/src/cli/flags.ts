// Options that several commands share, and how their text is read.
import { InvalidArgumentError, Option, type Command } from 'commander';

import type { ChannelOrder, PreprocessOptions } from '../types.js';

export function wholeNumber(low: number, high = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < low || value > high) {
      const range = high === Number.MAX_SAFE_INTEGER ? `${low} or more` : `from ${low} to ${high}`;
      throw new InvalidArgumentError(`It must be a whole number, ${range}.`);
    }
    return value;
  };
}

export function above0(text: string): number {
  const value = text.trim() === '' ? NaN : Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('It must be a number above 0.');
  return value;
}

const units: Record<string, number> = { '': 1, b: 1, kb: 1e3, mb: 1e6, kib: 1024, mib: 1024 ** 2 };

/** "3MB", "2.5 MiB", "800kB", "3000000". */
export function byteSize(text: string): number {
  const [, digits = '', unit = ''] = /^\s*([\d.]+)\s*([a-z]*)\s*$/i.exec(text) ?? [];
  const bytes = Math.floor(Number(digits || NaN) * (units[unit.toLowerCase()] ?? NaN));
  if (!(bytes > 0)) throw new InvalidArgumentError('It must be a size like 3MB, 800kB, 2.5MiB or 3000000.');
  return bytes;
}

/** "0.485" or a fraction, "123.7/255". */
function realNumber(text: string): number {
  const parts = text.split('/').map((part) => (part.trim() === '' ? NaN : Number(part)));
  const value = parts.length === 2 ? parts[0]! / parts[1]! : parts.length === 1 ? parts[0]! : NaN;
  if (!Number.isFinite(value)) {
    throw new InvalidArgumentError('It must be one number or three (R,G,B), each like 0.485 or 124/255.');
  }
  return value;
}

function channels(text: string): number[] {
  const values = text.split(',').map(realNumber);
  if (values.length !== 1 && values.length !== 3) {
    throw new InvalidArgumentError('It must be one number or three (R,G,B), each like 0.485 or 124/255.');
  }
  return values;
}

/** "114" or "124,116,104". */
function colour(text: string): [number, number, number] {
  const values = text.split(',').map(wholeNumber(0, 255));
  if (values.length !== 1 && values.length !== 3) {
    throw new InvalidArgumentError('It must be one whole number or three, each from 0 to 255.');
  }
  const [first, second = first, third = first] = values as [number, ...number[]];
  return [first, second, third];
}

function cropSize(text: string): [number, number] {
  const sides = text.split(/[x,]/).map(wholeNumber(1, 1 << 20));
  if (sides.length > 2) throw new InvalidArgumentError('It must be N, or HEIGHTxWIDTH.');
  return [sides[0]!, sides[1] ?? sides[0]!];
}

export interface PreprocessFlags {
  resize?: number;
  crop?: [number, number];
  letterbox?: boolean;
  bars?: [number, number, number];
  channelOrder?: ChannelOrder;
  mean?: number[];
  std?: number[];
}

/** How pictures are prepared for an .onnx, which does not say so itself. A .trefoil does. */
export function addPreprocessFlags(command: Command): Command {
  return command
    .option(
      '--resize <n>',
      'bring the shorter side to N pixels first (default: straight to the crop)',
      wholeNumber(0),
    )
    .option('--crop <n>', "cut out the centre, N or HEIGHTxWIDTH (default: the network's input)", cropSize)
    .option('--letterbox', 'fit the whole picture in, with bars around it, in place of --resize and a crop')
    .addOption(
      new Option('--bars <r,g,b>', 'colour of the bars, 0 to 255 (default: 114)')
        .argParser(colour)
        .implies({ letterbox: true }),
    )
    .addOption(
      new Option('--channel-order <order>', "of the network's input (default: rgb)").choices(['rgb', 'bgr']),
    )
    .option('--mean <r,g,b>', 'subtracted from a pixel, where white is 1 (default: 0)', channels)
    .option(
      '--std <r,g,b>',
      'then divided by; 1/255 for a network that takes 0 to 255 (default: 1)',
      channels,
    );
}

export function preprocessOf(flags: PreprocessFlags): PreprocessOptions {
  const { resize, crop, letterbox, bars, channelOrder, mean, std } = flags;
  return {
    ...(resize !== undefined && { resize }),
    ...(crop !== undefined && { crop }),
    ...(letterbox && { letterbox: bars ?? true }),
    ...(channelOrder !== undefined && { channelOrder }),
    ...(mean !== undefined && { mean }),
    ...(std !== undefined && { std }),
  };
}

export function hasPreprocess(flags: PreprocessFlags): boolean {
  return Object.keys(preprocessOf(flags)).length > 0;
}

export interface OutputFlags {
  json?: boolean;
  quiet?: boolean;
}

export function addOutputFlags(command: Command): Command {
  return command
    .addOption(new Option('--json', 'print one JSON document on stdout, and nothing else there'))
    .addOption(new Option('--quiet', 'print no progress'));
}
