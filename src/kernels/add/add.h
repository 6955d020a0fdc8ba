// Residual sum of two tensors, byte by byte: q' = clamp(zero_point + rshift((a - za) * m1 + (b - zb) * m2,
// shift)).
#pragma once

#include <span>

#include "kernels/variant.h"

namespace trefoil {

struct AddTask {
  std::size_t count = 0;  // bytes, gaps between planes included: they hold any value before and after
  int zero_points[2] = {0, 0};
  std::int32_t multipliers[2] = {0, 0};  // |m| <= 2^21, so that the sum and its rounding fit 32 bits
  int shift = 0;                         // 0..30
  int zero_point = 0, low = 0, high = 255;
};

// Multipliers of 16 bits with this shift take a kernel two thirds of the time.
inline constexpr int kShortAddShift = 14;

// The task with such multipliers where some give the same sum for every a in 0..most_a and b in 0..most_b
// (tried one by one), else as it is. For values of a few bits there nearly always are some.
AddTask withShortMultipliers(const AddTask& task, int most_a, int most_b);

using AddFn = void(const AddTask& task, const std::uint8_t* a, const std::uint8_t* b, std::uint8_t* out,
                   Part part);

// Whole tasks; the table's rows cut them into parts.
void addScalar(const AddTask& task, const std::uint8_t* a, const std::uint8_t* b, std::uint8_t* out);
void addSimd128(const AddTask& task, const std::uint8_t* a, const std::uint8_t* b, std::uint8_t* out);

std::span<const Variant<AddFn>> addVariants();

}  // namespace trefoil
