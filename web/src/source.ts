// Where a visitor's network comes from: the bundled one, a file, or an address. An .onnx is quantized, a .trefoil is
// run as it is.
import type { PreprocessOptions } from 'trefoil/quantize';

import { signs } from './bundled.js';
import { element, filesOf, formatBytes, show } from './ui.js';

export interface OnnxSource {
  kind: 'onnx';
  name: string;
  bytes: Uint8Array;
  calibration: (string | File)[];
  labels: string[] | undefined;
  preprocess: PreprocessOptions;
}

export interface TrefoilSource {
  kind: 'trefoil';
  name: string;
  bytes: Uint8Array;
}

const normalizations: Record<string, { mean: number[]; std: number[] }> = {
  imagenet: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  unit: { mean: [0, 0, 0], std: [1, 1, 1] },
  signed: { mean: [128 / 255, 128 / 255, 128 / 255], std: [128 / 255, 128 / 255, 128 / 255] },
  bytes: { mean: [0, 0, 0], std: [1 / 255, 1 / 255, 1 / 255] },
};

let ownModel: File | undefined;

/** A letterbox keeps all of a picture, so it has no use for a size to cut from. */
const isLetterbox = () => element<HTMLSelectElement>('fit').value === 'letterbox';

function showResize(): void {
  element<HTMLInputElement>('resize').disabled = isLetterbox();
}

/** What a visitor says of the training of their network. */
function statedPreprocess(): PreprocessOptions {
  const resize = Number(element<HTMLInputElement>('resize').value);
  return {
    ...(isLetterbox() ? { letterbox: true } : resize > 0 && { resize }),
    channelOrder: element<HTMLSelectElement>('channel-order').value as 'rgb' | 'bgr',
    ...normalizations[element<HTMLSelectElement>('normalization').value]!,
  };
}

const addressField = () => element<HTMLInputElement>('model-url');

export function usesBundled(): boolean {
  return document.querySelector<HTMLInputElement>('input[name=source]:checked')!.value === 'bundled';
}

/** By its name, which is known before its bytes are. */
function isTrefoil(): boolean {
  if (usesBundled()) return false;
  return /\.trefoil$/i.test(
    ownModel?.name ??
      addressField()
        .value.trim()
        .replace(/[?#].*$/, ''),
  );
}

/** Shows the fields that the choice needs, and no others. */
export function showSourceFields(): void {
  const trefoil = isTrefoil();
  show('own-options', !usesBundled());
  showResize();
  for (const field of document.querySelectorAll<HTMLElement>('.onnx-only')) field.hidden = trefoil;
  for (const id of ['quantize', 'quantize-heading']) element(id).textContent = trefoil ? 'Open' : 'Quantize';
}

export function takeFile(file: File): void {
  ownModel = file;
  element('own-name').textContent = file.name;
  element('own-note').textContent = formatBytes(file.size);
  document.querySelector<HTMLInputElement>('input[name=source][value=file]')!.checked = true;
}

export function takeAddress(): void {
  ownModel = undefined;
  element('own-name').textContent = 'Your own network';
}

async function fetchNetwork(address: string): Promise<Uint8Array> {
  const response = await fetch(address).catch(() => undefined);
  if (!response) {
    throw new Error(`${address} can't be fetched: the server must be there, and allow other pages (CORS).`);
  }
  if (!response.ok) throw new Error(`${address}: the server answered ${response.status}.`);
  return new Uint8Array(await response.arrayBuffer());
}

async function readBundled(): Promise<OnnxSource> {
  const response = await fetch(signs.onnxUrl);
  if (!response.ok) throw new Error(`the bundled model could not be fetched (HTTP ${response.status})`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  const { calibration, labels, preprocess } = signs;
  return { kind: 'onnx', name: 'signs', bytes, calibration, labels, preprocess };
}

export async function readSource(): Promise<OnnxSource | TrefoilSource> {
  if (usesBundled()) return readBundled();
  const address = addressField().value.trim();
  if (!ownModel && !address)
    throw new Error('Choose or drop an .onnx or .trefoil file, or give its address, first.');
  const read = async () => (ownModel ? new Uint8Array(await ownModel.arrayBuffer()) : fetchNetwork(address));
  const name = ownModel?.name.replace(/\.(onnx|trefoil)$/i, '') ?? 'model';
  if (isTrefoil()) return { kind: 'trefoil', name, bytes: await read() };
  const calibration = filesOf('calibration-files');
  if (calibration.length === 0) {
    throw new Error('Choose calibration images first: 32 or more pictures of the kind the network is for.');
  }
  const [labelsFile] = filesOf('labels-file');
  const labels = labelsFile && (await labelsFile.text()).trim().split(/\r?\n/);
  return { kind: 'onnx', name, bytes: await read(), calibration, labels, preprocess: statedPreprocess() };
}
