#include "kernels/ternary_conv/g4_pixels.h"

#include <algorithm>

#include "kernels/conv_geometry.h"
#include "kernels/requantize.h"
#include "kernels/simd_util.h"
#include "kernels/strided_rows.h"

namespace trefoil {
namespace {

// One line of a block row's pixels at one column phase.
int linePixels(const G4Layout& layout) { return layout.lanes_x * layout.columns + layout.halo; }
std::size_t lineStride(const G4Layout& layout) {
  return static_cast<std::size_t>(linePixels(layout)) + StridedRow::kSlack;
}

void packPointwise(const ConvTask& task, const std::uint8_t* plane, std::uint8_t* packed) {
  const StridedRow row(task.out.width, task.in.width, 0, task.window.stride_w);
  for (int y = 0; y < task.out.height; ++y) {
    row.copy(packed + static_cast<std::size_t>(y) * task.out.width,
             plane + static_cast<std::size_t>(y) * task.window.stride_h * task.in.width, 0);
  }
}

// vectors: 8 bytes each, one from every lane's line, for `count` neighbouring pixels. May write 7 vectors
// more.
void gatherLanes(const std::uint8_t* const (&lanes)[8], int count, std::uint8_t* vectors) {
  for (int x = 0; x < count; x += 8, vectors += 64) {
    v128_t block[4];
    TREFOIL_UNROLL
    for (int i = 0; i < 4; ++i) {
      block[i] = wasm_v128_load64_lane(lanes[2 * i + 1] + x, wasm_v128_load64_zero(lanes[2 * i] + x), 1);
    }
    transpose8x8(block);
    TREFOIL_UNROLL
    for (int i = 0; i < 4; ++i) wasm_v128_store(vectors + 16 * i, block[i]);
  }
}

// The vectors behind a row of `columns` vectors: what follows a lane's pixels begins the next lane's, and the
// last lane's line goes on.
void appendHalo(const G4Layout& layout, const std::uint8_t* lines, std::size_t line_stride,
                std::uint8_t* vectors) {
  for (int h = 0; h < layout.halo; ++h, vectors += 8) {
    std::memcpy(vectors + 8 * layout.columns, vectors + 1, 7);
    for (int lane_y = 0; lane_y < layout.lanes_y; ++lane_y) {
      const std::uint8_t* line = lines + lane_y * line_stride;
      vectors[8 * layout.columns + (lane_y + 1) * layout.lanes_x - 1] =
          line[layout.lanes_x * layout.columns + h];
    }
  }
}

void packBlocks(const ConvTask& task, const G4Layout& layout, const std::uint8_t* plane, std::uint8_t pad,
                std::uint8_t* packed, std::uint8_t* lines) {
  const Window& window = task.window;
  const std::size_t line_stride = lineStride(layout);
  const std::uint8_t* lanes[8];
  for (int lane = 0; lane < 8; ++lane) {
    lanes[lane] = lines + lane / layout.lanes_x * line_stride + lane % layout.lanes_x * layout.columns;
  }
  for (int phase = 0; phase < layout.phases; ++phase) {
    const StridedRow strided(linePixels(layout), task.in.width, phase - window.pad_left, window.stride_w);
    for (int row = 0; row < layout.input_rows; ++row) {
      for (int lane_y = 0; lane_y < layout.lanes_y; ++lane_y) {
        const int y = lane_y * layout.rows * window.stride_h + row - window.pad_top;
        const bool inside = y >= 0 && y < task.in.height;
        strided.copy(lines + lane_y * line_stride,
                     inside ? plane + static_cast<std::size_t>(y) * task.in.width : nullptr, pad);
      }
      gatherLanes(lanes, layout.columns, packed);
      appendHalo(layout, lines, line_stride, packed);
      packed +=
          static_cast<std::size_t>(layout.rowVectors()) * 8;  // what was written too much is overwritten next
    }
  }
}

// Where a lane's pixels of a tile go.
struct LanePixels {
  std::size_t offset;  // in the output plane
  int count;
};

void locateLanes(const ConvTask& task, const G4Layout& layout, const G4Tile& tile, LanePixels (&lanes)[8]) {
  for (int lane = 0; lane < 8; ++lane) {
    const int y = lane / layout.lanes_x * layout.rows + tile.row;
    const int x = lane % layout.lanes_x * layout.columns + tile.column;
    const bool inside = y < task.out.height && x < task.out.width;
    lanes[lane].offset = static_cast<std::size_t>(y) * task.out.width + x;
    lanes[lane].count = inside ? std::min(tile.width, task.out.width - x) : 0;
  }
}

// Pixel i of lane l is accumulators[8 * i + l].
void copyAccumulators(const ConvTask& task, const G4Layout& layout, const G4Tile& tile,
                      const LanePixels (&lanes)[8], const std::int32_t* accumulators, std::int32_t* plane) {
  if (layout.pointwise) {
    const int begin = tile.column * 8;
    const int count = static_cast<int>(std::min<std::int64_t>(tile.width * 8, task.out.plane() - begin));
    std::copy_n(accumulators, count, plane + begin);
    return;
  }
  for (int lane = 0; lane < 8; ++lane) {
    for (int i = 0; i < lanes[lane].count; ++i) plane[lanes[lane].offset + i] = accumulators[8 * i + lane];
  }
}

}  // namespace

bool g4ReadsPlanes(const ConvTask& task, const G4Layout& layout) {
  return layout.pointwise && isPointwise(task);
}

std::size_t g4ChannelStride(const ConvTask& task, const G4Layout& layout) {
  if (g4ReadsPlanes(task, layout)) return planeStride(task.in);
  return static_cast<std::size_t>(layout.phases) * layout.input_rows * layout.rowVectors() * 8;
}

std::size_t g4LineBytes(const ConvTask&, const G4Layout& layout) {
  return layout.pointwise ? 0 : layout.lanes_y * lineStride(layout);
}

void packG4Input(const ConvTask& task, const G4Layout& layout, int group, const std::uint8_t* input,
                 std::uint8_t* packed, std::uint8_t* lines) {
  const std::size_t in_stride = planeStride(task.in), stride = g4ChannelStride(task, layout);
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

void writeG4Output(const ConvTask& task, const G4Layout& layout, const G4Tile& tile, int first_filter,
                   int filters, const std::int32_t* accumulators, std::size_t filter_stride, void* output) {
  LanePixels lanes[8];
  if (!layout.pointwise) locateLanes(task, layout, tile, lanes);
  Requantizer::Room room;
  for (int i = 0; i < filters; ++i, accumulators += filter_stride) {
    const std::size_t filter = static_cast<std::size_t>(first_filter) + i;
    if (task.accumulators) {
      copyAccumulators(
          task, layout, tile, lanes, accumulators,
          static_cast<std::int32_t*>(output) + filter * static_cast<std::size_t>(task.out.plane()));
      continue;
    }
    std::uint8_t* plane = static_cast<std::uint8_t*>(output) + filter * planeStride(task.out);
    const Requantizer requantizer(task.factors[filter], task.zero_point, task.low, task.high, room);
    alignas(16) std::uint8_t pixels[8 * kMaxTile];
    std::uint8_t* to = layout.pointwise ? plane + static_cast<std::size_t>(tile.column) * 8 : pixels;
    int v = 0;
    for (; v + 2 <= tile.width; v += 2) {
      const std::int32_t* from = accumulators + 8 * v;
      const v128_t even = requantizer.apply(wasm_v128_load(from), wasm_v128_load(from + 4));
      const v128_t odd = requantizer.apply(wasm_v128_load(from + 8), wasm_v128_load(from + 12));
      wasm_v128_store(to + 8 * v, wasm_u8x16_narrow_i16x8(even, odd));
    }
    if (v < tile.width) {
      const std::int32_t* from = accumulators + 8 * v;
      const v128_t q = requantizer.apply(wasm_v128_load(from), wasm_v128_load(from + 4));
      wasm_v128_store64_lane(to + 8 * v, wasm_u8x16_narrow_i16x8(q, q), 0);
    }
    if (layout.pointwise) continue;
    v128_t block[4];
    TREFOIL_UNROLL
    for (int j = 0; j < 4; ++j) block[j] = wasm_v128_load(pixels + 16 * j);
    transpose8x8(block);
    TREFOIL_UNROLL
    for (int j = 0; j < 4; ++j) wasm_v128_store(pixels + 16 * j, block[j]);
    for (int lane = 0; lane < 8; ++lane)
      copyFew(plane + lanes[lane].offset, pixels + 8 * lane, lanes[lane].count);
  }
}

}  // namespace trefoil
