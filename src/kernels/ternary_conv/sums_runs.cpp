#include "kernels/ternary_conv/sums_runs.h"

namespace trefoil {
namespace {

constexpr std::uint32_t roundUp(std::uint32_t number, std::uint32_t unit) {
  return (number + unit - 1) / unit * unit;
}

bool alike(const SumItem& a, const SumItem& b, std::uint32_t unit) {
  return roundUp(a.first, unit) == roundUp(b.first, unit) &&
         roundUp(a.second, unit) == roundUp(b.second, unit);
}

}  // namespace

// By both numbers rounded up to `unit`: two counting sorts.
bool RunWriter::sort(std::uint32_t unit) {
  std::uint32_t most = 0;
  for (std::size_t i = 0; i < items_.count(); ++i) {
    most = std::max<std::uint32_t>({most, items_[i].first, items_[i].second});
  }
  const std::size_t classes = roundUp(most, unit) / unit + 1;
  counts_.clear();
  sorted_.clear();
  if (!counts_.reserve(classes) || !sorted_.reserve(items_.count())) return false;
  for (const bool by_first : {false, true}) {
    const auto key = [&](const SumItem& item) {
      return (std::uint32_t{by_first ? item.first : item.second} + unit - 1) / unit;
    };
    std::fill_n(counts_.data(), classes, 0);
    for (std::size_t i = 0; i < items_.count(); ++i) ++counts_[key(items_[i])];
    std::uint32_t before = 0;
    for (std::size_t c = 0; c < classes; ++c) before += std::exchange(counts_[c], before);
    for (std::size_t i = 0; i < items_.count(); ++i) sorted_[counts_[key(items_[i])]++] = items_[i];
    std::swap_ranges(sorted_.data(), sorted_.data() + items_.count(), items_.data());
  }
  return true;
}

// Filling items up costs look-ups; a change of the numbers costs mispredicted branches.
std::uint32_t RunWriter::cost(std::uint32_t unit) const {
  constexpr std::uint32_t kChange = 40;  // cycles; a vector of an entry takes about half of one
  std::uint32_t fill = 0, runs = 0;
  for (std::size_t i = 0; i < items_.count(); ++i) {
    const SumItem& item = items_[i];
    fill += roundUp(item.first, unit) - item.first + roundUp(item.second, unit) - item.second;
    if (i == 0 || !alike(items_[i - 1], item, unit)) ++runs;
  }
  return fill * static_cast<std::uint32_t>(tile_ + 1) / 2 + runs * kChange;
}

bool RunWriter::write(GrowingArray<std::uint32_t>& words) {
  std::uint32_t best_unit = 1, best = ~std::uint32_t{0};
  for (const std::uint32_t unit : {1, 2, 4}) {
    if (!sort(unit)) return false;
    const std::uint32_t unit_cost = cost(unit);
    if (unit_cost < best) {
      best = unit_cost;
      best_unit = unit;
    }
  }
  const std::uint32_t unit = best_unit;
  if (!sort(unit)) return false;
  // An item is at most filled up by unit - 1 twice; besides its head it may begin a run.
  if (!words.reserve(offsets_.count() + items_.count() * (3 + 2 * unit) + 1)) return false;
  for (std::size_t i = 0, end; i < items_.count(); i = end) {
    end = i + 1;
    while (end < items_.count() && alike(items_[i], items_[end], unit)) ++end;
    const std::uint32_t first = roundUp(items_[i].first, unit), second = roundUp(items_[i].second, unit);
    words.put(static_cast<std::uint32_t>(end - i));
    words.put(first | second << 16);
    for (std::size_t at = i; at < end; ++at) {
      const SumItem& item = items_[at];
      const std::uint32_t* from = offsets_.data() + item.begin;
      words.put(item.head);
      for (std::uint32_t n = 0; n < first; ++n) words.put(n < item.first ? from[n] : zero_entry_);
      from += item.first;
      for (std::uint32_t n = 0; n < second; ++n) words.put(n < item.second ? from[n] : zero_entry_);
    }
  }
  words.put(0);
  return true;
}

}  // namespace trefoil
