// LiteRT.js on the CPU (XNNPACK). Browsers only: it loads its WebAssembly by script elements.
import { Tensor, loadAndCompile, loadLiteRt } from '@litertjs/core';

export const input = 'floatsLast';

let loaded;

export async function load({ bytes, shape: [channels, height, width], threads, asset }) {
  loaded ??= loadLiteRt(asset('@litertjs/core/wasm/'), { threads: threads > 1 });
  await loaded;
  const model = await loadAndCompile(bytes['model'], {
    accelerator: 'wasm',
    ...(threads > 1 && { cpuOptions: { numThreads: threads } }),
  });
  return {
    async run(floats) {
      const given = new Tensor(floats, [1, height, width, channels]);
      const [wanted] = await model.run(given);
      const logits = wanted.toTypedArray().slice();
      given.delete();
      wanted.delete();
      return { logits };
    },
    close: () => model.delete(),
  };
}
