// Product of two tensors, or of a tensor and one value a channel:
// q' = clamp(zero_point + rshift((a - za) * (b - zb) * factor)).
#pragma once

#include <span>

#include "base/fixed_point.h"
#include "kernels/variant.h"

namespace trefoil {

struct MulTask {
  Shape shape;               // of `a` and of the result
  bool per_channel = false;  // b is {C, 1, 1}: one byte a channel, without gaps
  int zero_points[2] = {0, 0};
  FixedPoint factor;
  int zero_point = 0, low = 0, high = 255;
};

using MulFn = void(const MulTask& task, const std::uint8_t* a, const std::uint8_t* b, std::uint8_t* out,
                   Part part);

// Whole tasks; the table's rows cut them into parts.
void mulScalar(const MulTask& task, const std::uint8_t* a, const std::uint8_t* b, std::uint8_t* out);
void mulSimd128(const MulTask& task, const std::uint8_t* a, const std::uint8_t* b, std::uint8_t* out);

std::span<const Variant<MulFn>> mulVariants();

}  // namespace trefoil
