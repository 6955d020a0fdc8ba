// docs/format.md against real files: a decoder and an interpreter that know the page alone find what the runtime finds.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { loadModel } from 'trefoil';
import { quantize } from 'trefoil/quantize';
import { expect, test } from 'vitest';

import { goldenPixels } from '../golden/golden.js';
import { decode } from './format/decoder.js';
import { run } from './format/interpreter.js';
import { operations, structs, tables, text } from './format/page.js';
import { networks } from './onnx-networks.js';
import { errorOf, root } from './signs.js';

async function expectSameIntegers(
  bytes: Uint8Array<ArrayBuffer>,
  seeds: number[],
  planes: 1 | 2 = 2,
): Promise<Record<string, unknown>> {
  const decoded = decode(bytes, planes);
  const model = await loadModel(bytes, { planes });
  const [, height, width] = model.info.inputShape;
  for (const seed of seeds) {
    const picture = await model.planes({ data: goldenPixels(width, height, seed), width, height });
    const { integers, logits } = await model.run(picture);
    const found = run(decoded, picture);
    expect([...found]).toEqual([...integers]);
    const { logit_scales: scales, logit_offsets: offsets } = decoded as Record<string, number[]>;
    const same = [...found].map((value, i) => Math.fround(value * scales![i]! + offsets![i]!));
    expect([...logits].every((value, i) => Math.abs(value - same[i]!) <= 1e-5 * Math.abs(value))).toBe(true);
  }
  model.dispose();
  return decoded;
}

test('the page has the tables of the schema, with all fields in their order', () => {
  const schema = readFileSync(join(root, 'src/format/trefoil.fbs'), 'utf8').replace(/\/\/.*/g, '');
  for (const [kind, ours] of [
    ['struct', structs],
    ['table', tables],
  ] as const) {
    const theirs = [...schema.matchAll(new RegExp(`${kind} (\\w+) \\{([^}]*)\\}`, 'g'))];
    expect(theirs.map(([, name]) => name).sort()).toEqual([...ours.keys()].sort());
    for (const [, name, body] of theirs) {
      const fields = [...body!.matchAll(/(\w+):\s*([[\]\w]+)(?: = (\d+))?;/g)].flatMap(
        ([, field, type, value]) => [
          // A union is two fields.
          ...(type === 'Op' ? [{ name: 'op_type', type: 'ubyte', byDefault: 0 }] : []),
          { name: field, type, byDefault: Number(value ?? 0) },
        ],
      );
      expect([name, ours.get(name!)]).toEqual([name, fields]);
    }
  }
  const union = /union Op \{([^}]*)\}/.exec(schema)![1]!;
  expect(operations).toEqual(union.split(',').map((name) => name.trim()));
});

test.each(['signs-n4-a8', 'signs-n64-a4', 'signs-two-sided-n8-a6'])('%s', async (name) => {
  const bytes = new Uint8Array(readFileSync(join(root, `tests/golden/${name}.trefoil`)));
  const { metadata } = (await expectSameIntegers(bytes, [1])) as {
    metadata: { labels: string[]; recipe: string };
  };
  expect(metadata.labels).toContain('stop');
  expect(JSON.parse(metadata.recipe)).toMatchObject({ groupSize: Number(/n(\d+)/.exec(name)![1]) });
});

test.each(Object.keys(networks))('%s', async (name) => {
  const pictures = [1, 2, 3, 4].map((seed) => ({ data: goldenPixels(12, 12, seed), width: 12, height: 12 }));
  const options = { calibration: pictures, preprocess: { mean: [0.4, 0.5, 0.6], std: [0.25, 0.2, 0.3] } };
  const { model } = await quantize(networks[name]!.onnx(), options);
  await expectSameIntegers(model, [1, 2, 3]);
});

test('how pictures are prepared: what is left out as in files from before it could be said', async () => {
  const { metadata: before } = decode(
    new Uint8Array(readFileSync(join(root, 'tests/golden/signs-n4-a8.trefoil'))),
    2,
  );
  expect(before).toMatchObject({ resize: 64, bgr: false });
  expect(before).not.toHaveProperty('letterbox');

  const picture = { data: goldenPixels(9, 12, 1), width: 9, height: 12 };
  const [network] = Object.values(networks);
  const { model } = await quantize(network!.onnx(), {
    calibration: [picture],
    preprocess: { letterbox: [1, 2, 3], channelOrder: 'bgr' },
  });
  const { metadata } = await expectSameIntegers(model, [1]);
  expect(metadata).toMatchObject({ resize: 0, letterbox: [1, 2, 3], bgr: true });
});

test('two planes: the whole file, and the first buffer by itself', async () => {
  const pictures = [1, 2, 3, 4].map((seed) => ({ data: goldenPixels(12, 12, seed), width: 12, height: 12 }));
  const [network] = Object.values(networks);
  const { model } = await quantize(network!.onnx(), { calibration: pictures, planes: 2, groupSize: 8 });
  await expectSameIntegers(model, [1, 2, 3], 2);
  await expectSameIntegers(model, [1, 2, 3], 1);
});

test('the first bytes, another version, lengths that are wrong: as the page says', async () => {
  const good = new Uint8Array(readFileSync(join(root, 'tests/golden/signs-n4-a8.trefoil')));
  const changed = (at: number, value: number) => {
    const bytes = good.slice();
    new DataView(bytes.buffer).setUint32(at, value, true);
    return bytes;
  };
  const codeOf = async (bytes: Uint8Array<ArrayBuffer>) =>
    ((await errorOf(loadModel(bytes))) as Error & { code?: string }).code;
  expect(await codeOf(changed(4, 0))).toBe('BAD_MODEL');
  expect(await codeOf(changed(8, good.length - 8))).toBe('BAD_MODEL');
  expect(await codeOf(changed(12, good.length + 8))).toBe('BAD_MODEL');
  expect(await codeOf(good.slice(0, -8))).toBe('BAD_MODEL');
  const table = new DataView(good.buffer).getUint32(0, true);
  const vtable = table - new DataView(good.buffer).getInt32(table, true);
  const version = table + new DataView(good.buffer).getUint16(vtable + 4, true);
  expect(new DataView(good.buffer).getUint32(version, true)).toBe(2);
  expect(await codeOf(changed(version, 3))).toBe('MODEL_VERSION');
  expect(text).toContain('Version 2.');
  const header = readFileSync(join(root, 'src/format/format.h'), 'utf8');
  expect(/kFormatVersion = (\d+)/.exec(header)![1]).toBe('2');
});
