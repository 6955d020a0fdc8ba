// Ours: image planes to logits, on the caller's own thread.
import { loadModel } from 'trefoil';

export const input = 'planes';

function notAvailable(message) {
  return Object.assign(new Error(message), { code: 'NOT_AVAILABLE' });
}

export async function load({ bytes, threads }) {
  const source = bytes['model'];
  const model = await loadModel(source, {
    worker: false,
    ...(threads > 1 && { threads }),
    ...(typeof source === 'string' && { cache: true }),
  }).catch((error) => {
    throw error.details?.option === 'threads' ? notAvailable(error.message) : error;
  });
  if (model.info.threads !== threads) {
    model.dispose();
    throw notAvailable(`runs on ${model.info.threads} threads, not on ${threads}`);
  }
  return { run: (planes) => model.run(planes), close: () => model.dispose() };
}
