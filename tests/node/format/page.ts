// What docs/format.md says, as data and functions: the tables' fields, and the code blocks that unpack codes and scales.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { root } from '../signs.js';

export const text = readFileSync(join(root, 'docs/format.md'), 'utf8');

export interface Field {
  name: string;
  type: string;
  byDefault: number;
}

/** Rows of the Markdown table that starts with this heading: what they describe, and its fields. */
function fieldsUnder(heading: string): Map<string, Field[]> {
  const lines = text
    .slice(text.indexOf(`| ${heading} |`))
    .split('\n')
    .slice(2);
  const rows = new Map<string, Field[]>();
  for (const line of lines) {
    if (!line.startsWith('|')) break;
    const [, names, body] = line.split('|');
    const all = /, all int\s*$/.test(body!) ? 'int' : undefined;
    const fields = [...body!.matchAll(/`(\w+)`(?: (\[?\w+\]?))?(?: \(default (\d+)\))?/g)].map(
      ([, name, type, byDefault]): Field => ({
        name: name!,
        type: all ?? type!,
        byDefault: Number(byDefault ?? 0),
      }),
    );
    for (const [, name] of names!.matchAll(/`(\w+)`/g)) rows.set(name!, fields);
  }
  return rows;
}

export const structs = fieldsUnder('struct');
export const tables = fieldsUnder('table');
export const operations = /union `Op` is, from 1 on: ([\w, ]+)\./.exec(text)![1]!.split(', ');

const blocks = [...text.matchAll(/```js\n([\s\S]*?)```/g)].map(([, body]) => body!);
if (blocks.length !== 2) throw new Error('docs/format.md should have two blocks of code');

interface Scales {
  indexBits: number;
  values: Uint8Array;
  indices: Uint8Array;
}

export const { unpackCodes, unpackScales } = (await import(
  `data:text/javascript,${encodeURIComponent(blocks.join('\n'))}`
)) as {
  unpackCodes(bytes: Uint8Array, count: number): Int8Array;
  unpackScales(scales: Scales, filters: number, count: number): Uint8Array;
};
