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
std::uint32_t RunWriter::cost(std::uint32_t unit) {
  constexpr std::uint32_t kChange = 20;  // cycles; a vector of an entry takes about half of one
  std::uint32_t fill = 0;
  keys_.clear();
  for (std::size_t i = 0; i < runs_.count(); ++i) {
    const Run& run = runs_[i];
    const std::uint32_t first = roundUp(run.first, unit), second = roundUp(run.second, unit);
    fill += run.items * (first - run.first + second - run.second);
    keys_.put(first << 16 | second);
  }
  std::sort(keys_.data(), keys_.data() + keys_.count());
  const auto changes = std::unique(keys_.data(), keys_.data() + keys_.count()) - keys_.data();
  return fill * static_cast<std::uint32_t>(tile_ + 1) / 2 + static_cast<std::uint32_t>(changes) * kChange;
}

// Needs the items sorted by unit 1; false where memory is out.
bool RunWriter::chooseUnit(std::uint32_t& unit) {
  runs_.clear();
  for (std::size_t i = 0; i < items_.count(); ++i) {
    if (i == 0 || !alike(items_[i - 1], items_[i], 1)) {
      if (!runs_.reserve(1)) return false;
      runs_.put({items_[i].first, items_[i].second, 0});
    }
    ++runs_[runs_.count() - 1].items;
  }
  keys_.clear();
  if (!keys_.reserve(runs_.count())) return false;
  std::uint32_t best = cost(unit = 1);
  for (const std::uint32_t candidate : {2, 4}) {
    const std::uint32_t candidate_cost = cost(candidate);
    if (candidate_cost >= best) continue;
    best = candidate_cost;
    unit = candidate;
  }
  return true;
}

bool RunWriter::write(GrowingArray<std::uint32_t>& words) {
  std::uint32_t unit = 1;
  if (!sort(1) || !chooseUnit(unit)) return false;
  if (unit > 1 && !sort(unit)) return false;
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
      std::uint32_t* to = words.extend(1 + first + second);
      *to++ = item.head;
      to = std::fill_n(std::copy_n(from, item.first, to), first - item.first, zero_entry_);
      std::fill_n(std::copy_n(from + item.first, item.second, to), second - item.second, zero_entry_);
    }
  }
  words.put(0);
  return true;
}

}  // namespace trefoil
