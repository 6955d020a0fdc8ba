// The networks of the benchmark as lists of layers, without weights: written from the papers' tables in the variants that
// torchvision made common (strides in the 3x3 convolutions of ResNet-50, one tower in AlexNet).
//
// A layer is { op, name, inputs, shape, activation, ... }; its result goes by the layer's name. Shapes are [channels, rows,
// columns] or [features]. The network's input is called "input".

class Builder {
  layers = [];
  shapes = new Map();

  constructor(shape) {
    this.shapes.set('input', shape);
    this.inputShape = shape;
  }

  add(op, inputs, shape, fields = {}) {
    const name = `${op}${this.layers.length}`;
    this.layers.push({ op, name, inputs, shape, activation: '', ...fields });
    this.shapes.set(name, shape);
    return name;
  }

  conv(from, channels, kernel, { stride = 1, pad = 0, groups = 1, activation = '' } = {}) {
    const [depth, ...sides] = this.shapes.get(from);
    const shape = [channels, ...sides.map((side) => windows(side, kernel, stride, pad))];
    const weights = [channels, depth / groups, kernel, kernel];
    return this.add('conv', [from], shape, { kernel, stride, pad, groups, activation, weights });
  }

  dense(from, features, activation = '') {
    const weights = [features, this.shapes.get(from)[0]];
    return this.add('dense', [from], [features], { activation, weights });
  }

  maxPool(from, kernel, stride, pad = 0) {
    const [depth, ...sides] = this.shapes.get(from);
    const shape = [depth, ...sides.map((side) => windows(side, kernel, stride, pad))];
    return this.add('maxPool', [from], shape, { kernel, stride, pad });
  }

  sum(a, b, activation = '') {
    return this.add('sum', [a, b], this.shapes.get(a), { activation });
  }

  concat(...from) {
    const shapes = from.map((name) => this.shapes.get(name));
    return this.add('concat', from, [shapes.reduce((sum, [depth]) => sum + depth, 0), ...shapes[0].slice(1)]);
  }

  average(from) {
    return this.add('average', [from], [this.shapes.get(from)[0], 1, 1]);
  }

  flatten(from) {
    const shape = this.shapes.get(from);
    return this.add('flatten', [from], [shape.reduce((size, side) => size * side, 1)], { from: shape });
  }
}

const windows = (side, kernel, stride, pad) => Math.floor((side + 2 * pad - kernel) / stride) + 1;
const relu = { activation: 'relu' };

function resnet(blocks, block, { size = 224, width = 64 } = {}) {
  const net = new Builder([3, size, size]);
  let x = net.maxPool(net.conv('input', width, 7, { stride: 2, pad: 3, ...relu }), 3, 2, 1);
  blocks.forEach((count, stage) => {
    for (let i = 0; i < count; ++i) x = block(net, x, width << stage, stage > 0 && i === 0 ? 2 : 1);
  });
  net.dense(net.flatten(net.average(x)), 1000);
  return net;
}

function shortcut(net, x, channels, stride) {
  return stride === 1 && net.shapes.get(x)[0] === channels ? x : net.conv(x, channels, 1, { stride });
}

function basicBlock(net, x, width, stride) {
  const inner = net.conv(x, width, 3, { stride, pad: 1, ...relu });
  return net.sum(net.conv(inner, width, 3, { pad: 1 }), shortcut(net, x, width, stride), 'relu');
}

function bottleneck(net, x, width, stride) {
  const narrow = net.conv(x, width, 1, relu);
  const inner = net.conv(narrow, width, 3, { stride, pad: 1, ...relu });
  return net.sum(net.conv(inner, 4 * width, 1), shortcut(net, x, 4 * width, stride), 'relu');
}

function alexnet() {
  const net = new Builder([3, 224, 224]);
  let x = net.maxPool(net.conv('input', 64, 11, { stride: 4, pad: 2, ...relu }), 3, 2);
  x = net.maxPool(net.conv(x, 192, 5, { pad: 2, ...relu }), 3, 2);
  for (const channels of [384, 256, 256]) x = net.conv(x, channels, 3, { pad: 1, ...relu });
  x = net.flatten(net.maxPool(x, 3, 2));
  net.dense(net.dense(net.dense(x, 4096, 'relu'), 4096, 'relu'), 1000);
  return net;
}

function squeezenet() {
  const net = new Builder([3, 224, 224]);
  const fire = (from, squeeze, expand) => {
    const narrow = net.conv(from, squeeze, 1, relu);
    return net.concat(net.conv(narrow, expand, 1, relu), net.conv(narrow, expand, 3, { pad: 1, ...relu }));
  };
  let x = net.maxPool(net.conv('input', 64, 3, { stride: 2, ...relu }), 3, 2);
  x = net.maxPool(fire(fire(x, 16, 64), 16, 64), 3, 2);
  x = net.maxPool(fire(fire(x, 32, 128), 32, 128), 3, 2);
  x = fire(fire(fire(fire(x, 48, 192), 48, 192), 64, 256), 64, 256);
  net.flatten(net.average(net.conv(x, 1000, 1, relu)));
  return net;
}

function mobilenet() {
  const net = new Builder([3, 224, 224]);
  const relu6 = { activation: 'relu6' };
  let x = net.conv('input', 32, 3, { stride: 2, pad: 1, ...relu6 });
  const block = (from, expansion, channels, stride) => {
    const depth = net.shapes.get(from)[0];
    const groups = depth * expansion;
    const wide = expansion === 1 ? from : net.conv(from, groups, 1, relu6);
    const inner = net.conv(wide, groups, 3, { stride, pad: 1, groups, ...relu6 });
    const narrow = net.conv(inner, channels, 1);
    return stride === 1 && depth === channels ? net.sum(from, narrow) : narrow;
  };
  const stages = [
    // expansion, channels, blocks, stride
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
  ];
  for (const [expansion, channels, blocks, stride] of stages) {
    for (let i = 0; i < blocks; ++i) x = block(x, expansion, channels, i === 0 ? stride : 1);
  }
  net.dense(net.flatten(net.average(net.conv(x, 1280, 1, relu6))), 1000);
  return net;
}

/** One layer of every kind, small: for the test of this benchmark. */
function tiny() {
  const net = new Builder([3, 32, 32]);
  let x = net.maxPool(net.conv('input', 16, 3, { stride: 2, pad: 1, ...relu }), 3, 2, 1);
  x = basicBlock(net, x, 16, 1);
  x = net.conv(x, 16, 3, { stride: 2, pad: 1, groups: 16, activation: 'relu6' });
  x = net.concat(net.conv(x, 16, 1, relu), net.conv(x, 16, 3, { pad: 1, ...relu }));
  x = net.dense(net.flatten(x), 32, 'relu');
  net.dense(x, 10);
  return net;
}

/** ResNet-18, 34, 50, 101 or 152, for pictures of size x size and with `width` channels in the first stage. */
export function resnetOfDepth(depth, options) {
  const deep = depth >= 50;
  const blocks = {
    18: [2, 2, 2, 2],
    34: [3, 4, 6, 3],
    50: [3, 4, 6, 3],
    101: [3, 4, 23, 3],
    152: [3, 8, 36, 3],
  }[depth];
  return resnet(blocks, deep ? bottleneck : basicBlock, options);
}

export const networks = {
  resnet50: () => resnetOfDepth(50),
  resnet18: () => resnetOfDepth(18),
  alexnet,
  squeezenet,
  mobilenet,
  tiny,
};

/** Multiply-accumulates of one image. */
export function macsOf({ layers }) {
  return layers.reduce((sum, { weights, shape, op }) => {
    if (!weights) return sum;
    const each = weights.slice(1).reduce((size, side) => size * side, 1);
    return sum + each * (op === 'conv' ? shape.reduce((size, side) => size * side, 1) : shape[0]);
  }, 0);
}
