// From channels, rows, columns to rows, columns, channels: for the peers that want it so.

/** [channels, rows, columns] to [rows, columns, channels]; vectors stay. */
export function channelsLast(values, shape) {
  if (shape.length < 3) return values;
  const [channels, height, width] = shape;
  const size = height * width;
  const moved = new values.constructor(values.length);
  for (let channel = 0; channel < channels; ++channel) {
    for (let i = 0; i < size; ++i) moved[i * channels + channel] = values[channel * size + i];
  }
  return moved;
}

/** The shape that goes with it, a batch of one in front. */
export const lastShape = (shape) => (shape.length < 3 ? [1, ...shape] : [1, ...shape.slice(1), shape[0]]);

/** Each filter's weights [depth, rows, columns] to [rows, columns, depth]. */
export function filtersLast(values, [filters, ...shape]) {
  const each = values.length / filters;
  const moved = new values.constructor(values.length);
  for (let filter = 0; filter < filters; ++filter) {
    moved.set(channelsLast(values.subarray(filter * each, (filter + 1) * each), shape), filter * each);
  }
  return moved;
}

/** [rows, columns] to [columns, rows]. */
export function transposed(values, [rows, columns]) {
  const moved = new values.constructor(values.length);
  for (let row = 0; row < rows; ++row) {
    for (let column = 0; column < columns; ++column) {
      moved[column * rows + row] = values[row * columns + column];
    }
  }
  return moved;
}

/** Weights of a dense layer with their inputs in the order in which a flattened channels-last tensor has them. */
export function denseChannelsLast(layer, layers) {
  const from = layers.find(({ name }) => name === layer.inputs[0]);
  if (from?.op !== 'flatten') return layer.values;
  const shape = from.from;
  return shape.length < 3 || shape[1] * shape[2] === 1
    ? layer.values
    : filtersLast(layer.values, [layer.weights[0], ...shape]);
}
