// One axis of an antialiased triangle-filter resize, with the weights of Pillow's 8-bit BILINEAR.
#pragma once

#include <cstdint>
#include <vector>

namespace trefoil {

inline constexpr int kWeightBits = 22;

// Output pixel i is the sum over t in 0..counts[i] - 1 of weights[i * stride + t] * in[starts[i] + t],
// rounded half up and shifted right by kWeightBits. The weights of a pixel add up to about 1 << kWeightBits.
struct ResampleAxis {
  std::vector<std::int32_t> starts;
  std::vector<std::int32_t> counts;
  std::vector<std::int32_t> weights;
  std::size_t stride = 0;
};

// Weights for the `count` pixels from `first` on, of an axis that is resized from `in` to `out` pixels.
ResampleAxis makeResampleAxis(int in, std::int64_t out, std::int64_t first, int count);

}  // namespace trefoil
