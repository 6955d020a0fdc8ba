#include "kernels/ternary_conv/sums_pixels.h"

#include <algorithm>

#include "kernels/conv_geometry.h"
#include "kernels/requantize.h"
#include "kernels/simd_util.h"
#include "kernels/strided_rows.h"

namespace trefoil {
namespace {

// One line of a block row's pixels at one column phase.
int linePixels(const SumLayout& layout) { return layout.lanes_x * layout.columns + layout.halo; }
std::size_t lineStride(const SumLayout& layout) {
  return static_cast<std::size_t>(linePixels(layout)) + StridedRow::kSlack;
}

void packPointwise(const ConvTask& task, const std::uint8_t* plane, std::uint8_t* packed) {
  const StridedRow row(task.out.width, task.in.width, 0, task.window.stride_w);
  for (int y = 0; y < task.out.height; ++y) {
    row.copy(packed + static_cast<std::size_t>(y) * task.out.width,
             plane + static_cast<std::size_t>(y) * task.window.stride_h * task.in.width, 0);
  }
}

// Pixels x..x + 7 of lanes first..first + 7: pixels 2 * i and 2 * i + 1 of all lanes in block[i].
TREFOIL_INLINE void loadLanes(const std::uint8_t* const* lanes, int x, v128_t (&block)[4]) {
  TREFOIL_UNROLL
  for (int i = 0; i < 4; ++i) {
    block[i] = wasm_v128_load64_lane(lanes[2 * i + 1] + x, wasm_v128_load64_zero(lanes[2 * i] + x), 1);
  }
  transpose8x8(block);
}

// vectors: one byte from every lane's line, for `count` neighbouring pixels. May write 7 vectors more.
void gatherLanes(const std::uint8_t* const (&lanes)[16], int lane_count, int count, std::uint8_t* vectors) {
  v128_t low[4], high[4];
  if (lane_count == 8) {
    for (int x = 0; x < count; x += 8, vectors += 64) {
      loadLanes(lanes, x, low);
      TREFOIL_UNROLL
      for (int i = 0; i < 4; ++i) wasm_v128_store(vectors + 16 * i, low[i]);
    }
    return;
  }
  for (int x = 0; x < count; x += 8, vectors += 128) {
    loadLanes(lanes, x, low);
    loadLanes(lanes + 8, x, high);
    TREFOIL_UNROLL
    for (int i = 0; i < 4; ++i) {
      wasm_v128_store(vectors + 32 * i, wasm_i64x2_shuffle(low[i], high[i], 0, 2));
      wasm_v128_store(vectors + 32 * i + 16, wasm_i64x2_shuffle(low[i], high[i], 1, 3));
    }
  }
}

// Lines that the block rows of all lanes read at one column phase.
int lineCount(const ConvTask& task, const SumLayout& layout) {
  return (layout.lanes_y - 1) * layout.rows * task.window.stride_h + layout.input_rows;
}

void packBlocks(const ConvTask& task, const SumLayout& layout, const std::uint8_t* plane, std::uint8_t pad,
                std::uint8_t* packed, std::uint8_t* lines) {
  const Window& window = task.window;
  const std::size_t line_stride = lineStride(layout);
  const int line_count = lineCount(task, layout);
  for (int phase = 0; phase < layout.phases; ++phase) {
    const StridedRow strided(linePixels(layout), task.in.width, phase - window.pad_left, window.stride_w);
    for (int line = 0; line < line_count; ++line) {
      const int y = line - window.pad_top;
      const bool inside = y >= 0 && y < task.in.height;
      strided.copy(lines + line * line_stride,
                   inside ? plane + static_cast<std::size_t>(y) * task.in.width : nullptr, pad);
    }
    const std::uint8_t* lanes[16];
    for (int lane = 0; lane < layout.lanes; ++lane) {
      const int line = lane / layout.lanes_x * layout.rows * window.stride_h;
      lanes[lane] = lines + line * line_stride + lane % layout.lanes_x * layout.columns;
    }
    for (int row = 0; row < layout.input_rows; ++row) {
      // What follows a lane's pixels begins the next lane's, and the last lane's line goes on.
      gatherLanes(lanes, layout.lanes, layout.rowVectors(), packed);
      // What was written too much is overwritten next.
      packed += static_cast<std::size_t>(layout.rowVectors()) * layout.lanes;
      for (int lane = 0; lane < layout.lanes; ++lane) lanes[lane] += line_stride;
    }
  }
}

// Where a lane's pixels of a tile go.
struct LanePixels {
  std::size_t offset;  // in the output plane
  int count;
};

void locateLanes(const ConvTask& task, const SumLayout& layout, const SumTile& tile,
                 LanePixels (&lanes)[16]) {
  for (int lane = 0; lane < layout.lanes; ++lane) {
    const int y = lane / layout.lanes_x * layout.rows + tile.row;
    const int x = lane % layout.lanes_x * layout.columns + tile.column;
    const bool inside = y < task.out.height && x < task.out.width;
    lanes[lane].offset = static_cast<std::size_t>(y) * task.out.width + x;
    lanes[lane].count = inside ? std::min(tile.width, task.out.width - x) : 0;
  }
}

// Position of a lane's pixel among the accumulators of a vector.
int accumulatorOf(int lane, PixelOrder order) {
  return order == PixelOrder::kNatural ? lane : lane % 2 * 4 + lane / 2;
}

// Pixel i of a lane lies in vector i.
void copyAccumulators(const ConvTask& task, const SumLayout& layout, const SumTile& tile, PixelOrder order,
                      const LanePixels (&lanes)[16], const std::int32_t* accumulators, std::int32_t* plane) {
  for (int lane = 0; lane < layout.lanes; ++lane) {
    const std::int32_t* from = accumulators + accumulatorOf(lane, order);
    for (int i = 0; i < tile.width; ++i, from += layout.lanes) {
      const std::int64_t pixel = layout.pointwise ? (std::int64_t{tile.column} + i) * layout.lanes + lane
                                                  : static_cast<std::int64_t>(lanes[lane].offset) + i;
      const bool inside = layout.pointwise ? pixel < task.out.plane() : i < lanes[lane].count;
      if (inside) plane[pixel] = *from;
    }
  }
}

// 16 accumulators to bytes in the pixels' order.
TREFOIL_INLINE v128_t requantize16(const Requantizer& requantizer, const std::int32_t* from,
                                   PixelOrder order) {
  const v128_t a = wasm_v128_load(from), b = wasm_v128_load(from + 4), c = wasm_v128_load(from + 8),
               d = wasm_v128_load(from + 12);
  if (order == PixelOrder::kNatural) {
    return wasm_u8x16_narrow_i16x8(requantizer.apply(a, b), requantizer.apply(c, d));
  }
  return wasm_v128_or(requantizer.apply(a, c), wasm_i16x8_shl(requantizer.apply(b, d), 8));
}

// Pixels of up to 8 vectors of 8 or 16 lanes to the lanes' places.
void scatterLanes(const SumLayout& layout, const std::uint8_t* pixels, const LanePixels (&lanes)[16],
                  std::uint8_t* plane) {
  alignas(16) std::uint8_t columns[64];
  for (int first = 0; first < layout.lanes; first += 8) {
    v128_t block[4];
    TREFOIL_UNROLL
    for (int j = 0; j < 4; ++j) {
      const std::uint8_t* from = pixels + 2 * j * layout.lanes + first;
      block[j] = wasm_v128_load64_lane(from + layout.lanes, wasm_v128_load64_zero(from), 1);
    }
    transpose8x8(block);
    TREFOIL_UNROLL
    for (int j = 0; j < 4; ++j) wasm_v128_store(columns + 16 * j, block[j]);
    for (int lane = 0; lane < 8; ++lane) {
      const LanePixels& to = lanes[first + lane];
      copyFew(plane + to.offset, columns + 8 * lane, to.count);
    }
  }
}

}  // namespace

bool sumsReadPlanes(const ConvTask& task, const SumLayout& layout) {
  return layout.pointwise && isPointwise(task);
}

std::size_t sumChannelStride(const ConvTask& task, const SumLayout& layout) {
  if (sumsReadPlanes(task, layout)) return planeStride(task.in);
  return static_cast<std::size_t>(layout.phases) * layout.input_rows * layout.rowVectors() * layout.lanes;
}

std::size_t sumLineBytes(const ConvTask& task, const SumLayout& layout) {
  return layout.pointwise ? 0 : lineCount(task, layout) * lineStride(layout);
}

void packSumInput(const ConvTask& task, const SumLayout& layout, int group, const std::uint8_t* input,
                  std::uint8_t* packed, std::uint8_t* lines) {
  const std::size_t in_stride = planeStride(task.in), stride = sumChannelStride(task, layout);
  for (int c = 0; c < task.channelsPerGroup(); ++c) {
    const int channel = group * task.channelsPerGroup() + c;
    if (layout.pointwise) {
      packPointwise(task, input + channel * in_stride, packed + c * stride);
    } else {
      packBlocks(task, layout, input + channel * in_stride, task.pad_values[channel], packed + c * stride,
                 lines);
    }
  }
}

void writeSumOutput(const ConvTask& task, const SumLayout& layout, const SumTile& tile, PixelOrder order,
                    int first_filter, int filters, const std::int32_t* accumulators,
                    std::size_t filter_stride, void* output) {
  LanePixels lanes[16];
  if (!layout.pointwise) locateLanes(task, layout, tile, lanes);
  const int pixels = tile.width * layout.lanes;
  for (int i = 0; i < filters; ++i, accumulators += filter_stride) {
    const std::size_t filter = static_cast<std::size_t>(first_filter) + i;
    if (task.accumulators) {
      copyAccumulators(
          task, layout, tile, order, lanes, accumulators,
          static_cast<std::int32_t*>(output) + filter * static_cast<std::size_t>(task.out.plane()));
      continue;
    }
    std::uint8_t* plane = static_cast<std::uint8_t*>(output) + filter * planeStride(task.out);
    const Requantizer requantizer(task.factors[filter], task.zero_point, task.low, task.high);
    alignas(16) std::uint8_t bytes[16 * kMaxTile];
    std::uint8_t* to =
        layout.pointwise ? plane + static_cast<std::size_t>(tile.column) * layout.lanes : bytes;
    int at = 0;
    for (; at + 16 <= pixels; at += 16) {
      wasm_v128_store(to + at, requantize16(requantizer, accumulators + at, order));
    }
    // The last 8 of an odd number of vectors; their other half is any memory of the scratch.
    if (at < pixels) wasm_v128_store64_lane(to + at, requantize16(requantizer, accumulators + at, order), 0);
    if (!layout.pointwise) scatterLanes(layout, bytes, lanes, plane);
  }
}

}  // namespace trefoil
