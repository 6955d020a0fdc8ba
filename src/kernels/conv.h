// The task that ternary and int8 convolutions share.
#pragma once

#include <span>

#include "base/fixed_point.h"
#include "kernels/variant.h"

namespace trefoil {

// One convolution, all but its weights and data. Spans stay valid as long as the task is used.
struct ConvTask {
  Shape in, out;
  Window window;
  int groups = 1;
  int input_max = 255;                       // largest input value (255, or 15 at 4 bits); pads included
  std::span<const std::uint8_t> pad_values;  // one an input channel
  std::span<const std::int32_t> bias;        // one a filter
  // Result: q = clamp(zero_point + rshift(A * factors[k]), low, high) as u8 planes; or, where `accumulators`,
  // the int32 A themselves, densely in [K][H][W] order.
  bool accumulators = false;
  std::span<const FixedPoint> factors;  // one a filter
  int zero_point = 0, low = 0, high = 255;

  int channelsPerGroup() const { return in.channels / groups; }
  int filtersPerGroup() const { return out.channels / groups; }
  int taps() const { return window.kernel_h * window.kernel_w; }
};

// A kernel of a convolution over Weights (TernaryWeights, or int8 weights as std::span<const std::int8_t>).
template <typename Weights>
struct ConvVariant {
  std::string_view name;  // unique in its table, for example "g4_simd128"
  Isa isa;
  bool (*supports)(const ConvTask& task, const Weights& weights);
  // Weights in the kernel's own order; made once. An empty buffer means out of memory.
  AlignedBuffer (*pack)(const ConvTask& task, const Weights& weights);
  std::size_t (*scratchBytes)(const ConvTask& task);
  // input: planes; output: planes, or int32 accumulators; scratch: the part's own, 64-byte aligned,
  // scratchBytes() long, any content.
  void (*run)(const ConvTask& task, const AlignedBuffer& packed, const std::uint8_t* input, void* output,
              std::uint8_t* scratch, Part part);
};

}  // namespace trefoil
