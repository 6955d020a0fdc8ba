// What the golden tests of every engine share: the images and the hash (xorshift32 and FNV-1a, as in golden_test.cpp).

/** Interleaved RGB pixels whose planes are the golden image of this seed. */
export function goldenPixels(width: number, height: number, seed: number): Uint8ClampedArray<ArrayBuffer> {
  const plane = width * height;
  const pixels = new Uint8ClampedArray(4 * plane).fill(255);
  let state = seed | 0;
  for (let channel = 0; channel < 3; ++channel) {
    for (let i = 0; i < plane; ++i) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      pixels[4 * i + channel] = state >>> 24;
    }
  }
  return pixels;
}

export class LogitHash {
  #hash = 0xcbf29ce484222325n;

  add(logits: Int32Array): void {
    for (const byte of new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength)) {
      this.#hash = BigInt.asUintN(64, (this.#hash ^ BigInt(byte)) * 0x100000001b3n);
    }
  }

  toString(): string {
    return this.#hash.toString(16).padStart(16, '0');
  }
}

interface Runner {
  info: { inputShape: readonly [number, number, number] };
  logits(image: { data: Uint8ClampedArray<ArrayBuffer>; width: number; height: number }): Promise<{
    integers: Int32Array;
  }>;
}

/** Of the model's integers for the first so many golden images. */
export async function logitHash(model: Runner, images: number): Promise<string> {
  const [, height, width] = model.info.inputShape;
  const hash = new LogitHash();
  for (let seed = 1; seed <= images; ++seed) {
    const { integers } = await model.logits({ data: goldenPixels(width, height, seed), width, height });
    hash.add(integers);
  }
  return hash.toString();
}

export interface Golden {
  file: string;
  images: number;
  hash: string;
}

export function parseGoldens(text: string): Golden[] {
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [file, images, hash] = line.split(' ');
      return { file: file!, images: Number(images), hash: hash! };
    });
}
