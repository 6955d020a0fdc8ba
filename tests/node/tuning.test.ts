// Kernels chosen by timing them: what is remembered, what of that is believed, and that no answer changes.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { loadModel, type LoadOptions, type TuneOptions, type TuningCache } from 'trefoil';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { errorOf, picturesOf, quantizedSigns, root } from './signs.js';

let folder: string;
let bytes: Uint8Array<ArrayBuffer>;
let expected: Int32Array;

/** A cache that holds one text, whatever the address. */
class OneText implements TuningCache {
  matches = 0;
  constructor(public text?: string) {}
  match(): Promise<{ text(): Promise<string> } | undefined> {
    ++this.matches;
    const { text } = this;
    return Promise.resolve(text === undefined ? undefined : { text: () => Promise.resolve(text) });
  }
  async put(_: string, response: Response): Promise<void> {
    this.text = await response.text();
  }
  get kernels(): Record<string, string> {
    return (JSON.parse(this.text!) as { kernels: Record<string, string> }).kernels;
  }
}

const image = picturesOf('stop')[0]!;

async function answerWith(
  options: LoadOptions,
): Promise<{ integers: Int32Array; variants: Record<string, string[]> }> {
  const model = await loadModel(bytes, options);
  const { integers } = await model.logits(image);
  model.dispose();
  return { integers, variants: model.info.variants };
}

/** All kinds of convolutions of the model, as they are after timing with all the time that it takes. */
async function tuned(): Promise<OneText> {
  const cache = new OneText();
  const model = await loadModel(bytes);
  await model.tune({ cache, budget: 1e6 });
  model.dispose();
  return cache;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trefoil-tuning-'));
  ({ model: bytes } = await quantizedSigns());
  ({ integers: expected } = await answerWith({}));
}, 120_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('model.tune()', () => {
  test('finds and remembers a kernel for each kind of convolution', async () => {
    const cache = new OneText();
    const model = await loadModel(bytes);
    const found = await model.tune({ cache, budget: 1e6 });
    expect(found.leftOut).toBe(0);
    expect(found.milliseconds).toBeGreaterThan(0);
    expect(Object.keys(found.kernels).length).toBeGreaterThan(2);
    expect(cache.kernels).toEqual(found.kernels);
    expect((await model.logits(image)).integers).toEqual(expected);
    model.dispose();
  });

  test('keeps what is known, and times only the rest', async () => {
    const cache = await tuned();
    const all = cache.kernels;
    const [first, ...rest] = Object.entries(all);
    cache.text = JSON.stringify({ kernels: { ...Object.fromEntries(rest), 'of another model': 'kernel' } });
    const model = await loadModel(bytes, { tune: { cache } });
    const found = await model.tune({ cache, budget: 1e6 });
    expect(Object.keys(found.kernels)).toEqual([first![0]]);
    expect(cache.kernels).toMatchObject({ ...Object.fromEntries(rest), 'of another model': 'kernel' });
    model.dispose();
  });

  test('two at a time wait for one another', async () => {
    const model = await loadModel(bytes);
    const [a, b] = await Promise.all([1, 2].map(() => model.tune({ cache: new OneText(), budget: 1e6 })));
    expect(a!.leftOut + b!.leftOut).toBe(0);
    expect(Object.keys(b!.kernels)).toEqual(Object.keys(a!.kernels));
    model.dispose();
  });

  test('a small budget leaves out what it does not reach', async () => {
    const cache = new OneText();
    const model = await loadModel(bytes);
    const { leftOut, kernels } = await model.tune({ cache, budget: 1 });
    expect(leftOut).toBeGreaterThan(0);
    expect(Object.keys(kernels).length + leftOut).toBe(Object.keys((await tuned()).kernels).length);
    model.dispose();
  });

  test('a model that is disposed of, or a signal, ends it', async () => {
    const model = await loadModel(bytes);
    const underWay = errorOf(model.tune({ cache: new OneText(), budget: 1e6 }));
    model.dispose();
    expect((await underWay).code).toBe('DISPOSED');
    const other = await loadModel(bytes);
    const signal = AbortSignal.timeout(20);
    expect((await errorOf(other.tune({ cache: new OneText(), budget: 1e6, signal }))).name).toBe(
      'TimeoutError',
    );
    expect((await other.logits(image)).integers).toEqual(expected);
    other.dispose();
  });
});

describe('the option tune', () => {
  test('takes remembered kernels; no answer changes; a forced kernel wins', async () => {
    const cache = await tuned();
    const usual = (await answerWith({})).variants['ternary_conv'];
    const kernels = cache.kernels;
    for (const kind of Object.keys(kernels)) kernels[kind] = 'dense_simd128';
    cache.text = JSON.stringify({ kernels });
    const { integers, variants } = await answerWith({ tune: { cache } });
    expect(variants['ternary_conv']).not.toEqual(usual);
    expect(variants['ternary_conv']).toContain('dense_simd128');
    expect(integers).toEqual(expected);

    const forced = await answerWith({ tune: { cache }, variants: { ternary_conv: 'scalar' } });
    expect(forced.variants['ternary_conv']).toEqual(['scalar']);
    expect(forced.integers).toEqual(expected);
  });

  test('passes over what is broken or foreign', async () => {
    const usual = await answerWith({});
    const kinds = Object.keys((await tuned()).kernels);
    const all = (name: unknown) =>
      JSON.stringify({ kernels: Object.fromEntries(kinds.map((kind) => [kind, name])) });
    const texts = [
      '',
      '{',
      'null',
      '[]',
      '{"kernels":[]}',
      '{"kernels":{"":""}}',
      all(7),
      all('no_such_kernel'),
    ];
    texts.push(all('x'.repeat(1e6)), all('scalar'), JSON.stringify({ kernels: { __proto__: null, x: 'y' } }));
    for (const text of texts) {
      const { integers, variants } = await answerWith({ tune: { cache: new OneText(text) } });
      expect(integers).toEqual(expected);
      expect(variants).toEqual(usual.variants);
    }
    const failing = {
      match: () => Promise.reject(new Error('no')),
      put: () => Promise.reject(new Error('no')),
    };
    const model = await loadModel(bytes, { tune: { cache: failing } });
    expect((await model.tune({ cache: failing })).milliseconds).toBeGreaterThan(0);
    expect((await model.logits(image)).integers).toEqual(expected);
    model.dispose();
  });

  test.each([false, true])('times kernels after the first answer, worker: %s', async (worker) => {
    const cache = new OneText();
    const model = await loadModel(bytes, { tune: { cache, budget: 1e6 }, worker });
    expect(cache.matches).toBe(1);
    await model.classify(image);
    expect(cache.text).toBeUndefined(); // not before the answer
    const wait = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
    while (cache.text === undefined) {
      await wait(50);
      expect((await model.logits(image)).integers).toEqual(expected);
    }
    expect(Object.keys(cache.kernels).length).toBeGreaterThan(2);
    model.dispose();
  });

  test('refuses what it does not know', async () => {
    const wrong: unknown[] = [7, 'yes', { budgets: 3 }, { budget: 0 }, { budget: '3' }, { cache: {} }];
    for (const tune of wrong) {
      expect((await errorOf(loadModel(bytes, { tune: tune as TuneOptions }))).code).toBe('BAD_OPTION');
    }
    const model = await loadModel(bytes);
    expect((await errorOf(model.tune({ budget: -1 }))).code).toBe('BAD_OPTION');
    model.dispose();
  });

  test("in Node a file in the user's folder for caches, and none unasked", async () => {
    const env = { ...process.env, XDG_CACHE_HOME: folder };
    const model = join(folder, 'signs.trefoil');
    await writeFile(model, bytes);
    const bench = async (...args: string[]) => {
      const command = [join(root, 'npm/dist/cli.js'), 'bench', model, '--runs', '1', ...args];
      return (await promisify(execFile)(process.execPath, command, { env })).stderr;
    };
    await bench();
    expect(await readdir(folder)).toEqual(['signs.trefoil']);
    expect(await bench('--tune', '100000')).toMatch(/^timed the kernels of [1-9]\d* kinds/);
    const files = await readdir(join(folder, 'trefoil'));
    expect(files.length).toBe(1);
    expect(await bench('--tune', '100000')).toContain('timed the kernels of 0 kinds');
    const file = join(folder, 'trefoil', files[0]!);
    expect(JSON.parse(await readFile(file, 'utf8'))).toHaveProperty('kernels');
    await writeFile(file, 'broken');
    expect(await bench('--tune', '100000')).toMatch(/^timed the kernels of [1-9]\d* kinds/);
  }, 120_000);
});
