// Small pictures, decoded where they are asked for. sharp takes half a millisecond for the smallest file, most of it to
// hand the work to another thread and back; for pictures of the size that networks look at, a decoder in the thread itself is
// faster, keeps its core busy and scales with the number of threads. What it takes is what all decoders agree on to the
// byte: baseline JPEG and 8-bit RGB PNG, undamaged, with nothing in them that asks for a conversion. Everything else is
// sharp's, and so is telling what is wrong with a file.
import { inflateSync } from 'node:zlib';

import decodeJpeg, { init } from '@jsquash/jpeg/decode.js';
import { decode as decodePng } from 'fast-png';

import type { Pixels } from '../../types.js';

/** From here on sharp's vector code outweighs the way to its threads. */
export const mostPixels = 1 << 19;

interface Size {
  width: number;
  height: number;
}

const isSmall = ({ width, height }: Size) => width > 0 && height > 0 && width * height <= mostPixels;
const word = (bytes: Uint8Array, at: number) => (bytes[at]! << 8) | bytes[at + 1]!;
const long = (bytes: Uint8Array, at: number) => word(bytes, at) * 65536 + word(bytes, at + 2);

const jpeg = {
  start: 0xd8,
  end: 0xd9,
  baseline: 0xc0,
  scan: 0xda,
  /** Tables of codes, levels and restarts, the JFIF header, a comment. Others may ask for a colour profile or a turn. */
  harmless: [0xc4, 0xdb, 0xdd, 0xe0, 0xfe],
  /** Of the luminance to the colours, whose upsampling all versions of the library do alike. */
  samplings: [0x11, 0x21, 0x22],
};

/** The size of a plain JPEG: baseline, three components, whole to its end. */
function plainJpeg(bytes: Uint8Array): Size | undefined {
  const { length } = bytes;
  if (word(bytes, 0) !== 0xff00 + jpeg.start || word(bytes, length - 2) !== 0xff00 + jpeg.end)
    return undefined;
  let size: Size | undefined;
  for (let at = 2; at + 4 <= length && bytes[at] === 0xff; at += 2 + word(bytes, at + 2)) {
    const marker = bytes[at + 1]!;
    if (marker === jpeg.scan) return size;
    if (marker === jpeg.baseline && !size && at + 19 <= length) {
      const [bits, components] = [bytes[at + 4], bytes[at + 9]];
      const [luminance, blue, red] = [11, 14, 17].map((offset) => bytes[at + offset]!);
      if (bits !== 8 || components !== 3 || blue !== 0x11 || red !== 0x11) return undefined;
      if (!jpeg.samplings.includes(luminance!)) return undefined;
      size = { width: word(bytes, at + 7), height: word(bytes, at + 5) };
    } else if (!jpeg.harmless.includes(marker)) {
      return undefined;
    }
  }
  return undefined;
}

const pngStart = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Chunks that change no pixel. */
const harmlessChunks = ['IHDR', 'IDAT', 'IEND', 'sRGB', 'pHYs', 'tEXt', 'zTXt', 'iTXt', 'tIME'];

/**
 * The size of a plain PNG: RGB of 8 bits, not interlaced, whose data give just the bytes of its pixels (which also bounds
 * what a decoder needs).
 */
function plainPng(bytes: Uint8Array): Size | undefined {
  if (bytes.length < 57 || pngStart.some((byte, i) => bytes[i] !== byte)) return undefined;
  const size = { width: long(bytes, 16), height: long(bytes, 20) };
  const form = [...bytes.subarray(24, 29)];
  if (form.join() !== '8,2,0,0,0' || !isSmall(size)) return undefined;
  const data: Uint8Array[] = [];
  for (let at = pngStart.length; at + 12 <= bytes.length;) {
    const length = long(bytes, at);
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (!harmlessChunks.includes(kind) || at + 12 + length > bytes.length) return undefined;
    if (kind === 'IDAT') data.push(bytes.subarray(at + 8, at + 8 + length));
    at += 12 + length;
    if (kind !== 'IEND') continue;
    const expected = size.height * (1 + 3 * size.width);
    const inflated = inflateSync(Buffer.concat(data), { maxOutputLength: expected });
    return at === bytes.length && inflated.length === expected ? size : undefined;
  }
  return undefined;
}

/** As it is; its declaration leaves both arguments out. */
const start = init as (module: WebAssembly.Module, options: { printErr: () => void }) => Promise<void>;

/** A decoder in this thread. */
export class SmallPictures {
  #jpegReady: Promise<void> | undefined;
  #complaints = 0;

  /** @param jpegDecoder the module of @jsquash/jpeg */
  constructor(private readonly jpegDecoder: WebAssembly.Module) {}

  /** The pixels of a plain small picture; undefined where sharp is to decode it, or to say why it can't. */
  async decode(bytes: Uint8Array): Promise<Pixels | undefined> {
    try {
      const size = plainJpeg(bytes);
      if (size) return isSmall(size) ? await this.#decodeJpeg(bytes, size) : undefined;
      return plainPng(bytes) && (decodePng(bytes, { checkCrc: true }) as Pixels);
    } catch {
      return undefined;
    }
  }

  async #decodeJpeg(bytes: Uint8Array, { width, height }: Size): Promise<Pixels | undefined> {
    // The decoder makes one of these, which Node doesn't have.
    globalThis.ImageData ??= class {
      constructor(
        readonly data: Uint8ClampedArray,
        readonly width: number,
        readonly height: number,
      ) {}
    } as unknown as typeof ImageData;
    try {
      await (this.#jpegReady ??= start(this.jpegDecoder, { printErr: () => void ++this.#complaints }));
      // Of damaged data each version of the library makes something else.
      this.#complaints = 0;
      // Its declaration asks for an ArrayBuffer; it takes a view of one as well, and a file read into Node's pool is one.
      const image = await decodeJpeg(bytes as unknown as ArrayBuffer);
      if (this.#complaints > 0 || image.width !== width || image.height !== height) return undefined;
      return { data: image.data, width, height, channels: 4 };
    } catch (error) {
      this.#jpegReady = undefined; // an instance that has failed answers no more
      throw error;
    }
  }
}
