#include "kernels/ternary_conv/sums_runs.h"

namespace trefoil {
namespace {

// A table of all classes has to fit into the first-level cache with most weights, and into memory with any.
constexpr std::uint32_t kMostClasses = 1 << 16;

constexpr std::uint32_t roundUp(std::uint32_t number, std::uint32_t unit) {
  return (number + unit - 1) / unit * unit;
}

// Few of them, which a call of memcpy would take longer for.
inline std::uint32_t* copyOffsets(const std::uint32_t* from, std::uint32_t count, std::uint32_t* to) {
  const std::uint32_t* const end = from + count;
  for (; end - from >= 4; from += 4, to += 4) std::memcpy(to, from, 4 * sizeof(*to));
  while (from < end) *to++ = *from++;
  return to;
}

}  // namespace

RunWriter::Classes RunWriter::classesOf(std::uint32_t unit) const {
  return {unit, roundUp(most_second_, unit) / unit + 1};
}

// Fills counts_; false where memory is out.
bool RunWriter::count(const Classes& classes) {
  const std::size_t all = classes.of(most_first_, most_second_) + 1;
  counts_.clear();
  if (!counts_.reserve(all)) return false;
  std::fill_n(counts_.extend(all), all, 0);
  for (std::size_t i = 0; i < items_.count(); ++i) ++counts_[classes.of(items_[i].first, items_[i].second)];
  return true;
}

// Filling items up costs look-ups; a change of the numbers costs mispredicted branches. counts_ are by 1.
bool RunWriter::cost(std::uint32_t unit, std::uint32_t& cost) {
  constexpr std::uint32_t kChange = 20;  // cycles; a vector of an entry takes about half of one
  const Classes classes = classesOf(unit);
  const std::size_t all = classes.of(most_first_, most_second_) + 1;
  seen_.clear();
  if (!seen_.reserve(all)) return false;
  std::fill_n(seen_.extend(all), all, 0);
  std::uint32_t fill = 0, changes = 0;
  const std::uint32_t* items = counts_.data();
  for (std::uint32_t first = 0; first <= most_first_; ++first) {
    for (std::uint32_t second = 0; second <= most_second_; ++second, ++items) {
      if (*items == 0) continue;
      fill += *items * (roundUp(first, unit) - first + roundUp(second, unit) - second);
      changes += 1U - std::exchange(seen_[classes.of(first, second)], 1);
    }
  }
  cost = fill * static_cast<std::uint32_t>(tile_ + 1) / 2 + changes * kChange;
  return true;
}

// Leaves counts_ by that unit; false where memory is out.
bool RunWriter::chooseUnit(std::uint32_t& unit) {
  unit = 1;
  while (std::uint64_t{roundUp(most_first_, unit) / unit + 1} * (roundUp(most_second_, unit) / unit + 1) >
         kMostClasses) {
    unit *= 2;
  }
  if (!count(classesOf(unit))) return false;
  if (unit > 1) return true;
  std::uint32_t best = 0;
  if (!cost(1, best)) return false;
  for (const std::uint32_t candidate : {2, 4}) {
    std::uint32_t candidate_cost = 0;
    if (!cost(candidate, candidate_cost)) return false;
    if (candidate_cost >= best) continue;
    best = candidate_cost;
    unit = candidate;
  }
  return unit == 1 || count(classesOf(unit));
}

bool RunWriter::write(GrowingArray<std::uint32_t>& words) {
  most_first_ = most_second_ = 0;
  for (std::size_t i = 0; i < items_.count(); ++i) {
    most_first_ = std::max<std::uint32_t>(most_first_, items_[i].first);
    most_second_ = std::max<std::uint32_t>(most_second_, items_[i].second);
  }
  std::uint32_t unit = 1;
  if (!chooseUnit(unit)) return false;
  const Classes classes = classesOf(unit);

  places_.clear();
  if (!places_.reserve(counts_.count())) return false;
  std::size_t end = words.count();
  for (std::uint32_t c = 0; c < counts_.count(); ++c) {
    const std::size_t length = 1 + (c / classes.seconds + c % classes.seconds) * unit;
    places_.put(static_cast<std::uint32_t>(end + 2));
    if (counts_[c] > 0) end += 2 + counts_[c] * length;
  }
  if (!words.reserve(end + 1 - words.count())) return false;
  words.extend(end - words.count());
  for (std::uint32_t c = 0; c < counts_.count(); ++c) {
    if (counts_[c] == 0) continue;
    words[places_[c] - 2] = counts_[c];
    words[places_[c] - 1] = c / classes.seconds * unit | c % classes.seconds * unit << 16;
  }
  for (std::size_t i = 0; i < items_.count(); ++i) {
    const Item& item = items_[i];
    const std::uint32_t first = roundUp(item.first, unit), second = roundUp(item.second, unit);
    std::uint32_t& place = places_[classes.of(item.first, item.second)];
    std::uint32_t* to = &words[place];
    place += 1 + first + second;
    *to++ = item.head;
    to = copyOffsets(offsets_.data() + item.firsts, item.first, to);
    for (std::uint32_t k = item.first; k < first; ++k) *to++ = zero_entry_;
    to = copyOffsets(offsets_.data() + item.seconds, item.second, to);
    for (std::uint32_t k = item.second; k < second; ++k) *to++ = zero_entry_;
  }
  words.put(0);
  return true;
}

}  // namespace trefoil
