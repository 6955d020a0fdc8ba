// What goes wrong is said in words, with a code that programs can rely on.
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { loadModel, TrefoilError, type LoadOptions } from 'trefoil';
import { loadFloatModel, quantize, type QuantizeOptions } from 'trefoil/quantize';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { calibration, errorOf, labels, onnx, picturesOf, preprocess, quantizedSigns, root } from './signs.js';

const page = '<!DOCTYPE html>\n<html><head><title>Not found</title></head></html>';
const runtimeWasm = readFileSync(join(root, 'npm/dist/trefoil-runtime.wasm'));
let bytes: Uint8Array<ArrayBuffer>;
let server: Server;
let origin: string;

beforeAll(async () => {
  ({ model: bytes } = await quantizedSigns());
  server = createServer((request, response) => {
    if (request.url === '/signs.trefoil') response.end(bytes);
    else if (request.url === '/runtime.wasm') response.end(runtimeWasm);
    else if (request.url === '/broken') {
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, 1000), () => response.destroy());
    } else response.writeHead(request.url === '/spa' ? 200 : 404, { 'content-type': 'text/html' }).end(page);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}, 120_000);

afterAll(() => server.close());

describe('files of models', () => {
  test('every way in which bytes can be wrong is BAD_MODEL', async () => {
    const wrong = [
      new Uint8Array(0),
      new Uint8Array(4096),
      new Uint8Array(4096).fill(255),
      onnx,
      ...[1, 100, 1000, bytes.length >> 1, bytes.length - 1].map((length) => bytes.slice(0, length)),
    ];
    for (const given of wrong) {
      const error = await errorOf(loadModel(given));
      expect(error).toBeInstanceOf(TrefoilError);
      expect(['BAD_MODEL', 'MODEL_VERSION']).toContain(error.code);
      expect(error.message.length).toBeGreaterThan(10);
    }
  });

  test('a changed byte is an error or a model that runs', async () => {
    const image = { data: new Uint8Array(64 * 64 * 3), width: 64, height: 64 };
    for (let i = 0; i < 60; ++i) {
      const changed = bytes.slice();
      changed[(i * 7919 * 37) % bytes.length]! ^= 1 + (i % 255);
      try {
        const model = await loadModel(changed);
        await model.classify(image);
        model.dispose();
      } catch (error) {
        expect(['BAD_MODEL', 'MODEL_VERSION', 'OVERFLOW']).toContain((error as TrefoilError).code);
      }
    }
  });

  test('files and addresses that do not exist', async () => {
    expect(await errorOf(loadModel('no/such/file.trefoil'))).toMatchObject({
      code: 'FILE_NOT_FOUND',
      details: { path: 'no/such/file.trefoil' },
    });
    expect((await errorOf(loadModel(root))).code).toBe('FILE_NOT_FOUND');
    expect(await errorOf(loadModel(`${origin}/missing`))).toMatchObject({
      code: 'NETWORK',
      details: { status: 404 },
    });
    expect((await errorOf(loadModel(new Response('', { status: 500 })))).code).toBe('NETWORK');
    expect((await errorOf(loadModel('http://127.0.0.1:1/x'))).code).toBe('NETWORK');
    expect((await errorOf(loadModel(`${origin}/broken`))).code).toBe('NETWORK');
  });

  test('an HTML page is called one', async () => {
    const error = await errorOf(loadModel(`${origin}/spa`));
    expect(error.code).toBe('BAD_MODEL');
    expect(error.message).toContain('HTML');
    expect((await errorOf(loadFloatModel(`${origin}/spa`))).code).toBe('BAD_ONNX');
    (await loadModel(`${origin}/signs.trefoil`)).dispose();
  });

  test('a body that was read already', async () => {
    const response = new Response(bytes);
    await response.arrayBuffer();
    expect((await errorOf(loadModel(response))).code).toBe('BAD_OPTION');
  });
});

describe('the .wasm', () => {
  test('can be given by url, module and bytes', async () => {
    for (const wasm of [
      { url: `${origin}/runtime.wasm` },
      { url: join(root, 'npm/dist/trefoil-runtime.wasm') },
      { module: await WebAssembly.compile(runtimeWasm) },
      { bytes: runtimeWasm },
    ]) {
      (await loadModel(bytes, { wasm })).dispose();
    }
  });

  test('is refused where it is something else', async () => {
    const code = async (wasm: LoadOptions['wasm']) => (await errorOf(loadModel(bytes, { wasm }))).code;
    expect((await errorOf(loadModel(bytes, { wasm: { url: `${origin}/spa` } }))).message).toContain(
      'got HTML from',
    );
    expect(await code({ url: `${origin}/spa` })).toBe('NOT_WASM');
    expect(await code({ bytes: new TextEncoder().encode(page) })).toBe('NOT_WASM');
    expect(await code({ bytes: runtimeWasm.subarray(0, 5000) })).toBe('NOT_WASM');
    expect(await code({ bytes: new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]) })).toBe('NOT_WASM');
    expect(await code({ bytes: readFileSync(join(root, 'npm/dist/trefoil-quantizer.wasm')) })).toBe(
      'NOT_WASM',
    );
    expect(await code({ url: 'no/such.wasm' })).toBe('FILE_NOT_FOUND');
    expect(await code({})).toBe('BAD_OPTION');
    expect(await code({ bytes: runtimeWasm, url: 'x' })).toBe('BAD_OPTION');
    // A failure is not remembered.
    (await loadModel(bytes)).dispose();
  });
});

describe('options', () => {
  const load = (options: object) => errorOf(loadModel(bytes, options));
  const make = (options: object) =>
    errorOf(quantize(onnx, { calibration: calibration(1), preprocess, ...options } as QuantizeOptions));

  test('an unknown one is named, with the one that was meant', async () => {
    expect(await load({ wrker: true })).toMatchObject({
      code: 'BAD_OPTION',
      details: { suggestion: 'worker' },
    });
    expect((await load({ worcker: true })).message).toContain("did you mean 'worker'?");
    expect((await make({ grupSize: 4 })).message).toContain("did you mean 'groupSize'?");
    expect((await make({ method: 'fqg' })).message).toContain("did you mean 'fgq'?");
    expect((await make({ preprocess: { men: 0 } })).message).toContain("did you mean 'mean'?");
    expect((await make({ layers: { x: { weight: 'int8' } } })).message).toContain("did you mean 'weights'?");
    const model = await loadModel(bytes);
    expect((await errorOf(model.classify(picturesOf('stop')[0]!, { topk: 5 } as object))).code).toBe(
      'BAD_OPTION',
    );
    model.dispose();
  });

  test.each([
    [{ groupSize: 0 }],
    [{ groupSize: 2.5 }],
    [{ groupSize: 'rows' }],
    [{ activationBits: 3 }],
    [{ activationBits: 9 }],
    [{ residualBits: '8' }],
    [{ planes: 3 }],
    [{ scaleLevels: 3 }],
    [{ levelKind: 'powers' }],
    [{ planes: 2, method: 'fgq-two-sided' }],
    [{ clip: 'none' }],
    [{ percentile: 20 }],
    [{ affineCorrection: 1 }],
    [{ labels: ['one'] }],
    [{ labels: 'stop' }],
    [{ layers: [] }],
    [{ layers: { 'no such layer': { groupSize: 4 } } }],
    [{ preprocess: { std: 0 } }],
    [{ preprocess: { mean: [0, 0] } }],
    [{ preprocess: { crop: 63 } }],
    [{ preprocess: { resize: 10 } }],
    [{ calibration: [] }],
    [{ calibration: 'folder' }],
    [{ onProgress: 1 }],
    [{ signal: {} }],
    [{ worker: 'yes' }],
  ])('quantize(%j) is BAD_OPTION', async (options) => {
    const error = await make(options);
    expect(error.code).toBe('BAD_OPTION');
    expect(error.message.length).toBeGreaterThan(10);
  });

  test.each([
    [{ variants: { ternary_conv: 'no_such_kernel' } }, 'UNKNOWN_VARIANT'],
    [{ variants: { no_such_operation: 'scalar' } }, 'UNKNOWN_VARIANT'],
    [{ variants: 'scalar' }, 'BAD_OPTION'],
    [{ variants: { ternary_conv: 1 } }, 'BAD_OPTION'],
  ])('loadModel(%j) is %s', async (options, code) => {
    expect((await load(options)).code).toBe(code);
  });

  test('a source of no kind', async () => {
    for (const source of [undefined, null, 7, {}, []]) {
      expect((await errorOf(loadModel(source as never))).code).toBe('BAD_OPTION');
    }
  });
});

test('more than WebAssembly can hold is OUT_OF_MEMORY, and the model lives on', async () => {
  const model = await loadModel(bytes);
  // Never touched, so that no machine needs as much.
  const huge = { data: new Uint8Array(2.5e9), width: 50_000, height: 50_000, channels: 1 as const };
  expect((await errorOf(model.classify(huge))).code).toBe('OUT_OF_MEMORY');
  expect((await model.classify(picturesOf('stop')[1]!))[0]!.label).toBe('stop');
  model.dispose();
});

describe('networks', () => {
  test('bytes that are no ONNX', async () => {
    for (const given of [new Uint8Array(0), new Uint8Array(100).fill(8), onnx.slice(0, 1000), bytes]) {
      const error = await errorOf(loadFloatModel(given));
      expect(error).toBeInstanceOf(TrefoilError);
      expect(['BAD_ONNX', 'BAD_SHAPE', 'MISSING_INITIALIZER', 'UNSUPPORTED_OPSET']).toContain(error.code);
    }
  });

  test('an operator that is not supported: where it is, what else is not, and what is', async () => {
    // The same file with its first operator renamed to one of equal length.
    const renamed = onnx.slice();
    const at = Buffer.from(renamed).indexOf('\x22\x04Relu', 0, 'latin1');
    expect(at).toBeGreaterThan(0);
    renamed.set(Buffer.from('Erfc'), at + 2);
    const error = await errorOf(loadFloatModel(renamed));
    expect(error.code).toBe('UNSUPPORTED_OP');
    expect(error.message).toContain('Erfc');
    const { op, node, opset, unknown, supported } = error.details as Record<string, unknown>;
    expect([op, unknown]).toEqual(['Erfc', ['Erfc']]);
    expect(error.message).toContain(`node '${node as string}' (opset ${opset as number})`);
    expect(supported).toContain('Conv');
  });

  test('labels must be one a class', async () => {
    expect((await errorOf(loadFloatModel(onnx, { labels: labels.slice(1) }))).code).toBe('BAD_OPTION');
  });
});

test("the library's codes are those that are documented", () => {
  const text = (path: string) => readFileSync(join(root, path), 'utf8');
  const codes = [...text('src/base/result.cpp').matchAll(/return "([A-Z_]+)"/g)].map(([, code]) => code!);
  expect(codes.length).toBeGreaterThan(10);
  const declared = new Set(
    [...text('npm/src/errors.ts').matchAll(/\| '([A-Z_]+)'/g)].map(([, code]) => code!),
  );
  const readme = text('npm/README.md');
  const guide = text('docs/troubleshooting.md');
  for (const code of codes) expect([code, declared.has(code)]).toEqual([code, true]);
  for (const code of declared) {
    expect([code, readme.includes(`\`${code}\``)]).toEqual([code, true]);
    expect([code, guide.includes(`\`${code}\``)]).toEqual([code, true]);
  }
});
