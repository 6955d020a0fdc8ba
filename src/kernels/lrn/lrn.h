// Local response normalization across channels: with S the sum of (q - z)^2 over `size` channels around c
// (those that exist, from c - (size - 1) / 2), q' = clamp(zero_point + rshift((q - z) * table[min(S >>
// table_shift, last)], shift)).
#pragma once

#include <span>

#include "kernels/variant.h"

namespace trefoil {

struct LrnTask {
  Shape shape;
  int size = 5;                         // 1..4096, so that S fits 32 bits
  int table_shift = 0;                  // 0..31
  std::span<const std::int32_t> table;  // 1..4096 entries of 0..2^21
  int shift = 0;                        // 0..62
  int input_zero_point = 0;
  int zero_point = 0, high = 255;
};

using LrnFn = void(const LrnTask& task, const std::uint8_t* in, std::uint8_t* out, Part part);

void lrnScalar(const LrnTask& task, const std::uint8_t* in, std::uint8_t* out, Part part);

std::span<const Variant<LrnFn>> lrnVariants();

}  // namespace trefoil
