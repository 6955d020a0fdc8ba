// Convolution with one 16-bit number a weight: what int8 weights widen to, and what ternary weights become
// when scale and code are multiplied out (at most 510 with two planes). int8_conv/ and ternary_conv/ list
// these kernels in their tables of variants and call them with weights in the order [K][R][S][C / groups].
// See kernels/conv.h for the members of a kernel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/conv.h"

namespace trefoil {

struct ConvI16Kernel {
  bool (*supports)(const ConvTask& task);
  AlignedBuffer (*pack)(const ConvTask& task, std::span<const std::int16_t> weights);
  std::size_t (*scratchBytes)(const ConvTask& task);
  void (*run)(const ConvTask& task, const AlignedBuffer& packed, const std::uint8_t* input, void* output,
              std::uint8_t* scratch, Part part);
};

extern const ConvI16Kernel kConvI16Fc;           // one pixel, one group
extern const ConvI16Kernel kConvI16Depthwise35;  // one channel a group, 3x3 and 5x5
extern const ConvI16Kernel kConvI16Depthwise;    // one channel a group
extern const ConvI16Kernel kConvI16Dense;        // every shape
extern const ConvI16Kernel kConvI16Scalar;       // everything; the oracle

}  // namespace trefoil
