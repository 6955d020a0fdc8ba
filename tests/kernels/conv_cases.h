// Convolutions for the kernels' tests: geometry, random data, and the definition of the result in 64-bit
// integers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "helpers/parts.h"
#include "kernels/conv.h"

namespace conv_cases {

using namespace trefoil;

struct Random {  // xorshift; the same sequence everywhere
  std::uint32_t state;
  explicit Random(std::uint32_t seed) : state(seed * 2654435761u | 1) {}
  std::uint32_t next() {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state >> 3;
  }
  int range(int low, int high) {
    return low + static_cast<int>(next() % static_cast<std::uint32_t>(high - low + 1));
  }
  bool chance(int percent) { return range(1, 100) <= percent; }
};

struct Geometry {
  Shape in;
  int filters;
  Window window;
  int groups = 1;
  int bits = 8;
};

inline int outputSize(int in, int before, int after, int kernel, int stride, int dilation) {
  return (in + before + after - (kernel - 1) * dilation - 1) / stride + 1;
}

inline Shape outputShape(const Geometry& g) {
  const Window& w = g.window;
  return {g.filters, outputSize(g.in.height, w.pad_top, w.pad_bottom, w.kernel_h, w.stride_h, w.dilation_h),
          outputSize(g.in.width, w.pad_left, w.pad_right, w.kernel_w, w.stride_w, w.dilation_w)};
}

inline std::string describe(const Geometry& g) {
  const Window& w = g.window;
  const auto text = [](int number) { return std::to_string(number); };
  return text(g.in.channels) + "x" + text(g.in.height) + "x" + text(g.in.width) + " to " + text(g.filters) +
         " kernel " + text(w.kernel_h) + "x" + text(w.kernel_w) + " stride " + text(w.stride_h) + "," +
         text(w.stride_w) + " dilation " + text(w.dilation_h) + "," + text(w.dilation_w) + " pads " +
         text(w.pad_top) + "," + text(w.pad_left) + "," + text(w.pad_bottom) + "," + text(w.pad_right) +
         " groups " + text(g.groups) + " bits " + text(g.bits);
}

// Sizes that are awkward for some kernel or other.
inline std::vector<Geometry> awkwardGeometries() {
  const auto same = [](int kernel, int stride) {
    const int pad = kernel / 2;
    return Window{kernel, kernel, stride, stride, 1, 1, pad, pad, pad, pad};
  };
  return {
      {{1, 1, 1}, 1, {}},     // one of everything
      {{8, 1, 1}, 5, {}},     // fully connected
      {{257, 1, 1}, 33, {}},  // the same, odd and beyond one block
      {{300, 1, 1}, 64, {}, 1, 4},
      {{8, 1, 1}, 8, {}, 2},                            // one pixel in groups
      {{16, 2, 2}, 32, {}},                             // a plane below one vector
      {{12, 1, 9}, 28, {}},                             // one row
      {{5, 7, 7}, 3, {}},                               // channels not a multiple of 4
      {{68, 7, 7}, 37, {}},                             // tail groups of 64, odd filters
      {{150, 13, 13}, 29, {}},                          // several blocks of channels
      {{8, 6, 10}, 30, {1, 1, 2, 2}},                   // strided 1x1
      {{7, 9, 5}, 31, {1, 1, 3, 2, 1, 1, 1, 0, 2, 1}},  // strided 1x1 with padding
      {{8, 7, 7}, 8, same(3, 1)},
      {{70, 7, 7}, 9, same(3, 1)},
      {{5, 3, 5}, 11, same(3, 1)},
      {{8, 14, 14}, 8, same(3, 1)},
      {{4, 13, 13}, 12, same(3, 2)},
      {{6, 17, 70}, 8, same(3, 1)},                        // several column tiles
      {{8, 29, 3}, 8, same(3, 1)},                         // tall and narrow
      {{9, 11, 12}, 8, {3, 3, 1, 1, 2, 2, 2, 2, 2, 2}},    // dilated
      {{4, 12, 15}, 8, {3, 3, 2, 3, 2, 1, 1, 0, 2, 3}},    // strides, dilation and pads all different
      {{3, 21, 19}, 8, same(7, 2)},                        // a first layer
      {{3, 33, 31}, 9, {11, 11, 4, 4, 1, 1, 2, 2, 2, 2}},  // another
      {{1, 9, 70}, 5, {4, 4, 1, 1, 1, 1, 1, 2, 1, 2}},
      {{12, 9, 31}, 7, same(3, 2)},
      {{4, 15, 15}, 8, {5, 3, 3, 3, 1, 2, 0, 2, 1, 2}},
      {{4, 11, 11}, 8, {1, 5, 1, 1, 1, 1, 0, 2, 0, 2}},
      {{4, 11, 11}, 8, {5, 1, 1, 1, 1, 1, 2, 0, 2, 0}},
      {{6, 5, 5}, 4, {5, 5}},  // the kernel covers the image
      {{16, 10, 10}, 24, same(3, 1), 2},
      {{12, 8, 8}, 6, same(3, 1), 3},
      {{10, 20, 20}, 10, same(3, 1), 10},  // depthwise
      {{7, 9, 33}, 14, same(3, 2), 7},     // two filters a channel
      {{3, 13, 6}, 3, same(5, 1), 3},
      {{5, 16, 16}, 5, {4, 2, 3, 1, 2, 3, 1, 2, 3, 0}, 5},
      {{4, 14, 14}, 4, same(3, 1), 4},  // strips that overlap
      {{5, 7, 7}, 5, same(3, 1), 5},    // rows below one strip
      {{3, 4, 4}, 3, same(5, 1), 3},    // the same in a plane without a gap
      {{4, 15, 29}, 4, same(3, 2), 4},
      {{4, 28, 28}, 8, same(5, 2), 4},
      {{2, 14, 3}, 2, same(5, 2), 2},
      {{3, 8, 19}, 3, {3, 3, 2, 2, 1, 1, 0, 0, 1, 1}, 3},  // pads on one side
      {{2, 5, 9}, 2, {5, 5, 1, 1, 1, 1, 3, 4, 4, 3}, 2},   // wide pads
      {{2, 3, 2}, 2, {3, 3, 1, 1, 1, 1, 6, 0, 5, 1}, 2},   // rows of nothing but padding
      {{3, 9, 20}, 3, {3, 3, 1, 1, 1, 1, 0, 0, 0, 0}, 3},  // no padding
      {{2, 3, 3}, 2, {}, 2},
      {{16, 9, 9}, 16, same(3, 1), 1, 4},
      {{40, 7, 7}, 36, {}, 1, 4},
      {{4, 2, 2}, 8, {3, 3, 1, 1, 1, 1, 3, 3, 3, 3}},  // more padding than image
  };
}

inline Geometry randomGeometry(Random& random) {
  for (;;) {
    Geometry g;
    g.groups = random.chance(70) ? 1 : random.range(2, 4);
    const bool depthwise = random.chance(15);
    const int channels = depthwise ? 1 : random.chance(20) ? random.range(33, 140) : random.range(1, 20);
    g.in = {channels * g.groups, random.range(1, 20), random.range(1, 20)};
    g.filters = random.range(1, 12) * g.groups;
    g.window = {random.range(1, 4), random.range(1, 4), random.range(1, 3), random.range(1, 3),
                random.range(1, 2), random.range(1, 2), random.range(0, 2), random.range(0, 2),
                random.range(0, 2), random.range(0, 2)};
    if (depthwise && random.chance(60)) {
      const int kernel = random.chance(50) ? 3 : 5, stride = random.range(1, 2);
      g.window.kernel_h = g.window.kernel_w = kernel;
      g.window.stride_h = g.window.stride_w = stride;
      g.window.dilation_h = g.window.dilation_w = 1;
    } else if (random.chance(40)) {
      g.window = {};
      g.filters = random.range(1, 40) * g.groups;
    }
    g.bits = random.chance(70) ? 8 : 4;
    const Window& w = g.window;
    if (g.in.height + w.pad_top + w.pad_bottom > (w.kernel_h - 1) * w.dilation_h &&
        g.in.width + w.pad_left + w.pad_right > (w.kernel_w - 1) * w.dilation_w) {
      return g;
    }
  }
}

enum class Inputs { kRandom, kLargest };

// A task with its data. The spans of `task` point into this object, so it does not move.
struct Case {
  Case(const Geometry& g, Inputs inputs, bool accumulators, Random& random) : geometry(g) {
    task.in = g.in;
    task.out = outputShape(g);
    task.window = g.window;
    task.groups = g.groups;
    task.input_max = (1 << g.bits) - 1;
    task.accumulators = accumulators;
    const auto value = [&] {
      return static_cast<std::uint8_t>(inputs == Inputs::kLargest ? task.input_max
                                                                  : random.range(0, task.input_max));
    };
    pads.resize(static_cast<std::size_t>(g.in.channels));
    for (auto& pad : pads) pad = value();
    bias.resize(static_cast<std::size_t>(g.filters));
    for (auto& b : bias) b = random.range(-100000, 100000);
    factors.resize(static_cast<std::size_t>(g.filters));
    for (auto& factor : factors) {
      // Some large, so that much is clamped, most of a size at which results spread.
      const int shift = random.chance(20) ? random.range(31, 36) : random.range(37, 48);
      factor = {random.range(1 << 28, std::numeric_limits<std::int32_t>::max() - 1) | 1 << 30,
                static_cast<std::uint8_t>(shift)};
    }
    task.zero_point = random.range(0, 255);
    task.low = random.chance(50) ? 0 : random.range(0, task.zero_point);
    task.high = random.chance(50) ? 255 : random.range(task.zero_point, 255);
    task.pad_values = pads;
    task.bias = bias;
    task.factors = factors;
    input = AlignedBuffer(tensorBytes(g.in));
    // Bytes between planes and behind the tensor may be anything.
    std::memset(input.data(), 0xA5, input.size() + kSlackBytes);
    for (int c = 0; c < g.in.channels; ++c) {
      for (std::int64_t i = 0; i < g.in.plane(); ++i) input.data()[c * planeStride(g.in) + i] = value();
    }
  }
  Case(const Case&) = delete;
  Case& operator=(const Case&) = delete;

  // Input at a tap of output (y, x) of a channel, padding included.
  int inputAt(int channel, int y, int x, int r, int s) const {
    const Window& w = geometry.window;
    const int in_y = y * w.stride_h + r * w.dilation_h - w.pad_top,
              in_x = x * w.stride_w + s * w.dilation_w - w.pad_left;
    if (in_y < 0 || in_y >= geometry.in.height || in_x < 0 || in_x >= geometry.in.width) return pads[channel];
    return input.data()[channel * planeStride(geometry.in) +
                        static_cast<std::size_t>(in_y) * geometry.in.width + in_x];
  }

  std::size_t outputBytes() const {
    return task.accumulators ? static_cast<std::size_t>(task.out.size()) * 4 : tensorBytes(task.out);
  }

  // The result as numbers in [K][H][W] order, by definition. weight(k, r, s, c): scale times code, c within
  // the group.
  template <typename Weight>
  std::vector<std::int64_t> expected(Weight weight) const {
    std::vector<std::int64_t> result;
    for (int k = 0; k < task.out.channels; ++k) {
      const int first_channel = k / task.filtersPerGroup() * task.channelsPerGroup();
      for (int y = 0; y < task.out.height; ++y) {
        for (int x = 0; x < task.out.width; ++x) {
          std::int64_t sum = bias[k];
          for (int r = 0; r < task.window.kernel_h; ++r) {
            for (int s = 0; s < task.window.kernel_w; ++s) {
              for (int c = 0; c < task.channelsPerGroup(); ++c) {
                sum += std::int64_t{weight(k, r, s, c)} * inputAt(first_channel + c, y, x, r, s);
              }
            }
          }
          if (!task.accumulators) {
            const std::int64_t divisor = std::int64_t{1} << factors[k].shift;
            std::int64_t numerator = sum * factors[k].multiplier + divisor / 2;
            std::int64_t quotient = numerator / divisor;
            if (numerator % divisor < 0) --quotient;
            sum = std::clamp<std::int64_t>(task.zero_point + quotient, task.low, task.high);
          }
          result.push_back(sum);
        }
      }
    }
    return result;
  }

  Geometry geometry;
  ConvTask task;
  std::vector<std::uint8_t> pads;
  std::vector<std::int32_t> bias;
  std::vector<FixedPoint> factors;
  AlignedBuffer input;
};

struct Outcome {
  bool in_bounds;                    // nothing behind output or scratch memory was written
  bool disjoint;                     // no byte was written by two parts
  std::vector<std::int64_t> values;  // [K][H][W]
};

inline bool slackIntact(const AlignedBuffer& buffer) {
  bool intact = true;
  for (std::size_t i = 0; i < kSlackBytes; ++i) intact &= buffer.data()[buffer.size() + i] == 0x5C;
  return intact;
}

template <typename Variant>
Outcome runVariant(const Variant& variant, const Case& c, const AlignedBuffer& packed, int parts) {
  const ConvTask& task = c.task;
  AlignedBuffer scratch(variant.scratchBytes(task)), output(c.outputBytes());
  std::memset(output.data(), 0x5C, output.size() + kSlackBytes);
  Outcome outcome{true, true, {}};
  outcome.disjoint =
      testing::runParts(parts, output.size(), 0x5C, output.data(), [&](Part part, std::uint8_t* to) {
        std::memset(scratch.data(), 0x5C, scratch.size() + kSlackBytes);
        variant.run(task, packed, c.input.data(), to, scratch.data(), part);
        outcome.in_bounds &= slackIntact(scratch);
      });
  outcome.in_bounds &= slackIntact(output);
  for (int k = 0; k < task.out.channels; ++k) {
    for (std::int64_t i = 0; i < task.out.plane(); ++i) {
      if (task.accumulators) {
        std::int32_t value;
        std::memcpy(&value, output.data() + (k * task.out.plane() + i) * 4, 4);
        outcome.values.push_back(value);
      } else {
        outcome.values.push_back(output.data()[k * planeStride(task.out) + static_cast<std::size_t>(i)]);
      }
    }
  }
  return outcome;
}

}  // namespace conv_cases
