// How long this machine takes for each layer in each of the forms that a mixed recipe chooses from.
import type { LayerTimes, Recipe } from './engine.js';
import { loadModel } from './model.js';
import type { Profile } from './model-types.js';
import type { OpenNetwork } from './network.js';

/** Enough for ranges: what is timed are kernels, not answers. */
const trialImages = 2;
const runs = 20;

/** The network plainly quantized to one form in all layers, and its layers' times. */
async function profileOf(
  network: OpenNetwork,
  recipe: Recipe,
  signal: AbortSignal | undefined,
): Promise<{ profile: Profile; times: Map<string, number> }> {
  const { model: bytes } = await network.link.call(
    (host) => host.quantizeTrial(recipe, network.preprocess, trialImages),
    signal,
  );
  const model = await loadModel(bytes, signal ? { signal } : {});
  try {
    const profile = await model.profile({ runs, layers: true, ...(signal && { signal }) });
    return { profile, times: new Map(model.info.layers.map(({ name }, i) => [name, profile.layers[i]!])) };
  } finally {
    model.dispose();
  }
}

/** The recipe with the times that its aim needs. `onForm` is told the share that is done. */
export async function withTimes(
  network: OpenNetwork,
  recipe: Recipe,
  signal: AbortSignal | undefined,
  onForm: (share: number) => void,
): Promise<Recipe> {
  const forms = await network.link.call((host) => host.mixedForms(recipe.activationBits), signal);
  const names = network.graph.layers.filter(({ weights }) => weights > 0).map(({ name }) => name);
  const plain: Recipe = { ...recipe, aim: 'uniform', method: 'fgq', affineCorrection: false };
  const profiles: Awaited<ReturnType<typeof profileOf>>[] = [];
  for (const [i, { weights, ...form }] of forms.entries()) {
    const layers = weights ? names.map((layer) => ({ layer, weights })) : [];
    // What the recipe says of single layers stays.
    const given = new Set(recipe.layers.map(({ layer }) => layer));
    const trial = {
      ...plain,
      ...form,
      layers: [...layers.filter(({ layer }) => !given.has(layer)), ...recipe.layers],
    };
    profiles.push(await profileOf(network, trial, signal));
    onForm((i + 1) / forms.length);
  }
  const times: LayerTimes[] = names
    .filter((name) => profiles.every((entry) => entry.times.has(name)))
    .map((layer) => ({ layer, milliseconds: profiles.map((entry) => entry.times.get(layer)!) }));
  const [own] = profiles;
  const inLayers = times.reduce((sum, { milliseconds }) => sum + milliseconds[0]!, 0);
  return { ...recipe, times, otherMilliseconds: Math.max(0, own!.profile.minimum - inLayers) };
}
