// Blocked as usual (Goto): a block of b in panels of 8 columns stays in the second-level cache, one panel in
// the first; the inner kernel holds 4 x 8 sums in registers. Why not Eigen: see DESIGN.md.
#include "graph/float_gemm.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/simd.h"

namespace trefoil {
namespace {

constexpr int kTileRows = 4;
constexpr int kTileColumns = 8;
constexpr int kBlockRows = 64;
constexpr int kBlockColumns = 256;
constexpr int kBlockDepth = 256;

// What the 32 bits of a packed factor hold: one float,
struct Floats {
  static constexpr int kDepth = 1;
  static std::uint32_t one(const float* a, int) { return std::bit_cast<std::uint32_t>(*a); }
  static v128_t four(const float* row, const float*) { return wasm_v128_load(row); }
  static v128_t addProduct(v128_t sum, v128_t a, v128_t b) {
    return wasm_f32x4_add(sum, wasm_f32x4_mul(a, b));
  }
  static v128_t toFloats(v128_t sum) { return sum; }
};

// or two integers of 16 bits, neighbours in depth. 256 products of theirs don't overflow 32 bits.
struct IntegerPairs {
  static constexpr int kDepth = 2;
  static std::uint32_t one(const float* a, int present) {
    const auto integer = [](float v) { return static_cast<std::uint32_t>(static_cast<std::int32_t>(v)); };
    return (integer(a[0]) & 0xFFFF) | (present > 1 ? integer(a[1]) << 16 : 0);
  }
  static v128_t four(const float* row, const float* next) {
    const v128_t low = wasm_i32x4_trunc_sat_f32x4(wasm_v128_load(row));
    const v128_t high = wasm_i32x4_trunc_sat_f32x4(wasm_v128_load(next));
    return wasm_v128_or(wasm_v128_and(low, wasm_i32x4_splat(0xFFFF)), wasm_i32x4_shl(high, 16));
  }
  static v128_t addProduct(v128_t sum, v128_t a, v128_t b) {
    return wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(a, b));
  }
  static v128_t toFloats(v128_t sum) { return wasm_f32x4_convert_i32x4(sum); }
};

// c[4][4 * kVectors] += a^T b over `depth` packed elements; a: [depth][4], b: [depth][4 * kVectors], c: rows
// `stride` apart.
template <typename Packed, int kVectors>
void multiplyTile(int depth, const std::uint32_t* a, const std::uint32_t* b, float* c,
                  std::ptrdiff_t stride) {
  v128_t sums[kTileRows][kVectors];
  for (auto& row : sums) {
    for (v128_t& sum : row) sum = wasm_i32x4_splat(0);
  }
  for (int k = 0; k < depth; ++k) {
    v128_t right[kVectors];
    for (int v = 0; v < kVectors; ++v) right[v] = wasm_v128_load(b + 4 * v);
    for (int i = 0; i < kTileRows; ++i) {
      const v128_t left = wasm_v128_load32_splat(a + i);
      for (int v = 0; v < kVectors; ++v) sums[i][v] = Packed::addProduct(sums[i][v], left, right[v]);
    }
    a += kTileRows;
    b += 4 * kVectors;
  }
  for (int i = 0; i < kTileRows; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      float* at = c + i * stride + 4 * v;
      wasm_v128_store(at, wasm_f32x4_add(wasm_v128_load(at), Packed::toFloats(sums[i][v])));
    }
  }
}

// A tile that has only `rows` x `columns` elements of c; panel_width (4 or 8) is that of b.
template <typename Packed>
void multiplyEdgeTile(int rows, int columns, int panel_width, int depth, const std::uint32_t* a,
                      const std::uint32_t* b, float* c, std::ptrdiff_t stride) {
  float tile[kTileRows * kTileColumns] = {};
  for (int i = 0; i < rows; ++i) std::copy_n(c + i * stride, columns, tile + i * kTileColumns);
  if (panel_width == 4) {
    multiplyTile<Packed, 1>(depth, a, b, tile, kTileColumns);
  } else {
    multiplyTile<Packed, 2>(depth, a, b, tile, kTileColumns);
  }
  for (int i = 0; i < rows; ++i) std::copy_n(tile + i * kTileColumns, columns, c + i * stride);
}

// The last panel of a block is 4 wide where that is enough.
int panelWidth(int columns_left) { return columns_left <= 4 ? 4 : kTileColumns; }

// Rows k .. k + depth - 1, columns first .. first + columns - 1, as panels [panel][depth][width] of packed
// elements, filled up with zeros.
template <typename Packed>
void packRight(const MatrixRows& b, std::int64_t k, int depth, std::int64_t first, int columns,
               std::uint32_t* packed) {
  alignas(16) float buffer[kBlockColumns];
  alignas(16) float next_buffer[kBlockColumns] = {};
  const int count = (depth + Packed::kDepth - 1) / Packed::kDepth;
  for (int d = 0; d < count; ++d) {
    const float* row = b(k + std::int64_t{d} * Packed::kDepth, first, columns, buffer);
    const float* next = next_buffer;
    if (Packed::kDepth > 1) {
      if ((d + 1) * Packed::kDepth <= depth) {
        next = b(k + std::int64_t{d} * Packed::kDepth + 1, first, columns, next_buffer);
      } else {
        std::fill_n(next_buffer, columns, 0.0F);
      }
    }
    for (int j = 0; j < columns; j += kTileColumns) {
      const int left = columns - j;
      const int width = panelWidth(left);
      std::uint32_t* to = packed + std::ptrdiff_t{j} * count + d * width;
      if (left >= kTileColumns) {
        wasm_v128_store(to, Packed::four(row + j, next + j));
        wasm_v128_store(to + 4, Packed::four(row + j + 4, next + j + 4));
      } else {
        float values[2][kTileColumns] = {};
        std::copy_n(row + j, left, values[0]);
        if (Packed::kDepth > 1) std::copy_n(next + j, left, values[1]);
        for (int v = 0; v < width; v += 4)
          wasm_v128_store(to + v, Packed::four(values[0] + v, values[1] + v));
      }
    }
  }
}

// Rows of a, from `a` on and `stride` apart, as [row / 4][depth][4]; the last row stands in for missing ones.
template <typename Packed>
void packLeft(const float* a, std::int64_t stride, int rows, int depth, std::uint32_t* packed) {
  const int count = (depth + Packed::kDepth - 1) / Packed::kDepth;
  for (int i = 0; i < rows; i += kTileRows) {
    const int present = std::min(kTileRows, rows - i);
    for (int r = 0; r < kTileRows; ++r) {
      const float* row = a + (i + std::min(r, present - 1)) * stride;
      for (int d = 0; d < count; ++d)
        packed[d * kTileRows + r] = Packed::one(row + d * Packed::kDepth, depth - d * Packed::kDepth);
    }
    packed += std::ptrdiff_t{kTileRows} * count;
  }
}

// depth: of packed elements.
template <typename Packed>
void multiplyBlock(int rows, int columns, int depth, const std::uint32_t* left, const std::uint32_t* right,
                   float* c, std::ptrdiff_t stride) {
  for (int j = 0; j < columns; j += kTileColumns) {
    const int width = panelWidth(columns - j);
    const int present = std::min(width, columns - j);
    const std::uint32_t* panel = right + std::ptrdiff_t{j} * depth;
    for (int i = 0; i < rows; i += kTileRows) {
      const std::uint32_t* a = left + std::ptrdiff_t{i} * depth;
      float* to = c + i * stride + j;
      if (rows - i >= kTileRows && present == kTileColumns) {
        multiplyTile<Packed, 2>(depth, a, panel, to, stride);
      } else {
        multiplyEdgeTile<Packed>(std::min(kTileRows, rows - i), present, width, depth, a, panel, to, stride);
      }
    }
  }
}

template <typename Packed>
void multiplyPacked(std::int64_t rows, std::int64_t columns, std::int64_t depth, const float* a,
                    std::int64_t a_stride, const MatrixRows& b, float* c, std::int64_t c_stride) {
  const auto depth_block = static_cast<std::size_t>(std::min<std::int64_t>(depth, kBlockDepth));
  const auto column_block = static_cast<std::size_t>(std::min<std::int64_t>(columns, kBlockColumns));
  std::vector<std::uint32_t> right(depth_block *
                                   ((column_block + kTileColumns - 1) / kTileColumns * kTileColumns));
  std::vector<std::uint32_t> left(depth_block * kBlockRows);
  for (std::int64_t j = 0; j < columns; j += kBlockColumns) {
    const int width = static_cast<int>(std::min<std::int64_t>(kBlockColumns, columns - j));
    for (std::int64_t k = 0; k < depth; k += kBlockDepth) {
      const int deep = static_cast<int>(std::min<std::int64_t>(kBlockDepth, depth - k));
      const int count = (deep + Packed::kDepth - 1) / Packed::kDepth;
      packRight<Packed>(b, k, deep, j, width, right.data());
      for (std::int64_t i = 0; i < rows; i += kBlockRows) {
        const int high = static_cast<int>(std::min<std::int64_t>(kBlockRows, rows - i));
        packLeft<Packed>(a + i * a_stride + k, a_stride, high, deep, left.data());
        multiplyBlock<Packed>(high, width, count, left.data(), right.data(), c + i * c_stride + j,
                              static_cast<std::ptrdiff_t>(c_stride));
      }
    }
  }
}

}  // namespace

void multiplyAdd(std::int64_t rows, std::int64_t columns, std::int64_t depth, const float* a,
                 const MatrixRows& b, float* c) {
  multiplyAdd(rows, columns, depth, a, depth, b, c, columns);
}

void multiplyAdd(std::int64_t rows, std::int64_t columns, std::int64_t depth, const float* a,
                 std::int64_t a_stride, const MatrixRows& b, float* c, std::int64_t c_stride) {
  multiplyPacked<Floats>(rows, columns, depth, a, a_stride, b, c, c_stride);
}

void multiplyAddIntegers(std::int64_t rows, std::int64_t columns, std::int64_t depth, const float* a,
                         const MatrixRows& b, float* c) {
  multiplyPacked<IntegerPairs>(rows, columns, depth, a, depth, b, c, columns);
}

void multiplyAddVector(std::int64_t rows, std::int64_t depth, const float* a, const float* x, float* y) {
  for (std::int64_t i = 0; i < rows; ++i) {
    const float* row = a + i * depth;
    v128_t sums[4] = {wasm_f32x4_splat(0), wasm_f32x4_splat(0), wasm_f32x4_splat(0), wasm_f32x4_splat(0)};
    std::int64_t k = 0;
    for (; k + 16 <= depth; k += 16) {
      for (int v = 0; v < 4; ++v) {
        sums[v] = Floats::addProduct(sums[v], wasm_v128_load(row + k + 4 * v), wasm_v128_load(x + k + 4 * v));
      }
    }
    const v128_t sum = wasm_f32x4_add(wasm_f32x4_add(sums[0], sums[1]), wasm_f32x4_add(sums[2], sums[3]));
    float total = (wasm_f32x4_extract_lane(sum, 0) + wasm_f32x4_extract_lane(sum, 1)) +
                  (wasm_f32x4_extract_lane(sum, 2) + wasm_f32x4_extract_lane(sum, 3));
    for (; k < depth; ++k) total += row[k] * x[k];
    y[i] += total;
  }
}

}  // namespace trefoil
