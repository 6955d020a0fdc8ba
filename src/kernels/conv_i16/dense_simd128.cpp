// Dense convolution by i32x4.dot_i16x8: two weights of a filter meet four pixels at a time. A tile of 8
// pixels is brought into pairs of inputs once and meets all filters, four together. Fits every shape.
#include <algorithm>
#include <cstring>

#include "kernels/conv_geometry.h"
#include "kernels/conv_i16/conv_i16.h"
#include "kernels/padded_planes.h"
#include "kernels/requantize.h"
#include "kernels/simd_util.h"

namespace trefoil {
namespace {

constexpr int kTile = 8;     // pixels
constexpr int kFilters = 4;  // at once
// Tiles that share one reading of the weights stay within this together.
constexpr std::size_t kTilesBudget = 192 * 1024;
constexpr int kMostTiles = 16;

constexpr std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

struct Sizes {
  explicit Sizes(const ConvTask& task)
      : weights(task.channelsPerGroup() * static_cast<std::size_t>(task.taps())),
        pairs((weights + 1) / 2),
        quads((task.filtersPerGroup() + kFilters - 1) / kFilters),
        tiles_per_row(isPointwise(task) ? static_cast<int>((task.out.plane() + kTile - 1) / kTile)
                                        : (task.out.width + kTile - 1) / kTile),
        tiles(isPointwise(task) ? tiles_per_row : tiles_per_row * task.out.height),
        tiles_at_once(static_cast<int>(
            std::clamp<std::size_t>(kTilesBudget / (pairs * kTile * 4), 1, std::min(tiles, kMostTiles)))) {}

  std::size_t weights;  // of a filter
  std::size_t pairs;
  int quads;  // of filters, in one group
  int tiles_per_row, tiles;
  int tiles_at_once;
};

struct Scratch {
  Scratch(const ConvTask& task, const Sizes& sizes)
      : tiles(aligned(sizes.pairs * 2 * sizeof(std::uint32_t))),
        planes(tiles + aligned(sizes.tiles_at_once * sizes.pairs * kTile * 4)),
        end(planes + (isPointwise(task) ? 0
                                        : PaddedPlanes(task).channelBytes() * task.channelsPerGroup() +
                                              PaddedPlanes::kSlack)) {}
  // Offsets of the inputs of every weight come first.
  std::size_t tiles, planes, end;
};

bool supports(const ConvTask& task) {
  return (task.accumulators || requantizerSupports(task.factors)) && paddedCopyIsSmall(task);
}

// Weights in the order [group][quad][pair][filter of the quad][2].
AlignedBuffer pack(const ConvTask& task, std::span<const std::int16_t> weights) {
  const Sizes sizes(task);
  const std::size_t quad_values = sizes.pairs * kFilters * 2;
  AlignedBuffer packed(task.groups * sizes.quads * quad_values * sizeof(std::int16_t));
  if (!packed.data()) return packed;
  auto* to = reinterpret_cast<std::int16_t*>(packed.data());
  for (int group = 0; group < task.groups; ++group) {
    for (int quad = 0; quad < sizes.quads; ++quad) {
      for (std::size_t pair = 0; pair < sizes.pairs; ++pair) {
        for (int i = 0; i < kFilters; ++i) {
          const int filter = quad * kFilters + i;
          for (std::size_t weight = 2 * pair; weight < 2 * pair + 2; ++weight) {
            const bool exists = filter < task.filtersPerGroup() && weight < sizes.weights;
            const std::size_t k = static_cast<std::size_t>(group) * task.filtersPerGroup() + filter;
            *to++ = exists ? weights[k * sizes.weights + weight] : std::int16_t{0};
          }
        }
      }
    }
  }
  return packed;
}

std::size_t scratchBytes(const ConvTask& task) { return Scratch(task, Sizes(task)).end; }

// Where the input of every weight lies, for the first output.
void locateInputs(const ConvTask& task, const Sizes& sizes, std::uint32_t* offsets) {
  const PaddedPlanes planes(task);
  const bool pointwise = isPointwise(task);
  const std::size_t channel_bytes = pointwise ? planeStride(task.in) : planes.channelBytes();
  std::uint32_t* to = offsets;
  for (int tap = 0; tap < task.taps(); ++tap) {
    const std::size_t tap_offset =
        pointwise ? 0 : planes.tapOffset(tap / task.window.kernel_w, tap % task.window.kernel_w);
    for (int c = 0; c < task.channelsPerGroup(); ++c)
      *to++ = static_cast<std::uint32_t>(tap_offset + c * channel_bytes);
  }
  if (sizes.weights % 2) *to = offsets[0];  // meets a weight of 0
}

// 8 pixels of every pair of inputs, each pair side by side.
void packTile(const std::uint8_t* input, const std::uint32_t* offsets, std::size_t pairs,
              std::uint8_t* tile) {
  for (std::size_t pair = 0; pair < pairs; ++pair, offsets += 2, tile += 32) {
    const v128_t first = wasm_v128_load64_zero(input + offsets[0]);
    const v128_t second = wasm_v128_load64_zero(input + offsets[1]);
    const v128_t both =
        wasm_i8x16_shuffle(first, second, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    wasm_v128_store(tile, wasm_u16x8_extend_low_u8x16(both));
    wasm_v128_store(tile + 16, wasm_u16x8_extend_high_u8x16(both));
  }
}

// 4 filters' sums over one tile: two vectors (8 pixels) a filter, `stride` vectors apart.
void sumTile(const std::uint8_t* tile, const std::uint8_t* weights, std::size_t pairs,
             const v128_t (&bias)[kFilters], v128_t* sums, int stride) {
  v128_t s[2 * kFilters];
  TREFOIL_UNROLL
  for (int i = 0; i < 2 * kFilters; ++i) s[i] = bias[i / 2];
  TREFOIL_NO_UNROLL
  do {
    TREFOIL_BARRIER();
    const v128_t left = wasm_v128_load(tile), right = wasm_v128_load(tile + 16);
    TREFOIL_UNROLL
    for (int i = 0; i < kFilters; ++i) {
      const v128_t weight = wasm_v128_load32_splat(weights + 4 * i);
      s[2 * i] = wasm_i32x4_add(s[2 * i], wasm_i32x4_dot_i16x8(left, weight));
      s[2 * i + 1] = wasm_i32x4_add(s[2 * i + 1], wasm_i32x4_dot_i16x8(right, weight));
    }
    TREFOIL_BARRIER();
    tile += 32;
    weights += 4 * kFilters;
  } while (--pairs);
  TREFOIL_UNROLL
  for (int i = 0; i < 2 * kFilters; ++i) sums[i / 2 * stride + i % 2] = s[i];
}

// Consecutive tiles, and where their pixels are: worked out once for all filters, as it takes divisions.
struct Tiles {
  Tiles(const Sizes& sizes, std::size_t row_pixels, int first, int tile_count) : count(tile_count) {
    for (int t = 0; t < count; ++t) {
      rows[t] = (first + t) / sizes.tiles_per_row;
      columns[t] = (first + t) % sizes.tiles_per_row * kTile;
      const std::size_t column = static_cast<std::size_t>(columns[t]);
      pixel[t] = static_cast<std::size_t>(rows[t]) * row_pixels + column;
      pixels[t] = static_cast<int>(std::min<std::size_t>(kTile, row_pixels - column));
    }
  }

  int count;
  int rows[kMostTiles], columns[kMostTiles];
  std::size_t pixel[kMostTiles];  // the first one within a plane of the result
  int pixels[kMostTiles];
};

// One filter's results from two vectors of sums a tile.
void writeTiles(const ConvTask& task, int filter, const Tiles& tiles, const v128_t* sums, void* output) {
  if (task.accumulators) {
    auto* plane = static_cast<std::int32_t*>(output) + filter * static_cast<std::size_t>(task.out.plane());
    for (int t = 0; t < tiles.count; ++t) {
      std::memcpy(plane + tiles.pixel[t], sums + 2 * t, tiles.pixels[t] * sizeof(std::int32_t));
    }
    return;
  }
  std::uint8_t* plane = static_cast<std::uint8_t*>(output) + filter * planeStride(task.out);
  const Requantizer requantizer(task.factors[filter], task.zero_point, task.low, task.high);
  for (int t = 0; t < tiles.count; ++t) {
    const v128_t q = requantizer.apply(sums[2 * t], sums[2 * t + 1]);
    const v128_t bytes = wasm_u8x16_narrow_i16x8(q, q);
    std::uint8_t* to = plane + tiles.pixel[t];
    if (tiles.pixels[t] == kTile) [[likely]] {
      wasm_v128_store64_lane(to, bytes, 0);
    } else {
      std::uint8_t values[16];
      wasm_v128_store(values, bytes);
      copyFew(to, values, tiles.pixels[t]);
    }
  }
}

// Tiles and quads of filters of one group.
struct Block {
  int first_tile, end_tile, first_quad, end_quad;
};

// A part's share of a group: all filters of some tiles, or all tiles of some filters where tiles are few.
Block shareOfGroup(const ConvTask& task, const Sizes& sizes, int group, Part part) {
  if (std::int64_t{task.groups} * sizes.tiles < 8 * part.count) {
    const Part::Range quads = part.of(sizes.quads);
    return {0, sizes.tiles, static_cast<int>(quads.begin), static_cast<int>(quads.end)};
  }
  const std::size_t before = static_cast<std::size_t>(group) * sizes.tiles;
  const Part::Range tiles = part.of(static_cast<std::size_t>(task.groups) * sizes.tiles);
  const auto within = [&](std::size_t at) {
    return static_cast<int>(std::clamp(at, before, before + sizes.tiles) - before);
  };
  return {within(tiles.begin), within(tiles.end), 0, sizes.quads};
}

void runGroup(const ConvTask& task, const Sizes& sizes, int group, const Block& block,
              const std::uint8_t* weights, const std::uint8_t* input, void* output,
              const std::uint32_t* offsets, std::uint8_t* packed_tiles) {
  const std::size_t row_bytes = PaddedPlanes(task).rowBytes(), tile_bytes = sizes.pairs * kTile * 4;
  const std::size_t quad_bytes = sizes.pairs * kFilters * 4;
  const auto row_pixels = static_cast<std::size_t>(isPointwise(task) ? task.out.plane() : task.out.width);
  for (int first = block.first_tile; first < block.end_tile; first += sizes.tiles_at_once) {
    const Tiles tiles(sizes, row_pixels, first, std::min(sizes.tiles_at_once, block.end_tile - first));
    for (int t = 0; t < tiles.count; ++t) {
      packTile(input + tiles.rows[t] * row_bytes + tiles.columns[t], offsets, sizes.pairs,
               packed_tiles + t * tile_bytes);
    }
    for (int quad = block.first_quad; quad < block.end_quad; ++quad) {
      const int filters = std::min(kFilters, task.filtersPerGroup() - quad * kFilters);
      const int first_filter = group * task.filtersPerGroup() + quad * kFilters;
      v128_t bias[kFilters] = {}, sums[kFilters * kMostTiles * 2];
      for (int i = 0; i < filters; ++i) bias[i] = wasm_i32x4_splat(task.bias[first_filter + i]);
      for (int t = 0; t < tiles.count; ++t) {
        sumTile(packed_tiles + t * tile_bytes, weights + quad * quad_bytes, sizes.pairs, bias, sums + 2 * t,
                2 * kMostTiles);
      }
      for (int i = 0; i < filters; ++i) {
        writeTiles(task, first_filter + i, tiles, sums + 2 * kMostTiles * i, output);
      }
    }
  }
}

void run(const ConvTask& task, const AlignedBuffer& packed, const std::uint8_t* input, void* output,
         std::uint8_t* scratch, Part part) {
  const Sizes sizes(task);
  const Scratch parts(task, sizes);
  auto* offsets = reinterpret_cast<std::uint32_t*>(scratch);
  locateInputs(task, sizes, offsets);
  const PaddedPlanes planes(task);
  for (int group = 0; group < task.groups; ++group) {
    const Block block = shareOfGroup(task, sizes, group, part);
    if (block.first_tile == block.end_tile || block.first_quad == block.end_quad) continue;
    const int first_channel = group * task.channelsPerGroup();
    const std::uint8_t* source = input + first_channel * planeStride(task.in);
    if (!isPointwise(task)) {
      for (int c = 0; c < task.channelsPerGroup(); ++c) {
        planes.fill(task, source + c * planeStride(task.in), task.pad_values[first_channel + c],
                    scratch + parts.planes + c * planes.channelBytes());
      }
      source = scratch + parts.planes;
    }
    const std::size_t group_bytes = sizes.quads * sizes.pairs * kFilters * 4;
    runGroup(task, sizes, group, block, packed.data() + group * group_bytes, source, output, offsets,
             scratch + parts.tiles);
  }
}

}  // namespace

const ConvI16Kernel kConvI16Dense = {supports, pack, scratchBytes, run};

}  // namespace trefoil
