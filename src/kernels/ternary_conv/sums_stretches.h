// The look-ups of stretches of codes that share a scale, straight into a list's runs.
#pragma once

#include <array>

#include "base/ternary.h"
#include "kernels/conv.h"
#include "kernels/ternary_conv/sums_layout.h"
#include "kernels/ternary_conv/sums_runs.h"

namespace trefoil {

// What SumMode::kRuns says of filters, for 16-bit sums of four channels and one-sided scales of long groups:
// several times as fast as looking at each look-up's scale.
class StretchPacker {
 public:
  static bool fits(const TernaryWeights& weights, const SumKind& kind);

  StretchPacker(const ConvTask& task, const TernaryWeights& weights, const SumLayout& layout);

  // Begins a list of `filters` filters; false where memory is out. `runs` has to be cleared.
  bool begin(int block, int kernel_row, int filters, RunWriter& runs);
  // Adds a filter's items; false where memory is out.
  bool add(int filter, std::uint32_t place_in_list, RunWriter& runs);

 private:
  // Codes of every filter.
  struct Stretch {
    std::uint32_t first;  // code of the filter
    std::uint32_t scale;  // of the filter
    std::uint32_t table;  // offset of the first group's entries
    std::uint16_t groups;
    std::uint16_t rest;  // codes in the last group if fewer than four, which comes on top
  };
  struct Scaled {
    const std::int8_t* codes;
    const Stretch* stretch;
    std::uint32_t scale;
  };
  // Offsets of added entries go up from one end of the list's room, those of subtracted ones down from the
  // other.
  struct Sum {
    std::uint32_t *added, *subtracted;
    std::uint32_t positive, negative;  // codes
  };

  static void addGroups(const std::uint64_t* looks, const std::int8_t* codes, int groups, std::uint32_t table,
                        std::uint32_t step, Sum& sum);
  bool addStretch(const Scaled& scaled, std::uint32_t head, RunWriter& runs);
  bool endItem(std::uint32_t head, RunWriter& runs);
  std::uint32_t roomInSum() const { return limit_ - std::max(sum_.positive, sum_.negative); }

  const ConvTask& task_;
  const TernaryWeights& weights_;
  const SumLayout& layout_;
  std::uint32_t group_step_;  // bytes from a group's entries to the next one's
  std::array<std::uint64_t, 256> looks_{};
  std::uint32_t limit_;  // codes of a sign in a sum of 16 bits
  Sum sum_{};
  std::uint32_t *item_added_ = nullptr, *item_subtracted_ = nullptr;  // where the item's offsets begin
  GrowingArray<Stretch> stretches_;
  GrowingArray<Scaled> scaled_;
};

}  // namespace trefoil
