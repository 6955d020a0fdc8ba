#include "image/resample.h"

#include <algorithm>
#include <cmath>

namespace trefoil {

// Follows the order of Pillow's floating-point operations, since a weight that rounds the other way would
// show in the image. Only + - * / and conversions: the same in every engine.
ResampleAxis makeResampleAxis(int in, std::int64_t out, std::int64_t first, int count) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double filter_scale = std::max(scale, 1.0);
  const double support = filter_scale;  // the triangle reaches one (scaled) pixel to either side
  const double inverse = 1.0 / filter_scale;

  ResampleAxis axis;
  axis.stride = static_cast<std::size_t>(std::ceil(support)) * 2 + 1;
  axis.starts.resize(static_cast<std::size_t>(count));
  axis.counts.resize(static_cast<std::size_t>(count));
  axis.weights.resize(axis.stride * static_cast<std::size_t>(count));
  std::vector<double> reals(axis.stride);
  for (std::size_t i = 0; i < axis.starts.size(); ++i) {
    const double center = (static_cast<double>(first + static_cast<std::int64_t>(i)) + 0.5) * scale;
    const int start = std::max(0, static_cast<int>(center - support + 0.5));
    const int end = std::min(in, static_cast<int>(center + support + 0.5));
    const int taps = end - start;
    double sum = 0;
    for (int t = 0; t < taps; ++t) {
      const double distance = std::abs((t + start - center + 0.5) * inverse);
      const double weight = distance < 1.0 ? 1.0 - distance : 0.0;
      reals[static_cast<std::size_t>(t)] = weight;
      sum += weight;
    }
    std::int32_t* weights = axis.weights.data() + i * axis.stride;
    for (int t = 0; t < taps; ++t) {
      double real = reals[static_cast<std::size_t>(t)];
      if (sum != 0.0) real /= sum;
      weights[t] = static_cast<std::int32_t>(0.5 + real * (1 << kWeightBits));
    }
    axis.starts[i] = start;
    axis.counts[i] = taps;
  }
  return axis;
}

}  // namespace trefoil
