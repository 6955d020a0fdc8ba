// Who takes part, and with which files of a model's folder.

export const peers = [
  { runner: 'onnxruntime-web', precision: 'fp32', files: { model: 'float.onnx' } },
  { runner: 'onnxruntime-web', precision: 'int8', files: { model: 'qdq.onnx' } },
  { runner: 'LiteRT.js', precision: 'fp32', files: { model: 'float.tflite' }, browserOnly: true },
  { runner: 'LiteRT.js', precision: 'int8', files: { model: 'int8.tflite' }, browserOnly: true },
  { runner: 'tfjs-wasm', precision: 'fp32', files: { model: 'layers.bin', layers: 'layers.json' } },
];

/** What each network is measured with, of the recipes of models/ternary.mjs. */
export function recipesFor(network) {
  return ['squeezenet', 'mobilenet'].includes(network)
    ? ['default']
    : [
        'n64-a8',
        'n64-a4',
        ...(network.startsWith('resnet') ? ['n64-a4-r8'] : []),
        'n4-l4-a8',
        'n4-a8',
        'n64-p2-a8',
      ];
}

/** The names by which --runners knows them. */
export const families = {
  trefoil: 'trefoil',
  ort: 'onnxruntime-web',
  litert: 'LiteRT.js',
  tfjs: 'tfjs-wasm',
};

export const labelOf = ({ runner, precision, recipe }) => `${runner} ${recipe ?? precision}`;
