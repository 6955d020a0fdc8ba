// The demo page: choose a model, quantize it in a worker, compare float and ternary on images.
import { loadModel } from 'trefoil';
import { exportOnnx, loadFloatModel, quantize } from 'trefoil/quantize';

import { signs, type LabelledImage } from './bundled.js';
import { startCamera, stopCamera } from './camera.js';
import { workOffline } from './offline.js';
import { showReport } from './report.js';
import { compare, latency, type Contender } from './results.js';
import { recipe, startSettings } from './settings.js';
import { element, filesOf, formatBytes, onDrop, show, showError } from './ui.js';

interface Source {
  bytes: Uint8Array;
  calibration: (string | File)[];
  labels: string[] | undefined;
  preprocess: { resize?: number; crop?: number; mean: number[]; std: number[] };
}

const normalizations: Record<string, { mean: number[]; std: number[] }> = {
  imagenet: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  unit: { mean: [0, 0, 0], std: [1, 1, 1] },
  signed: { mean: [128 / 255, 128 / 255, 128 / 255], std: [128 / 255, 128 / 255, 128 / 255] },
  bytes: { mean: [0, 0, 0], std: [1 / 255, 1 / 255, 1 / 255] },
};

const phaseNames: Record<string, string> = {
  import: 'Reading the network',
  calibrate: 'Measuring activations',
  quantize: 'Finding ternary weights',
  correct: 'Matching means and deviations',
  write: 'Writing the file',
};

let ownModel: File | undefined;
let running: AbortController | undefined;
let float: Contender | undefined;
let ternary: Contender | undefined;
let downloadUrl: string | undefined;
let classifying: AbortController | undefined;
let shownUrls: string[] = [];

function usesBundled(): boolean {
  return (
    element<HTMLInputElement>('model-card').querySelector<HTMLInputElement>('input[name=source]:checked')!
      .value === 'bundled'
  );
}

async function fetchNetwork(address: string): Promise<Uint8Array> {
  const response = await fetch(address).catch(() => undefined);
  if (!response) {
    throw new Error(`${address} can't be fetched: the server must be there, and allow other pages (CORS).`);
  }
  if (!response.ok) throw new Error(`${address}: the server answered ${response.status}.`);
  return new Uint8Array(await response.arrayBuffer());
}

async function readSource(): Promise<Source> {
  if (usesBundled()) {
    const response = await fetch(signs.onnxUrl);
    if (!response.ok) throw new Error(`the bundled model could not be fetched (HTTP ${response.status})`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    return { bytes, calibration: signs.calibration, labels: signs.labels, preprocess: signs.preprocess };
  }
  const address = element<HTMLInputElement>('onnx-url').value.trim();
  if (!ownModel && !address) throw new Error('Choose or drop an .onnx file, or give its address, first.');
  const calibration = filesOf('calibration-files');
  if (calibration.length === 0) {
    throw new Error('Choose calibration images first: 32 or more pictures of the kind the network is for.');
  }
  const [labelsFile] = filesOf('labels-file');
  const labels = labelsFile && (await labelsFile.text()).trim().split(/\r?\n/);
  const resize = Number(element<HTMLInputElement>('resize').value);
  const values = normalizations[element<HTMLSelectElement>('normalization').value]!;
  return {
    bytes: ownModel ? new Uint8Array(await ownModel.arrayBuffer()) : await fetchNetwork(address),
    calibration,
    labels,
    preprocess: resize > 0 ? { resize, ...values } : { ...values },
  };
}

function forgetModels(): void {
  classifying?.abort();
  stopCamera();
  float?.model.dispose();
  ternary?.model.dispose();
  float = ternary = undefined;
  for (const id of [
    'report-card',
    'images-card',
    'download',
    'download-onnx',
    'outcome',
    'quantize-error',
    'classify-error',
  ]) {
    show(id, false);
  }
  element('results').replaceChildren();
}

/** The quantized network with QuantizeLinear and DequantizeLinear, as other engines read it. */
async function downloadOnnx(): Promise<void> {
  const link = element<HTMLAnchorElement>('download');
  show('quantize-error', false);
  try {
    const onnx = await exportOnnx(await (await fetch(link.href)).blob());
    const url = URL.createObjectURL(new Blob([onnx], { type: 'application/octet-stream' }));
    const once = document.createElement('a');
    once.href = url;
    once.download = link.download.replace(/\.trefoil$/, '.qdq.onnx');
    once.click();
    // The browser reads it some time after the click.
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  } catch (error) {
    showError('quantize-error', error);
  }
}

function offerDownload(bytes: Uint8Array): void {
  if (downloadUrl) URL.revokeObjectURL(downloadUrl);
  downloadUrl = URL.createObjectURL(new Blob([new Uint8Array(bytes)], { type: 'application/octet-stream' }));
  const link = element<HTMLAnchorElement>('download');
  link.href = downloadUrl;
  const name = usesBundled() ? 'signs' : (ownModel?.name.replace(/\.onnx$/i, '') ?? 'model');
  link.download = `${name}.trefoil`;
  show('download', true);
  show('download-onnx', true);
}

async function quantizeSource(signal: AbortSignal): Promise<void> {
  const source = await readSource();
  const labels = source.labels ? { labels: source.labels } : {};
  const started = performance.now();
  const { model: bytes, report } = await quantize(source.bytes, {
    calibration: source.calibration,
    ...recipe(),
    preprocess: source.preprocess,
    ...labels,
    signal,
    onProgress: ({ phase, fraction, layer }) => {
      element<HTMLProgressElement>('progress').value = fraction;
      element('phase').textContent = [phaseNames[phase] ?? phase, layer].filter(Boolean).join(': ');
    },
  });
  const seconds = (performance.now() - started) / 1000;
  ternary = { name: 'ternary', model: await loadModel(bytes, { signal }), bytes: bytes.byteLength };
  const floatModel = await loadFloatModel(source.bytes, { preprocess: source.preprocess, ...labels, signal });
  float = { name: 'float', model: floatModel, bytes: source.bytes.byteLength };
  element('phase').textContent = `Done in ${seconds.toFixed(1)} seconds.`;
  element<HTMLProgressElement>('progress').value = 1;
  showReport(report);
  offerDownload(bytes);
  show('images-card', true);
  show('classify', usesBundled());
}

async function runQuantize(): Promise<void> {
  forgetModels();
  running = new AbortController();
  const { signal } = running;
  const button = element<HTMLButtonElement>('quantize');
  button.disabled = true;
  show('cancel', true);
  show('progress-row', true);
  element('phase').textContent = 'Reading the network';
  element<HTMLProgressElement>('progress').value = 0;
  try {
    await quantizeSource(signal);
    if (usesBundled()) void runClassify(signs.test);
  } catch (error) {
    if (signal.aborted) {
      forgetModels();
      element('phase').textContent = 'Cancelled.';
      element<HTMLProgressElement>('progress').value = 0;
    } else {
      show('progress-row', false);
      showError('quantize-error', error);
    }
  } finally {
    button.disabled = false;
    show('cancel', false);
    running = undefined;
  }
}

async function runClassify(images: LabelledImage[]): Promise<void> {
  classifying?.abort();
  classifying = new AbortController();
  const { signal } = classifying;
  show('classify-error', false);
  stopCamera();
  try {
    if (!float || !ternary) throw new Error('Quantize a model first.');
    await compare(images, float, ternary, signal);
  } catch (error) {
    if (signal.aborted) return;
    show('outcome', false);
    showError('classify-error', error);
  }
}

function classifyFiles(files: File[]): void {
  if (files.length === 0) return;
  // The pictures stay on show until the next ones replace them.
  for (const url of shownUrls) URL.revokeObjectURL(url);
  shownUrls = files.map((file) => URL.createObjectURL(file));
  void runClassify(shownUrls.map((url) => ({ url })));
}

async function runCamera(): Promise<void> {
  classifying?.abort();
  show('classify-error', false);
  const model = ternary?.model;
  if (!model) return;
  try {
    await startCamera((video) => model.classify(video, { topK: 1 }));
  } catch (error) {
    stopCamera();
    showError('classify-error', error);
  }
}

function takeOnnx(file: File | undefined): void {
  if (!file) return;
  ownModel = file;
  element('onnx-name').textContent = file.name;
  element('onnx-note').textContent = formatBytes(file.size);
  document.querySelector<HTMLInputElement>('input[name=source][value=file]')!.checked = true;
  sourceChanged();
}

function sourceChanged(): void {
  show('own-options', !usesBundled());
  forgetModels();
}

element('bundled-note').textContent =
  `${signs.labels.length} classes, 64 × 64 pixels, bundled with this page`;
for (const radio of document.querySelectorAll('input[name=source]'))
  radio.addEventListener('change', sourceChanged);
element('onnx-file').addEventListener('change', () => takeOnnx(filesOf('onnx-file')[0]));
onDrop(element('onnx-drop'), (files) => takeOnnx(files[0]));
element('quantize').addEventListener('click', () => void runQuantize());
element('cancel').addEventListener('click', () => running?.abort());
element('classify').addEventListener('click', () => void runClassify(signs.test));
element('image-files').addEventListener('change', () => classifyFiles(filesOf('image-files')));
onDrop(element('image-drop'), classifyFiles);
element('onnx-url').addEventListener('input', () => {
  ownModel = undefined;
  element('onnx-name').textContent = 'Your own .onnx';
});
element('download-onnx').addEventListener('click', () => void downloadOnnx());
element('camera-start').addEventListener('click', () => void runCamera());
element('camera-stop').addEventListener('click', stopCamera);
document.addEventListener('paste', (event) => {
  const files = [...(event.clipboardData?.files ?? [])].filter(({ type }) => type.startsWith('image/'));
  if (ternary && files.length > 0) classifyFiles(files);
});
let resizing: ReturnType<typeof setTimeout> | undefined;
addEventListener('resize', () => {
  clearTimeout(resizing);
  resizing = setTimeout(() => latency.draw(true), 150);
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => latency.draw(true));
startSettings();
void workOffline();
