// Options of preprocessing: a file of its own, which pages that only run a model do not download.
import { badOption, checkInteger, checkKeys, nearest } from './options.js';
import type { ChannelOrder, Preprocess, PreprocessOptions, Shape } from './types.js';

type Triple = [number, number, number];

function checkTriple(value: unknown, name: string, fallback: number, positive: boolean): Triple {
  const list: unknown[] = Array.isArray(value) ? value : [value ?? fallback];
  const [first, second = first, third = first] = list;
  const triple = [first, second, third];
  const good = (x: unknown) => typeof x === 'number' && Number.isFinite(x) && (!positive || x > 0);
  if (![1, 3].includes(list.length) || !triple.every(good)) {
    const what = positive ? 'numbers above 0' : 'numbers';
    throw badOption(
      name,
      `${name} must be one number or three, one a channel: ${what}, in units where white is 1`,
    );
  }
  return triple as Triple;
}

/** The gray of the letterboxes that object detectors are trained with, and near the mean of photographs. */
const usualBars: Triple = [114, 114, 114];

function checkLetterbox(value: unknown): Preprocess['letterbox'] {
  if (value === undefined || value === false) return false;
  if (value === true) return [...usualBars];
  const isByte = (x: unknown) => Number.isInteger(x) && (x as number) >= 0 && (x as number) <= 255;
  if (!Array.isArray(value) || value.length !== 3 || !value.every(isByte)) {
    throw badOption(
      'letterbox',
      'letterbox must be true, false or the colour of its bars: three whole numbers from 0 to 255',
    );
  }
  return [...value] as Triple;
}

const channelOrders: readonly ChannelOrder[] = ['rgb', 'bgr'];

function checkChannelOrder(value: unknown): ChannelOrder {
  if (value === undefined) return 'rgb';
  if (channelOrders.includes(value as ChannelOrder)) return value as ChannelOrder;
  const suggestion = nearest(String(value), channelOrders);
  const hint = suggestion ? `; did you mean '${suggestion}'?` : '';
  throw badOption('channelOrder', `channelOrder must be 'rgb' or 'bgr', not '${String(value)}'${hint}`);
}

const maxSide = 1 << 20;

/** Preprocessing before the network's input size is known: the crop is [0, 0] where it was not given. */
export function checkPreprocess(options: PreprocessOptions | undefined, where: string): Preprocess {
  const given = options ?? {};
  checkKeys(given, ['resize', 'crop', 'letterbox', 'channelOrder', 'mean', 'std'], `${where}: preprocess`);
  const crop = given.crop ?? [0, 0];
  const sides = typeof crop === 'number' ? [crop, crop] : crop;
  if (!Array.isArray(sides) || sides.length !== 2) {
    throw badOption('crop', 'crop must be a number of pixels, or [height, width]');
  }
  const [height, width] = sides as [number, number];
  const low = given.crop === undefined ? 0 : 1;
  const resize = given.resize === undefined ? 0 : checkInteger(given.resize, 'resize', 0, maxSide);
  const letterbox = checkLetterbox(given.letterbox);
  if (letterbox && resize > 0) {
    throw badOption(
      'letterbox',
      `letterbox fits the whole picture into the network's input, resize ${resize} and its crop cut some off: leave one out`,
    );
  }
  return {
    resize,
    crop: [checkInteger(height, 'crop', low, maxSide), checkInteger(width, 'crop', low, maxSide)],
    letterbox,
    channelOrder: checkChannelOrder(given.channelOrder),
    mean: checkTriple(given.mean, 'mean', 0, false),
    std: checkTriple(given.std, 'std', 1, true),
  };
}

/** The same once the size is known: a crop that was given must agree with the network. */
export function fitPreprocess(preprocess: Preprocess, input: Shape): Preprocess {
  const [height, width] = preprocess.crop;
  const [channels, rows, columns] = input;
  if (height !== 0 && (height !== rows || width !== columns)) {
    throw badOption(
      'crop',
      `crop is ${height} x ${width}, but the network's input is ${rows} x ${columns}; leave it out`,
    );
  }
  if (preprocess.resize !== 0 && preprocess.resize < Math.min(rows, columns)) {
    throw badOption(
      'resize',
      `resize ${preprocess.resize} is smaller than the network's input, ${rows} x ${columns}`,
    );
  }
  if (preprocess.channelOrder !== 'rgb' && channels === 1) {
    throw badOption('channelOrder', 'the network takes gray pictures, which have no order of channels');
  }
  return { ...preprocess, crop: [rows, columns] };
}
