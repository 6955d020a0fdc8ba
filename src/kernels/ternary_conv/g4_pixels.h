// The sum-table kernel's way from planes to vectors and back (see g4_layout.h).
#pragma once

#include "kernels/conv.h"
#include "kernels/ternary_conv/g4_layout.h"

namespace trefoil {

// True where vectors are read from the planes themselves.
bool g4ReadsPlanes(const ConvTask& task, const G4Layout& layout);

// Bytes between channels of what packG4Input() writes, and the room it needs for itself.
std::size_t g4ChannelStride(const ConvTask& task, const G4Layout& layout);
std::size_t g4LineBytes(const ConvTask& task, const G4Layout& layout);

// Brings one group's channels into vectors. `lines`: g4LineBytes().
void packG4Input(const ConvTask& task, const G4Layout& layout, int group, const std::uint8_t* input,
                 std::uint8_t* packed, std::uint8_t* lines);

// Requantizes (or copies) the accumulators of filters first.. of one tile, `width` vectors from `column` in
// row `row`, into the output.
struct G4Tile {
  int row, column, width;
};
void writeG4Output(const ConvTask& task, const G4Layout& layout, const G4Tile& tile, int first_filter,
                   int filters, const std::int32_t* accumulators, std::size_t filter_stride, void* output);

}  // namespace trefoil
