// What the benchmarks' networks are made of: numbers that are the same everywhere, weights, and shapes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/ternary.h"
#include "kernels/conv.h"

namespace trefoil::bench {

struct Random {  // xorshift32: fast enough for the weights of whole networks
  std::uint32_t state = 1;
  std::uint32_t operator()() {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state >> 4;
  }
};

// One padded convolution of square images.
struct ConvShape {
  int channels, filters, size, kernel, stride, groups = 1;

  int outSize() const { return (size - 1) / stride + 1; }
};

struct WeightRecipe {
  const char* name;
  int group_size;
  int levels = 0;  // different scales of a filter, 0: any
  int planes = 1;
};

// Half of the codes are zero.
inline TernaryWeights ternaryWeights(const ConvShape& shape, const WeightRecipe& recipe, Random& random) {
  const int channels = shape.channels / shape.groups, taps = shape.kernel * shape.kernel;
  TernaryWeights weights;
  weights.group_size = recipe.group_size;
  weights.planes.resize(static_cast<std::size_t>(recipe.planes));
  for (TernaryPlane& plane : weights.planes) {
    plane.codes.resize(static_cast<std::size_t>(shape.filters) * taps * channels);
    for (auto& code : plane.codes) {
      const std::uint32_t bits = random();
      code = static_cast<std::int8_t>(bits & 1 ? (bits & 2 ? 1 : -1) : 0);
    }
    plane.scales.resize(static_cast<std::size_t>(shape.filters) *
                        scalesPerFilter(channels, taps, recipe.group_size));
    for (auto& scale : plane.scales) {
      const std::uint32_t r = random();
      scale = static_cast<std::uint8_t>(recipe.levels ? 40 * (1 + static_cast<int>(r % recipe.levels))
                                                      : 20 + r % 200);
    }
  }
  return weights;
}

// Sizes and window of a task; its spans, grids and factors are the caller's.
inline ConvTask convTask(const ConvShape& shape) {
  const int out_size = shape.outSize(), pad = shape.kernel / 2;
  ConvTask task;
  task.in = {shape.channels, shape.size, shape.size};
  task.out = {shape.filters, out_size, out_size};
  task.window = {shape.kernel, shape.kernel, shape.stride, shape.stride, 1, 1, pad, pad, pad, pad};
  task.groups = shape.groups;
  return task;
}

}  // namespace trefoil::bench
