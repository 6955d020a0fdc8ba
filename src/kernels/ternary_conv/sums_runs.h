// Items of a list (see sums_lists.h) sorted into runs.
#pragma once

#include <cstdint>

#include "kernels/ternary_conv/growing_array.h"

namespace trefoil {

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
  // An item of two sums of table entries for a filter. Returns where its offsets go.
  std::uint32_t* put(std::uint32_t head, std::size_t first, std::size_t second) {
    std::uint32_t* const to = offsets_.extend(first + second);
    put(head, to, first, to + first, second);
    return to;
  }

  // Room for `count` offsets, to be filled in by the caller.
  std::uint32_t* extend(std::size_t count) { return offsets_.extend(count); }
  // An item whose offsets lie in such room.
  void put(std::uint32_t head, const std::uint32_t* firsts, std::size_t first, const std::uint32_t* seconds,
           std::size_t second) {
    items_.put({head, static_cast<std::uint32_t>(firsts - offsets_.data()),
                static_cast<std::uint32_t>(seconds - offsets_.data()), static_cast<std::uint16_t>(first),
                static_cast<std::uint16_t>(second)});
  }

  // Appends the runs to `words`; false where memory is out.
  bool write(GrowingArray<std::uint32_t>& words);

 private:
  struct Item {
    std::uint32_t head;
    std::uint32_t firsts, seconds;  // where their offsets begin in offsets_
    std::uint16_t first, second;    // their numbers
  };
  // Numbers of entries that are the same up to a unit make a class; its items are a run.
  struct Classes {
    std::uint32_t unit, seconds;  // classes of second numbers
    std::uint32_t of(std::uint32_t first, std::uint32_t second) const {
      return (first + unit - 1) / unit * seconds + (second + unit - 1) / unit;
    }
  };

  Classes classesOf(std::uint32_t unit) const;
  bool count(const Classes& classes);
  bool chooseUnit(std::uint32_t& unit);
  bool cost(std::uint32_t unit, std::uint32_t& cost);

  std::uint32_t zero_entry_;
  int tile_;
  std::uint32_t most_first_ = 0, most_second_ = 0;
  GrowingArray<Item> items_;
  GrowingArray<std::uint32_t> offsets_;
  GrowingArray<std::uint32_t> counts_;  // items of a class
  GrowingArray<std::uint32_t> places_;  // of a class's next item in the list
  GrowingArray<std::uint8_t> seen_;
};

}  // namespace trefoil
