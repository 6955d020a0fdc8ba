// Filters as lists of table entries: what the inner loops of g4_simd128.cpp read.
//
// The packed buffer holds 32-bit words: the mode, the position of every list, and the lists. There is a list
// for each group of the convolution, block of channels, kernel row and slice of kSliceFilters filters, which
// holds, filter by filter:
//   Singles:  n, then n times {offset 0, offset 1, scales}: two table entries, each with its own signed
//   scale. Segments: n, then n times {scales, counts, offsets}: two segments of entries with one scale each;
//   counts holds four
//             bytes, entries to add and to subtract in the first segment, then in the second, and the offsets
//             follow in that order. A segment that is not empty has at least one entry to add.
// Offsets are in bytes from the block's table; scales are two int16, the first one in the lower half. Where
// the number of singles or segments is odd, the last one's partner has scale 0. A few words are readable
// behind every list.
#pragma once

#include "kernels/conv.h"
#include "kernels/ternary_conv/g4_layout.h"

namespace trefoil {

inline constexpr int kSliceFilters = 32;

inline int g4Slices(const ConvTask& task) {
  return (task.filtersPerGroup() + kSliceFilters - 1) / kSliceFilters;
}

enum class G4Mode : std::uint32_t { kSingles, kSegments };

inline const std::uint32_t* g4Words(const AlignedBuffer& packed) {
  return reinterpret_cast<const std::uint32_t*>(packed.data());
}

inline G4Mode g4Mode(const AlignedBuffer& packed) { return static_cast<G4Mode>(g4Words(packed)[0]); }

// The word that holds a list's position.
inline std::size_t g4ListIndex(const G4Layout& layout, const ConvTask& task, int group, int block,
                               int kernel_row, int slice) {
  const std::size_t row =
      (static_cast<std::size_t>(group) * layout.blocks + block) * task.window.kernel_h + kernel_row;
  return row * g4Slices(task) + slice + 1;
}

inline const std::uint32_t* g4List(const AlignedBuffer& packed, std::size_t index) {
  return g4Words(packed) + g4Words(packed)[index];
}

}  // namespace trefoil
