#include "format/scale_table.h"

#include <algorithm>
#include <array>

namespace trefoil {
namespace {

std::size_t indexBytes(std::size_t count, int bits) {
  return count / 8 * static_cast<std::size_t>(bits) + (count % 8 * static_cast<std::size_t>(bits) + 7) / 8;
}

// A filter's different scales by rising value; one more than the table can hold where there are too many.
std::vector<std::uint8_t> levelsOf(std::span<const std::uint8_t> scales) {
  std::array<bool, 256> seen{};
  for (const std::uint8_t scale : scales) seen[scale] = true;
  std::vector<std::uint8_t> levels;
  for (std::size_t value = 0; value < seen.size() && levels.size() <= 1U << kMaxIndexBits; ++value) {
    if (seen[value]) levels.push_back(static_cast<std::uint8_t>(value));
  }
  return levels;
}

}  // namespace

ScaleTable packScales(std::span<const std::uint8_t> scales, std::size_t filters) {
  ScaleTable table;
  table.values.assign(scales.begin(), scales.end());
  if (filters == 0 || scales.empty()) return table;
  const std::size_t per_filter = scales.size() / filters;

  std::vector<std::vector<std::uint8_t>> levels(filters);
  std::size_t most = 1;
  for (std::size_t k = 0; k < filters && most <= 1U << kMaxIndexBits; ++k) {
    levels[k] = levelsOf(scales.subspan(k * per_filter, per_filter));
    most = std::max(most, levels[k].size());
  }
  int bits = 1;
  while (most > 1U << bits) ++bits;
  const std::size_t places = std::size_t{1} << bits;
  if (bits > kMaxIndexBits || filters * places + indexBytes(scales.size(), bits) >= scales.size()) {
    return table;
  }

  table.index_bits = bits;
  table.values.clear();
  table.indices.assign(indexBytes(scales.size(), bits), 0);
  for (std::size_t k = 0; k < filters; ++k) {
    const std::vector<std::uint8_t>& own = levels[k];
    for (std::size_t i = 0; i < places; ++i) table.values.push_back(own[std::min(i, own.size() - 1)]);
    for (std::size_t i = k * per_filter; i < (k + 1) * per_filter; ++i) {
      const auto index =
          static_cast<unsigned>(std::lower_bound(own.begin(), own.end(), scales[i]) - own.begin());
      const std::size_t bit = i * static_cast<std::size_t>(bits);
      const unsigned shifted = index << bit % 8;
      table.indices[bit / 8] |= static_cast<std::uint8_t>(shifted);
      if (shifted > 0xff) table.indices[bit / 8 + 1] |= static_cast<std::uint8_t>(shifted >> 8);
    }
  }
  return table;
}

Result<std::vector<std::uint8_t>> unpackScales(const ScaleTable& table, std::size_t filters,
                                               std::size_t count) {
  const auto bad = [](const char* message) { return makeError(ErrorCode::kBadModel, message); };
  if (table.index_bits == 0) {
    if (table.values.size() != count || !table.indices.empty())
      return bad("a plane has too many or few scales");
    return table.values;
  }
  if (table.index_bits < 0 || table.index_bits > kMaxIndexBits) return bad("scale indices of unknown width");
  const auto bits = static_cast<std::size_t>(table.index_bits);
  if (table.values.size() != filters << bits) return bad("a plane has too many or few scale levels");
  if (table.indices.size() != indexBytes(count, table.index_bits)) {
    return bad("a plane has too many or few scale indices");
  }
  std::vector<std::uint8_t> scales(count);
  const std::size_t per_filter = count / filters;
  const unsigned mask = (1U << bits) - 1;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t bit = i * bits;
    unsigned window = table.indices[bit / 8];
    if (bit / 8 + 1 < table.indices.size()) window |= unsigned{table.indices[bit / 8 + 1]} << 8;
    scales[i] = table.values[((i / per_filter) << bits) + (window >> bit % 8 & mask)];
  }
  const std::size_t used = count * bits % 8;
  if (used != 0 && table.indices.back() >> used != 0) return bad("scale indices have bits behind their end");
  return scales;
}

}  // namespace trefoil
