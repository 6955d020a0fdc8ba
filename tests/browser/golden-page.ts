// What golden.test.ts runs inside the page. A file of its own, because the test runner rewrites imports in functions that
// are handed to the page.
import { loadModel, type TrefoilError } from 'trefoil';
import { quantize } from 'trefoil/quantize';
import { logitHash as hashLogits, type Golden } from '../golden/golden.js';

async function logitHash({ file, images }: Golden): Promise<string> {
  const model = await loadModel(`/tests/golden/${file}`);
  const hash = await hashLogits(model, images);
  model.dispose();
  return hash;
}

async function failureOf(url: string): Promise<string> {
  return loadModel(url).then(
    () => 'loaded',
    (error: TrefoilError) => `${error.code} ${error.message}`,
  );
}

async function quantizedDigest(): Promise<string> {
  const signs = '/models/signs';
  const preprocess = await (await fetch(`${signs}/preprocess.json`)).json();
  const labels = (await (await fetch(`${signs}/labels.txt`)).text()).trim().split('\n');
  const onnx = new Uint8Array(await (await fetch(`${signs}/signs.onnx`)).arrayBuffer());
  const calibration = Array.from(
    { length: 16 },
    (_, i) => `${signs}/calibration/${String(i).padStart(2, '0')}.png`,
  );
  const { model } = await quantize(onnx, { calibration, groupSize: 4, preprocess, labels });
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(model)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export const golden = { logitHash, failureOf, quantizedDigest };
Object.assign(window, { golden });
