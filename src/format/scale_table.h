// Scales of a plane as the file holds them: a byte each, or, where every filter makes do with 2, 4 or 8
// different ones (its levels), an index of 1, 2 or 3 bits into them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace trefoil {

inline constexpr int kMaxIndexBits = 3;

struct ScaleTable {
  int index_bits = 0;  // 0: no indices, `values` are the scales
  // Else the levels, [filters][2^index_bits], each filter's by rising value; places left over repeat the
  // last.
  std::vector<std::uint8_t> values;
  // Scale i takes the bits from i * index_bits on, lowest first, in bytes filled from their lowest bit.
  std::vector<std::uint8_t> indices;

  std::size_t bytes() const { return values.size() + indices.size(); }
  int bitsPerScale() const { return index_bits == 0 ? 8 : index_bits; }
};

// The shortest form, without loss; of equal length the one with fewer bits an index, 8-bit scales before all.
// scales: [filters][any equal number of them].
ScaleTable packScales(std::span<const std::uint8_t> scales, std::size_t filters);

// The reverse, for `count` scales, a multiple of `filters` > 0. Safe for untrusted input. Errors: kBadModel
// where the parts do not have the lengths that packScales() gives them, or bits behind the last index are
// set.
Result<std::vector<std::uint8_t>> unpackScales(const ScaleTable& table, std::size_t filters,
                                               std::size_t count);

}  // namespace trefoil
