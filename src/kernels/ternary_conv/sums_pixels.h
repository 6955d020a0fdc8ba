// The sum-table kernel's way from planes to vectors and back (see sums_layout.h).
#pragma once

#include "kernels/conv.h"
#include "kernels/ternary_conv/sums_layout.h"

namespace trefoil {

// True where vectors are read from the planes themselves.
bool sumsReadPlanes(const ConvTask& task, const SumLayout& layout);

// Bytes between channels of what packSumInput() writes, and the room it needs for itself.
std::size_t sumChannelStride(const ConvTask& task, const SumLayout& layout);
std::size_t sumLineBytes(const ConvTask& task, const SumLayout& layout);

// Brings one group's channels into vectors. `lines`: sumLineBytes().
void packSumInput(const ConvTask& task, const SumLayout& layout, int group, const std::uint8_t* input,
                  std::uint8_t* packed, std::uint8_t* lines);

// `width` vectors from `column` in row `row`.
struct SumTile {
  int row, column, width;
};

// Where a vector's pixels are among its accumulators.
enum class PixelOrder {
  kNatural,
  kEvenOdd,  // of 8 lanes: pixels 0, 2, 4, 6, 1, 3, 5, 7
};

// Requantizes (or copies) the accumulators of filters first.. of one tile into the output.
void writeSumOutput(const ConvTask& task, const SumLayout& layout, const SumTile& tile, PixelOrder order,
                    int first_filter, int filters, const std::int32_t* accumulators,
                    std::size_t filter_stride, void* output);

}  // namespace trefoil
