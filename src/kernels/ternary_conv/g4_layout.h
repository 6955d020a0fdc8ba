// How the sum-table kernel (g4_simd128.cpp) cuts a convolution into tiles and blocks.
//
// Vectors have 8 lanes, one pixel each. A convolution whose outputs sit at their inputs' pixels (1x1, stride
// 1) takes planes as they are: a vector is 8 neighbouring pixels. Any other cuts the output plane into
// lanes_x * lanes_y = 8 blocks; lane l works on block l, and a vector holds the same position of all blocks.
// Then the input of every kernel tap is a whole vector, its position only shifted, however the taps, strides
// and dilations lie.
#pragma once

#include <cstddef>

#include "kernels/conv.h"

namespace trefoil {

inline constexpr int kTableEntries =
    40;  // sums of 4 channels with codes -1, 0, +1, up to sign and without the empty one
inline constexpr int kMaxTile = 8;  // vectors

struct G4Layout {
  bool pointwise = false;  // vectors of neighbouring pixels (strides above 1 are packed away first)
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
  int groups = 0;         // of 4 channels, in one group of the convolution
  int groups_per_block = 0;
  int blocks = 0;
  int ring = 1;  // output rows that one input row reaches

  int rowVectors() const { return columns + halo; }
  int tileBegin(int tile) const {
    return static_cast<int>(static_cast<std::int64_t>(columns) * tile / tiles);
  }
  std::size_t tableBytes() const {
    return static_cast<std::size_t>(groups_per_block) * kTableEntries * entry_vectors * 16;
  }
};

G4Layout g4Layout(const ConvTask& task);

}  // namespace trefoil
