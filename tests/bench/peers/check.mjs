// Whether a runner's outputs are right. Only then is it timed.

export function largestError(values, expected) {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return values.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0) / largest;
}

export function correlation(a, b) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  let product = 0;
  let squaresA = 0;
  let squaresB = 0;
  a.forEach((value, i) => {
    product += (value - meanA) * (b[i] - meanB);
    squaresA += (value - meanA) ** 2;
    squaresB += (b[i] - meanB) ** 2;
  });
  return product / Math.sqrt(squaresA * squaresB || 1);
}

/** Of the largest logit: float runners differ by the order of their sums alone. */
export const floatTolerance = 1e-3;
/** Of the logits over both pictures: what int8 with one scale a tensor leaves of networks with random weights. */
export const int8Correlation = 0.9;

/**
 * `outputs` and `expected`: logits by picture. For ternary networks `integers` are the scalar kernels' for the first picture,
 * which must be met to the bit; their agreement with the float network belongs to the quantizer and is only told.
 * Returns { agreement } or { failure }.
 */
export function check({ precision }, outputs, expected, integers) {
  const all = (list) => list.flat();
  const logits = outputs.map((output) => output.logits);
  const agreement = correlation(all(logits), all(expected));
  if (logits.some((values, i) => values.length !== expected[i].length || !values.every(Number.isFinite))) {
    return { failure: 'the outputs are not the logits of all classes' };
  }
  switch (precision) {
    case 'fp32': {
      const error = Math.max(...logits.map((values, i) => largestError(values, expected[i])));
      if (error <= floatTolerance) return { agreement };
      return { failure: `the largest error is ${error.toExponential(1)} of the largest logit` };
    }
    case 'int8':
      if (agreement >= int8Correlation) return { agreement };
      return { failure: `the correlation with the float logits is ${agreement.toFixed(3)}` };
    default: {
      const found = outputs[0].integers;
      const wrong = integers.findIndex((value, i) => value !== found[i]);
      if (wrong < 0 && found.length === integers.length) return { agreement };
      return { failure: `integer ${wrong} is not that of the scalar kernels` };
    }
  }
}
