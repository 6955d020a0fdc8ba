// Filters as lists of table entries: what the inner loops of the sum-table kernels read.
//
// The packed buffer holds 32-bit words: the mode, a constant for each filter to add to its bias, the position
// of every list, and the lists. There is a list for each group of the convolution, block of channels, kernel
// row and slice of filters. It is one of
//   Singles: filter by filter n, then n times {offset 0, offset 1, scales}: two table entries, each with its
//     own signed scale; scales are two int16, the first one in the lower half. Where the number of singles is
//     odd, the last one's partner has scale 0.
//   Runs: {items, counts}, then `items` times {head, offsets}, and so on until items is 0. An item is two
//     sums for a filter, their numbers of entries are the halves of `counts` and the same for all items of a
//     run, so that no end of a loop comes as a surprise. The upper half of `head` is the filter within the
//     slice.
//       16-bit sums: the first one minus the second, times the scale in the lower half of `head`, an int16.
//       8-bit sums: each one times its scale, a byte of `head`; the second may be empty, with scale 0.
// Offsets are in bytes from the block's table. A few words are readable behind every list.
#pragma once

#include "base/ternary.h"
#include "kernels/conv.h"
#include "kernels/ternary_conv/sums_layout.h"

namespace trefoil {

enum class SumMode : std::uint32_t { kSingles, kRuns };

inline const std::uint32_t* sumWords(const AlignedBuffer& packed) {
  return reinterpret_cast<const std::uint32_t*>(packed.data());
}

inline SumMode sumMode(const AlignedBuffer& packed) { return static_cast<SumMode>(sumWords(packed)[0]); }

// One number a filter.
inline const std::uint32_t* sumConstants(const AlignedBuffer& packed) { return sumWords(packed) + 1; }

// The word that holds a list's position.
inline std::size_t sumListIndex(const SumLayout& layout, const ConvTask& task, int group, int block,
                                int kernel_row, int slice) {
  const std::size_t row =
      (static_cast<std::size_t>(group) * layout.blocks + block) * task.window.kernel_h + kernel_row;
  return 1 + static_cast<std::size_t>(task.out.channels) + row * layout.slices + slice;
}

inline const std::uint32_t* sumList(const AlignedBuffer& packed, std::size_t index) {
  return sumWords(packed) + sumWords(packed)[index];
}

// True where several look-ups of a filter share a scale, so that they can be summed first.
bool scalesAreShared(const ConvTask& task, const TernaryWeights& weights, const SumKind& kind);

}  // namespace trefoil
