// Items of a list (see sums_lists.h) sorted into runs.
#pragma once

#include <cstdint>

#include "kernels/ternary_conv/growing_array.h"

namespace trefoil {

// Two sums of table entries for a filter.
struct SumItem {
  std::uint32_t head;
  std::uint32_t begin;          // of the first sum's offsets, then the second's, in RunWriter::offsets
  std::uint16_t first, second;  // their numbers
};

// Collects the items of a list and writes them as runs.
class RunWriter {
 public:
  // zero_entry: the offset that fills items up where that makes runs longer; tile: vectors of an entry.
  RunWriter(std::uint32_t zero_entry, int tile) : zero_entry_(zero_entry), tile_(tile) {}

  void clear() {
    items_.clear();
    offsets_.clear();
  }
  bool reserve(std::size_t items, std::size_t offsets) {
    return items_.reserve(items) && offsets_.reserve(offsets);
  }
  // Returns where the item's offsets go.
  std::uint32_t* put(std::uint32_t head, std::size_t first, std::size_t second) {
    items_.put({head, static_cast<std::uint32_t>(offsets_.count()), static_cast<std::uint16_t>(first),
                static_cast<std::uint16_t>(second)});
    return offsets_.extend(first + second);
  }

  // Appends the runs to `words`; false where memory is out.
  bool write(GrowingArray<std::uint32_t>& words);

 private:
  // Items whose numbers of entries are the same.
  struct Run {
    std::uint32_t first, second, items;
  };

  bool sort(std::uint32_t unit);
  bool chooseUnit(std::uint32_t& unit);
  std::uint32_t cost(std::uint32_t unit);

  std::uint32_t zero_entry_;
  int tile_;
  GrowingArray<SumItem> items_, sorted_;
  GrowingArray<std::uint32_t> offsets_, counts_, keys_;
  GrowingArray<Run> runs_;
};

}  // namespace trefoil
