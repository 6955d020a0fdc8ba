// Deterministic random numbers and pictures: the same on every machine.

/** xoshiro128**, Blackman and Vigna; seeded by splitmix32. */
export class Random {
  #state = new Uint32Array(4);
  #spare = NaN;

  constructor(seed) {
    let x = seed >>> 0;
    for (let i = 0; i < 4; ++i) {
      x = (x + 0x9e3779b9) >>> 0;
      let z = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      this.#state[i] = z ^ (z >>> 15);
    }
  }

  #next() {
    const s = this.#state;
    const product = Math.imul(s[1], 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9);
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 11) | (s[3] >>> 21);
    return result >>> 0;
  }

  /** From 0 to 1, neither included. */
  uniform() {
    return (this.#next() + 0.5) / 2 ** 32;
  }

  /** Mean 0, deviation 1: Box and Muller. */
  normal() {
    if (!Number.isNaN(this.#spare)) {
      const spare = this.#spare;
      this.#spare = NaN;
      return spare;
    }
    const radius = Math.sqrt(-2 * Math.log(this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}

/** A picture of waves of all lengths, as photographs have them, and a little noise: RGB bytes, pixel by pixel. */
export function picture([channels, height, width], seed) {
  const random = new Random(seed);
  const waves = Array.from({ length: 12 }, (_, i) => {
    const length = (Math.max(width, height) * 2) / 1.5 ** i;
    const direction = random.uniform() * Math.PI;
    return {
      x: (2 * Math.PI * Math.cos(direction)) / length,
      y: (2 * Math.PI * Math.sin(direction)) / length,
      phase: random.uniform() * 2 * Math.PI,
      height: Array.from({ length: channels }, () => (45 * random.normal()) / 1.25 ** i),
    };
  });
  const data = new Uint8Array(channels * height * width);
  for (let y = 0, at = 0; y < height; ++y) {
    for (let x = 0; x < width; ++x) {
      const values = waves.map((wave) => Math.sin(wave.x * x + wave.y * y + wave.phase));
      for (let channel = 0; channel < channels; ++channel, ++at) {
        const sum = waves.reduce((part, wave, i) => part + wave.height[channel] * values[i], 0);
        data[at] = Math.max(0, Math.min(255, Math.round(118 + sum + 6 * random.normal())));
      }
    }
  }
  return data;
}

/** What ImageNet's networks were trained with. */
export const preprocess = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/** The float input of a picture, in channels, rows, columns; and the same bytes as planes. */
export function tensorsOf(pixels, [channels, height, width]) {
  const size = height * width;
  const planes = new Uint8Array(channels * size);
  const floats = new Float32Array(channels * size);
  for (let channel = 0; channel < channels; ++channel) {
    for (let i = 0; i < size; ++i) {
      const byte = pixels[i * channels + channel];
      planes[channel * size + i] = byte;
      floats[channel * size + i] = (byte / 255 - preprocess.mean[channel]) / preprocess.std[channel];
    }
  }
  return { planes, floats };
}
