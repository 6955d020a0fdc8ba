// How the sum-table kernels (sums_simd128.cpp) cut a convolution into tiles and blocks.
//
// Vectors have 8 or 16 lanes, one pixel each. A convolution whose outputs sit at their inputs' pixels (1x1)
// takes planes as they are: a vector is neighbouring pixels. Any other cuts the output plane into lanes_x *
// lanes_y blocks, one a lane; a vector holds the same position of all blocks. Then the input of every kernel
// tap is a whole vector, its position only shifted, however the taps, strides and dilations lie.
#pragma once

#include <cstddef>

#include "kernels/conv.h"

namespace trefoil {

// A sum-table kernel. Tables hold the sums of `depth` channels with codes -1, 0, +1:
// 8 lanes: 16-bit sums for inputs of any width, up to sign; lists say which entries to add and to subtract.
// 16 lanes: 8-bit sums for small inputs, of both signs, where -x is written as input_max - x.
struct SumKind {
  int lanes, depth;
  int most_vectors;  // of a tile, 8 at most
  int table_bytes;   // of a block, about; room for 64 channels is taken anyway
  // Not 0: for scales in groups of up to so many channels that are shared, and for nothing else.
  int largest_group = 0;

  bool bytes() const { return lanes == 16; }
};

inline constexpr int kMaxTile = 8;          // vectors
inline constexpr int kChannelUnit = 64;     // a usual size of groups with one scale, not cut by blocks
inline constexpr int kMostInputBytes = 31;  // of kernels with 16 lanes
inline constexpr int kChunkLimit = 255;     // of a sum in 8 bits

struct SumLayout {
  int lanes = 8, depth = 4, entries = 0;  // entries: sums of `depth` channels
  bool pointwise = false;                 // vectors of neighbouring pixels (strides are packed away first)
  int lanes_x = 1, lanes_y = 1;
  int columns = 0, rows = 0;  // of vectors: a block's outputs; pointwise: one row of all
  int tiles = 0;              // pieces of a row, of at most tile_width vectors
  int tile_width = 0;
  // Input of a block, packed: for every column phase (x mod stride), input_rows rows of columns + halo
  // vectors.
  int input_rows = 0;
  int phases = 1;
  int halo = 0;           // vectors of a row beyond `columns`
  int entry_vectors = 0;  // of one table entry: tile and halo of all phases
  int groups = 0;         // of `depth` channels (fewer at the end of 64), in one group of the convolution
  int groups_per_block = 0;
  int blocks = 0;
  int ring = 1;           // output rows that one input row reaches
  int slice_filters = 0;  // filters of one list
  int slices = 0;
  int bands = 1;  // pieces of a tile's rows that threads may share, where slices are too few for it

  int rowVectors() const { return columns + halo; }
  int tileBegin(int tile) const {
    return static_cast<int>(static_cast<std::int64_t>(columns) * tile / tiles);
  }
  int bandBegin(int band) const { return static_cast<int>(static_cast<std::int64_t>(rows) * band / bands); }
  // Pieces of a tile's work: bands or slices.
  int pieces() const { return bands > 1 ? bands : slices; }
  std::size_t entryBytes() const { return static_cast<std::size_t>(entry_vectors) * 16; }
  // Behind the last entry lies one of zeros.
  std::size_t zeroEntry() const {
    return static_cast<std::size_t>(groups_per_block) * entries * entryBytes();
  }
  int groupsPerUnit() const { return (kChannelUnit + depth - 1) / depth; }
  int firstChannel(int group) const {
    return group / groupsPerUnit() * kChannelUnit + group % groupsPerUnit() * depth;
  }
  // One past the group's last channel, were there enough channels.
  int endChannel(int group) const {
    const int unit_end = (group / groupsPerUnit() + 1) * kChannelUnit, end = firstChannel(group) + depth;
    return end < unit_end ? end : unit_end;
  }
};

SumLayout sumLayout(const ConvTask& task, const SumKind& kind);

}  // namespace trefoil
