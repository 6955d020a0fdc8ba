// Runs the networks over a list of images and draws what they say.
import type { LabelledImage } from './bundled.js';
import type { Answer, Contender } from './contenders.js';
import { LatencyChart } from './latency.js';
import { element, formatBytes, formatMilliseconds, median, show } from './ui.js';

const colours = { float: '--float', ternary: '--green', onnxruntime: '--blue' } as const;

const startCalls = 3;

interface Score {
  contender: Contender;
  correct: number;
  /** Answers that are the ternary network's. */
  agreeing: number;
  times: number[];
}

async function decode(url: string): Promise<ImageData> {
  const response = await fetch(url);
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(await response.blob());
  } catch {
    throw new Error('This file could not be decoded as an image. Use PNG, JPEG, WebP, GIF or AVIF.');
  }
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext('2d', { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

function answerHtml({ id }: Contender, answer: Answer, truth?: string): HTMLElement {
  const div = document.createElement('div');
  div.className = truth !== undefined && truth !== answer.label ? 'answer wrong' : 'answer';
  const who = document.createElement('small');
  who.textContent = id === 'onnxruntime' ? 'onnxrt' : id;
  const label = document.createElement('b');
  label.textContent = answer.label;
  label.title = answer.label;
  const detail = document.createElement('small');
  detail.textContent = `${(100 * answer.score).toFixed(0)}% · ${formatMilliseconds(answer.milliseconds)}`;
  div.append(who, label, detail);
  return div;
}

function resultHtml(url: string, truth: string | undefined, number: number): HTMLElement {
  const card = document.createElement('article');
  card.className = 'result';
  const picture = document.createElement('img');
  picture.src = url;
  picture.alt = truth ?? `image ${number}`;
  const title = document.createElement('div');
  title.className = 'truth';
  title.textContent = truth ?? `Image ${number}`;
  card.append(picture, title);
  return card;
}

function totalsRow(
  { contender, correct, agreeing, times }: Score,
  count: number,
  columns: string[],
): HTMLElement {
  const cells: Record<string, string> = {
    name: contender.name,
    bytes: formatBytes(contender.bytes),
    top1: `${((100 * correct) / count).toFixed(1)}%`,
    agreement: contender.id === 'ternary' ? '' : `${agreeing} of ${count}`,
    time: formatMilliseconds(median(times)),
  };
  const row = document.createElement('tr');
  row.id = `${contender.id}-row`;
  for (const column of columns) {
    const cell = document.createElement(column === 'name' ? 'th' : 'td');
    if (column === 'name') cell.setAttribute('scope', 'row');
    cell.textContent = cells[column]!;
    row.append(cell);
  }
  return row;
}

function showTotals(scores: Score[], count: number, labelled: boolean): void {
  show('top1-head', labelled);
  show('agreement-head', scores.length > 1);
  const columns = ['name', 'bytes', labelled && 'top1', scores.length > 1 && 'agreement', 'time'];
  const shown = columns.filter((column) => column !== false);
  element('totals-body').replaceChildren(...scores.map((score) => totalsRow(score, count, shown)));
  show('totals', true);
}

function summary(scores: Score[], count: number): string {
  const find = (id: Contender['id']) => scores.find(({ contender }) => contender.id === id);
  const [float, ternary, onnxruntime] = [find('float'), find('ternary')!, find('onnxruntime')];
  if (!float) return `${count} ${count === 1 ? 'image' : 'images'} classified.`;
  const parts = [
    `Float and ternary agree on ${float.agreeing} of ${count} images; ` +
      `the ternary file is ${(float.contender.bytes / ternary.contender.bytes).toFixed(1)} times smaller.`,
  ];
  if (onnxruntime) {
    const ratio = median(onnxruntime.times) / median(ternary.times);
    parts.push(
      `The float network in onnxruntime-web takes ${ratio.toFixed(1)} times as long as the ternary one on one thread, ` +
        `and agrees with it on ${onnxruntime.agreeing} of ${count}.`,
    );
  }
  return parts.join(' ');
}

export const latency = new LatencyChart();

/** Classifies every image with all contenders, drawing results as they come. One of them is the ternary one. */
export async function compare(
  images: LabelledImage[],
  contenders: Contender[],
  signal: AbortSignal,
): Promise<void> {
  const grid = element('results');
  grid.replaceChildren();
  latency.start(contenders.map(({ name, id }) => ({ name, colour: colours[id] })));
  show('outcome', true);
  show('totals', false);
  element('agreement').textContent = 'Classifying …';
  const scores = contenders.map((contender): Score => ({ contender, correct: 0, agreeing: 0, times: [] }));
  const labelled = images.every((image) => image.label !== undefined);
  // The first calls pay for start-up and for code that engines compile twice; their times would say nothing about an image.
  const first = await decode(images[0]!.url);
  for (let call = 0; call < startCalls; ++call) {
    for (const contender of contenders) await contender.ask(first);
    signal.throwIfAborted();
  }
  for (const [i, { url, label }] of images.entries()) {
    signal.throwIfAborted();
    const image = await decode(url);
    const answers: Answer[] = [];
    for (const contender of contenders) answers.push(await contender.ask(image));
    signal.throwIfAborted();
    const ternary = answers[contenders.findIndex(({ id }) => id === 'ternary')]!;
    const card = resultHtml(url, label, i + 1);
    for (const [at, score] of scores.entries()) {
      const answer = answers[at]!;
      score.times.push(answer.milliseconds);
      score.correct += Number(answer.label === label);
      score.agreeing += Number(answer.index === ternary.index);
      card.append(answerHtml(score.contender, answer, label));
    }
    latency.add(answers.map(({ milliseconds }) => milliseconds));
    grid.append(card);
  }
  showTotals(scores, images.length, labelled);
  element('agreement').textContent = summary(scores, images.length);
}
