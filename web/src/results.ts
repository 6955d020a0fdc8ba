// Runs both networks over a list of images and draws what they say.
import type { LabelledImage } from './bundled.js';
import { LatencyChart } from './latency.js';
import { element, formatBytes, formatMilliseconds, median, show } from './ui.js';

export interface Classifier {
  classify(
    image: ImageData | HTMLVideoElement,
    options?: { topK?: number },
  ): Promise<{ label: string; score: number; index: number }[]>;
  dispose(): void;
}

export interface Contender {
  name: string;
  model: Classifier;
  bytes: number;
}

interface Answer {
  label: string;
  index: number;
  score: number;
  milliseconds: number;
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

async function ask(model: Classifier, image: ImageData): Promise<Answer> {
  const start = performance.now();
  const [best] = await model.classify(image, { topK: 1 });
  return { ...best!, milliseconds: performance.now() - start };
}

function answerHtml(name: string, answer: Answer, truth?: string): HTMLElement {
  const div = document.createElement('div');
  div.className = truth !== undefined && truth !== answer.label ? 'answer wrong' : 'answer';
  const who = document.createElement('small');
  who.textContent = name;
  const label = document.createElement('b');
  label.textContent = answer.label;
  label.title = answer.label;
  const detail = document.createElement('small');
  detail.textContent = `${(100 * answer.score).toFixed(0)}% · ${formatMilliseconds(answer.milliseconds)}`;
  div.append(who, label, detail);
  return div;
}

function fillRow(
  id: string,
  contender: Contender,
  correct: number | undefined,
  count: number,
  times: number[],
): void {
  const top1 = correct === undefined ? '' : `${((100 * correct) / count).toFixed(1)}%`;
  const cells = [contender.name, formatBytes(contender.bytes), top1, formatMilliseconds(median(times))];
  const row = element(id);
  row.replaceChildren(
    ...cells.map((text, i) => {
      const cell = document.createElement(i === 0 ? 'th' : 'td');
      if (i === 0) cell.setAttribute('scope', 'row');
      if (i === 2) cell.hidden = correct === undefined;
      cell.textContent = text;
      return cell;
    }),
  );
}

export const latency = new LatencyChart();

/** Classifies every image with both contenders, drawing results as they come. */
export async function compare(
  images: LabelledImage[],
  float: Contender,
  ternary: Contender,
  signal: AbortSignal,
): Promise<void> {
  const grid = element('results');
  grid.replaceChildren();
  latency.clear();
  show('outcome', true);
  element('totals').hidden = true;
  element('agreement').textContent = 'Classifying …';
  const times: [number[], number[]] = [[], []];
  let floatCorrect = 0;
  let ternaryCorrect = 0;
  let agree = 0;
  const labelled = images.every((image) => image.label !== undefined);
  // The first call pays for start-up; its time would say nothing about an image.
  const first = await decode(images[0]!.url);
  await ask(float.model, first);
  await ask(ternary.model, first);
  for (const [i, { url, label }] of images.entries()) {
    signal.throwIfAborted();
    const image = await decode(url);
    const floatAnswer = await ask(float.model, image);
    const ternaryAnswer = await ask(ternary.model, image);
    times[0].push(floatAnswer.milliseconds);
    times[1].push(ternaryAnswer.milliseconds);
    latency.add(floatAnswer.milliseconds, ternaryAnswer.milliseconds);
    floatCorrect += Number(floatAnswer.label === label);
    ternaryCorrect += Number(ternaryAnswer.label === label);
    agree += Number(floatAnswer.index === ternaryAnswer.index);

    const card = document.createElement('article');
    card.className = 'result';
    const picture = document.createElement('img');
    picture.src = url;
    picture.alt = label ?? `image ${i + 1}`;
    const truth = document.createElement('div');
    truth.className = 'truth';
    truth.textContent = label ?? `Image ${i + 1}`;
    card.append(
      picture,
      truth,
      answerHtml('float', floatAnswer, label),
      answerHtml('ternary', ternaryAnswer, label),
    );
    grid.append(card);
  }
  fillRow('float-row', float, labelled ? floatCorrect : undefined, images.length, times[0]);
  fillRow('ternary-row', ternary, labelled ? ternaryCorrect : undefined, images.length, times[1]);
  element('totals').hidden = false;
  show('top1-head', labelled);
  element('agreement').textContent =
    `Float and ternary agree on ${agree} of ${images.length} images; ` +
    `the ternary file is ${(float.bytes / ternary.bytes).toFixed(1)} times smaller.`;
}
