// The demo page: choose a model, quantize it in a worker, compare float and ternary on images.
import { loadModel, type Model } from 'trefoil';
import { exportOnnx, loadFloatModel, quantize } from 'trefoil/quantize';

import { signs, type LabelledImage } from './bundled.js';
import { startCamera, stopCamera } from './camera.js';
import { ofModel, type Contender } from './contenders.js';
import { workOffline } from './offline.js';
import { startOnnxruntime } from './onnxruntime.js';
import { showReport } from './report.js';
import { compare, latency } from './results.js';
import { quantizeOptions, startSettings } from './settings.js';
import {
  readSource,
  showSourceFields,
  takeAddress,
  takeFile,
  usesBundled,
  type OnnxSource,
  type TrefoilSource,
} from './source.js';
import { element, formatBytes, onDrop, onFiles, show, showError } from './ui.js';

const phaseNames: Record<string, string> = {
  load: 'Reading the network',
  decode: 'Reading the calibration images',
  import: 'Reading the network',
  calibrate: 'Measuring activations',
  choose: 'Looking for layers that need more bits',
  quantize: 'Finding ternary weights',
  correct: 'Matching means and deviations',
  write: 'Writing the file',
};

/** What is being done, and to which layer. Only the first is read aloud: layers pass too fast. */
function tell(what: string, layer = ''): void {
  const name = element('phase-name');
  if (name.textContent !== what) name.textContent = what;
  element('phase-layer').textContent = layer && `: ${layer}`;
}

/** What the page has open. */
interface Opened {
  model: Model;
  contenders: Contender[];
  /** The float network's file, where the page has it. */
  onnx: Uint8Array | undefined;
}

let opened: Opened | undefined;
let running: AbortController | undefined;
let classifying: AbortController | undefined;
let classified: LabelledImage[] = [];
let downloadUrl: string | undefined;
let shownUrls: string[] = [];

function forgetModels(): void {
  classifying?.abort();
  stopCamera();
  for (const contender of opened?.contenders ?? []) contender.dispose();
  opened = undefined;
  for (const id of [
    'report-card',
    'images-card',
    'download',
    'download-onnx',
    'outcome',
    'quantize-error',
    'classify-error',
    'onnxruntime-error',
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

function offerDownload(bytes: Uint8Array, name: string): void {
  if (downloadUrl) URL.revokeObjectURL(downloadUrl);
  downloadUrl = URL.createObjectURL(new Blob([new Uint8Array(bytes)], { type: 'application/octet-stream' }));
  const link = element<HTMLAnchorElement>('download');
  link.href = downloadUrl;
  link.download = `${name}.trefoil`;
  show('download', true);
  show('download-onnx', true);
}

/** One thread, so that the times can be compared. */
function open(bytes: Uint8Array, signal: AbortSignal): Promise<Model> {
  return loadModel(bytes, { threads: 1, signal });
}

async function quantizeSource(source: OnnxSource, signal: AbortSignal): Promise<void> {
  const labels = source.labels ? { labels: source.labels } : {};
  const started = performance.now();
  const { model: bytes, report } = await quantize(source.bytes, {
    calibration: source.calibration,
    ...quantizeOptions(),
    preprocess: source.preprocess,
    ...labels,
    signal,
    onProgress: ({ phase, fraction, layer }) => {
      element<HTMLProgressElement>('progress').value = fraction;
      tell(phaseNames[phase] ?? phase, layer);
    },
  });
  const seconds = (performance.now() - started) / 1000;
  const model = await open(bytes, signal);
  const ternary = ofModel('ternary', model, bytes.byteLength);
  opened = { model, contenders: [ternary], onnx: source.bytes };
  const float = await loadFloatModel(source.bytes, { preprocess: source.preprocess, ...labels, signal });
  opened.contenders = [ofModel('float', float, source.bytes.byteLength), ternary];
  tell(`Done in ${seconds.toFixed(1)} seconds.`);
  element<HTMLProgressElement>('progress').value = 1;
  showReport(report);
  offerDownload(bytes, source.name);
}

async function openTrefoil({ bytes }: TrefoilSource, signal: AbortSignal): Promise<void> {
  const model = await open(bytes, signal);
  opened = { model, contenders: [ofModel('ternary', model, bytes.byteLength)], onnx: undefined };
  const { name, layers, classes, inputShape } = model.info;
  tell(
    `${name || 'This network'}: ${layers.length} layers, ${classes} classes, ${inputShape[2]} × ${inputShape[1]} pixels, ` +
      `${formatBytes(bytes.byteLength)}.`,
  );
  element<HTMLProgressElement>('progress').value = 1;
}

async function runQuantize(): Promise<void> {
  forgetModels();
  running = new AbortController();
  const { signal } = running;
  const button = element<HTMLButtonElement>('quantize');
  const bundled = usesBundled();
  button.disabled = true;
  show('cancel', true);
  show('progress-row', true);
  tell('Reading the network');
  element<HTMLProgressElement>('progress').value = 0;
  try {
    const source = await readSource();
    await (source.kind === 'onnx' ? quantizeSource(source, signal) : openTrefoil(source, signal));
    show('images-card', true);
    show('classify', bundled);
    offerOnnxruntime();
    showBelow(source.kind === 'onnx' ? 'report-card' : 'images-card');
    if (bundled) void runClassify(signs.test);
  } catch (error) {
    forgetModels();
    if (signal.aborted) {
      tell('Cancelled.');
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
  classified = images;
  try {
    if (!opened) throw new Error('Quantize a model first.');
    await compare(images, opened.contenders, signal);
  } catch (error) {
    if (signal.aborted) return;
    show('outcome', false);
    showError('classify-error', error);
  }
}

function offerOnnxruntime(): void {
  const button = element<HTMLButtonElement>('onnxruntime');
  button.disabled = !opened?.onnx;
  show('onnxruntime-note', !button.disabled);
  show('onnxruntime-needs', button.disabled);
  show('onnxruntime-offer', true);
}

/** Fetches onnxruntime-web, opens the float network in it, and classifies the last images again, with it. */
async function runOnnxruntime(): Promise<void> {
  const asked = opened;
  if (!asked?.onnx) return;
  const button = element<HTMLButtonElement>('onnxruntime');
  show('onnxruntime-error', false);
  try {
    button.disabled = true;
    button.textContent = 'Fetching onnxruntime-web …';
    const contender = await startOnnxruntime(asked.onnx, asked.model);
    if (opened !== asked) {
      contender.dispose();
      return;
    }
    asked.contenders = [...asked.contenders, contender];
    show('onnxruntime-offer', false);
    await runClassify(classified);
  } catch (error) {
    if (opened !== asked) return;
    button.disabled = false;
    showError('onnxruntime-error', error);
  } finally {
    button.textContent = 'Compare with onnxruntime-web';
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
  const model = opened?.model;
  if (!model) return;
  try {
    await startCamera((video) => model.classify(video, { topK: 1 }));
  } catch (error) {
    stopCamera();
    showError('classify-error', error);
  }
}

/** What a click has brought about further down, where a visitor would not see it. */
function showBelow(id: string): void {
  const box = element(id);
  if (box.getBoundingClientRect().top < innerHeight / 2) return;
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
  box.scrollIntoView({ behavior: still ? 'auto' : 'smooth' });
}

function sourceChanged(): void {
  running?.abort();
  showSourceFields();
  show('progress-row', false);
  forgetModels();
}

function chooseFile(file: File | undefined): void {
  if (!file) return;
  takeFile(file);
  sourceChanged();
}

element('bundled-note').textContent =
  `${signs.labels.length} classes, 64 × 64 pixels, bundled with this page`;
for (const radio of document.querySelectorAll('input[name=source]'))
  radio.addEventListener('change', sourceChanged);
onFiles('model-file', ([file]) => chooseFile(file));
onDrop(element('model-drop'), (files) => chooseFile(files[0]));
element('model-url').addEventListener('input', () => {
  takeAddress();
  showSourceFields();
});
element('fit').addEventListener('change', showSourceFields);
element('quantize').addEventListener('click', () => void runQuantize());
element('cancel').addEventListener('click', () => running?.abort());
element('classify').addEventListener('click', () => void runClassify(signs.test));
onFiles('image-files', classifyFiles);
onDrop(element('image-drop'), classifyFiles);
// Beside the marked places a file is taken for what it is; browsers would leave the page for it.
onDrop(document.body, (files) => {
  const network = files.find(({ name }) => /\.(onnx|trefoil)$/i.test(name));
  if (network) chooseFile(network);
  else if (opened) classifyFiles(files.filter(({ type }) => type.startsWith('image/')));
});
element('download-onnx').addEventListener('click', () => void downloadOnnx());
element('onnxruntime').addEventListener('click', () => void runOnnxruntime());
element('camera-start').addEventListener('click', () => void runCamera());
element('camera-stop').addEventListener('click', stopCamera);
document.addEventListener('paste', (event) => {
  const files = [...(event.clipboardData?.files ?? [])].filter(({ type }) => type.startsWith('image/'));
  if (opened && files.length > 0) classifyFiles(files);
});
let resizing: ReturnType<typeof setTimeout> | undefined;
addEventListener('resize', () => {
  clearTimeout(resizing);
  resizing = setTimeout(() => latency.draw(true), 150);
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => latency.draw(true));
startSettings();
showSourceFields();
void workOffline();
