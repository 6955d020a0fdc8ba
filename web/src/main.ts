// The demo page: choose a model, quantize it in a worker, compare float and ternary on images.
import { loadModel } from 'trefoil';
import { loadFloatModel, quantize } from 'trefoil/quantize';

import { signs, type LabelledImage } from './bundled.js';
import { compare, type Contender } from './results.js';
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

function usesBundled(): boolean {
  return (
    element<HTMLInputElement>('model-card').querySelector<HTMLInputElement>('input[name=source]:checked')!
      .value === 'bundled'
  );
}

async function readSource(): Promise<Source> {
  if (usesBundled()) {
    const response = await fetch(signs.onnxUrl);
    if (!response.ok) throw new Error(`the bundled model could not be fetched (HTTP ${response.status})`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    return { bytes, calibration: signs.calibration, labels: signs.labels, preprocess: signs.preprocess };
  }
  if (!ownModel) throw new Error('Choose or drop an .onnx file first.');
  const calibration = filesOf('calibration-files');
  if (calibration.length === 0) {
    throw new Error('Choose calibration images first: 32 or more pictures of the kind the network is for.');
  }
  const [labelsFile] = filesOf('labels-file');
  const labels = labelsFile && (await labelsFile.text()).trim().split(/\r?\n/);
  const resize = Number(element<HTMLInputElement>('resize').value);
  const values = normalizations[element<HTMLSelectElement>('normalization').value]!;
  return {
    bytes: new Uint8Array(await ownModel.arrayBuffer()),
    calibration,
    labels,
    preprocess: resize > 0 ? { resize, ...values } : { ...values },
  };
}

function showSummary(sourceBytes: number, fileBytes: number, total: Record<string, number>): void {
  const facts: [string, string][] = [
    ['Float file', formatBytes(sourceBytes)],
    ['Ternary file', formatBytes(fileBytes)],
    ['Smaller by', `${(sourceBytes / fileBytes).toFixed(1)}×`],
    ['Bits a weight', total.bitsPerWeight!.toFixed(2)],
    ['Weights that are 0', `${(100 * total.zeroShare!).toFixed(0)}%`],
    ['Multiplications removed', `${(100 * total.multiplicationsRemoved!).toFixed(1)}%`],
  ];
  element('summary').replaceChildren(
    ...facts.map(([term, value]) => {
      const group = document.createElement('div');
      const dt = document.createElement('dt');
      const dd = document.createElement('dd');
      dt.textContent = term;
      dd.textContent = value;
      group.append(dt, dd);
      return group;
    }),
  );
  show('summary', true);
}

function forgetModels(): void {
  float?.model.dispose();
  ternary?.model.dispose();
  float = ternary = undefined;
  for (const id of ['summary', 'download', 'totals', 'agreement', 'quantize-error', 'classify-error'])
    show(id, false);
  element('results').replaceChildren();
  element<HTMLButtonElement>('classify').disabled = true;
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
    const source = await readSource();
    const started = performance.now();
    const { model: bytes, report } = await quantize(source.bytes, {
      calibration: source.calibration,
      groupSize: Number(element<HTMLSelectElement>('group-size').value),
      activationBits: Number(element<HTMLSelectElement>('activation-bits').value),
      method: 'fgq',
      preprocess: source.preprocess,
      ...(source.labels ? { labels: source.labels } : {}),
      signal,
      onProgress: ({ phase, fraction, layer }) => {
        element<HTMLProgressElement>('progress').value = fraction;
        element('phase').textContent = [phaseNames[phase] ?? phase, layer].filter(Boolean).join(': ');
      },
    });
    const seconds = (performance.now() - started) / 1000;
    element('phase').textContent = `Done in ${seconds.toFixed(1)} seconds.`;
    element<HTMLProgressElement>('progress').value = 1;
    const ternaryModel = await loadModel(bytes, { signal });
    const floatModel = await loadFloatModel(source.bytes, {
      preprocess: source.preprocess,
      ...(source.labels ? { labels: source.labels } : {}),
      signal,
    });
    ternary = { name: 'ternary', model: ternaryModel, bytes: bytes.byteLength };
    float = { name: 'float', model: floatModel, bytes: source.bytes.byteLength };
    showSummary(source.bytes.byteLength, bytes.byteLength, report.total as unknown as Record<string, number>);
    if (downloadUrl) URL.revokeObjectURL(downloadUrl);
    downloadUrl = URL.createObjectURL(
      new Blob([new Uint8Array(bytes)], { type: 'application/octet-stream' }),
    );
    const link = element<HTMLAnchorElement>('download');
    link.href = downloadUrl;
    link.download = `${usesBundled() ? 'signs' : ownModel!.name.replace(/\.onnx$/i, '')}.trefoil`;
    show('download', true);
    element<HTMLButtonElement>('classify').disabled = !usesBundled();
  } catch (error) {
    if (signal.aborted) {
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
  show('classify-error', false);
  try {
    if (!float || !ternary) throw new Error('Quantize a model first (step 2).');
    await compare(images, float, ternary);
  } catch (error) {
    showError('classify-error', error);
  }
}

function classifyFiles(files: File[]): void {
  if (files.length === 0) return;
  const images = files.map((file) => ({ url: URL.createObjectURL(file) }));
  // The pictures stay on show, so their URLs live until the next set replaces them.
  void runClassify(images);
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
document.querySelector('input[name=source][value=file]')!.addEventListener('click', () => {
  if (!ownModel) element('onnx-file').click();
});
element('onnx-file').addEventListener('change', () => takeOnnx(filesOf('onnx-file')[0]));
onDrop(element('onnx-drop'), (files) => takeOnnx(files[0]));
element('quantize').addEventListener('click', () => void runQuantize());
element('cancel').addEventListener('click', () => running?.abort());
element('classify').addEventListener('click', () => void runClassify(signs.test));
element('image-files').addEventListener('change', () => classifyFiles(filesOf('image-files')));
onDrop(element('image-drop'), classifyFiles);
