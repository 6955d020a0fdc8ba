// Pointwise functions as tables: q' = table[q], or table[256 * c + q] with one table a channel.
#pragma once

#include <span>

#include "kernels/variant.h"

namespace trefoil {

struct LookupTask {
  Shape shape;
  std::span<const std::uint8_t> table;  // 256 entries, or 256 a channel
  int input_max = 255;                  // the largest q of the input's grid
  bool perChannel() const { return table.size() > 256; }
};

using LookupFn = void(const LookupTask& task, const std::uint8_t* in, std::uint8_t* out, Part part);

// Whole tasks; the table's rows cut them into parts.
void lookupScalar(const LookupTask& task, const std::uint8_t* in, std::uint8_t* out);
void lookupSimd128(const LookupTask& task, const std::uint8_t* in, std::uint8_t* out);

std::span<const Variant<LookupFn>> lookupVariants();

}  // namespace trefoil
