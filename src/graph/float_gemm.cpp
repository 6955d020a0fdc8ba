// Blocked as usual (Goto): a block of b in panels of 8 columns stays in the second-level cache, one panel in
// the first; the inner kernel holds 4 x 8 sums in registers. Why not Eigen: see DESIGN.md.
#include "graph/float_gemm.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/simd.h"

namespace trefoil {
namespace {

constexpr int kTileRows = 4;
constexpr int kTileColumns = 8;
constexpr int kBlockRows = 64;
constexpr int kBlockColumns = 256;
constexpr int kBlockDepth = 256;

v128_t addProduct(v128_t sum, v128_t a, v128_t b) { return wasm_f32x4_add(sum, wasm_f32x4_mul(a, b)); }

// c[4][4 * kVectors] += a^T b over `depth`; a: [depth][4], b: [depth][4 * kVectors], c: rows `stride` apart.
template <int kVectors>
void multiplyTile(int depth, const float* a, const float* b, float* c, std::ptrdiff_t stride) {
  v128_t sums[kTileRows][kVectors];
  for (auto& row : sums) {
    for (v128_t& sum : row) sum = wasm_f32x4_splat(0);
  }
  for (int k = 0; k < depth; ++k) {
    v128_t right[kVectors];
    for (int v = 0; v < kVectors; ++v) right[v] = wasm_v128_load(b + 4 * v);
    for (int i = 0; i < kTileRows; ++i) {
      const v128_t left = wasm_v128_load32_splat(a + i);
      for (int v = 0; v < kVectors; ++v) sums[i][v] = addProduct(sums[i][v], left, right[v]);
    }
    a += kTileRows;
    b += 4 * kVectors;
  }
  for (int i = 0; i < kTileRows; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      float* at = c + i * stride + 4 * v;
      wasm_v128_store(at, wasm_f32x4_add(wasm_v128_load(at), sums[i][v]));
    }
  }
}

// A tile that has only `rows` x `columns` elements of c; panel_width (4 or 8) is that of b.
void multiplyEdgeTile(int rows, int columns, int panel_width, int depth, const float* a, const float* b,
                      float* c, std::ptrdiff_t stride) {
  float tile[kTileRows * kTileColumns] = {};
  for (int i = 0; i < rows; ++i) std::copy_n(c + i * stride, columns, tile + i * kTileColumns);
  if (panel_width == 4) {
    multiplyTile<1>(depth, a, b, tile, kTileColumns);
  } else {
    multiplyTile<2>(depth, a, b, tile, kTileColumns);
  }
  for (int i = 0; i < rows; ++i) std::copy_n(tile + i * kTileColumns, columns, c + i * stride);
}

// The last panel of a block is 4 wide where that is enough.
int panelWidth(int columns_left) { return columns_left <= 4 ? 4 : kTileColumns; }

// Rows k .. k + depth - 1, columns first .. first + columns - 1, as panels [panel][depth][width], filled up
// with zeros.
void packRight(const MatrixRows& b, std::int64_t k, int depth, std::int64_t first, int columns,
               float* packed) {
  alignas(16) float buffer[kBlockColumns];
  for (int d = 0; d < depth; ++d) {
    const float* row = b(k + d, first, columns, buffer);
    for (int j = 0; j < columns; j += kTileColumns) {
      const int left = columns - j;
      const int width = panelWidth(left);
      float* to = packed + std::ptrdiff_t{j} * depth + d * width;
      if (left >= kTileColumns) {
        wasm_v128_store(to, wasm_v128_load(row + j));
        wasm_v128_store(to + 4, wasm_v128_load(row + j + 4));
      } else {
        std::fill(std::copy_n(row + j, left, to), to + width, 0.0F);
      }
    }
  }
}

// Rows of a, from `a` on and `stride` apart, as [row / 4][depth][4]; the last row stands in for missing ones.
void packLeft(const float* a, std::int64_t stride, int rows, int depth, float* packed) {
  for (int i = 0; i < rows; i += kTileRows) {
    const int present = std::min(kTileRows, rows - i);
    for (int r = 0; r < kTileRows; ++r) {
      const float* row = a + (i + std::min(r, present - 1)) * stride;
      for (int d = 0; d < depth; ++d) packed[d * kTileRows + r] = row[d];
    }
    packed += std::ptrdiff_t{kTileRows} * depth;
  }
}

void multiplyBlock(int rows, int columns, int depth, const float* left, const float* right, float* c,
                   std::ptrdiff_t stride) {
  for (int j = 0; j < columns; j += kTileColumns) {
    const int width = panelWidth(columns - j);
    const int present = std::min(width, columns - j);
    const float* panel = right + std::ptrdiff_t{j} * depth;
    for (int i = 0; i < rows; i += kTileRows) {
      const float* a = left + std::ptrdiff_t{i} * depth;
      float* to = c + i * stride + j;
      if (rows - i >= kTileRows && present == kTileColumns) {
        multiplyTile<2>(depth, a, panel, to, stride);
      } else {
        multiplyEdgeTile(std::min(kTileRows, rows - i), present, width, depth, a, panel, to, stride);
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
  const auto depth_block = static_cast<std::size_t>(std::min<std::int64_t>(depth, kBlockDepth));
  const auto column_block = static_cast<std::size_t>(std::min<std::int64_t>(columns, kBlockColumns));
  std::vector<float> right(depth_block * ((column_block + kTileColumns - 1) / kTileColumns * kTileColumns));
  std::vector<float> left(depth_block * kBlockRows);
  for (std::int64_t j = 0; j < columns; j += kBlockColumns) {
    const int width = static_cast<int>(std::min<std::int64_t>(kBlockColumns, columns - j));
    for (std::int64_t k = 0; k < depth; k += kBlockDepth) {
      const int deep = static_cast<int>(std::min<std::int64_t>(kBlockDepth, depth - k));
      packRight(b, k, deep, j, width, right.data());
      for (std::int64_t i = 0; i < rows; i += kBlockRows) {
        const int high = static_cast<int>(std::min<std::int64_t>(kBlockRows, rows - i));
        packLeft(a + i * a_stride + k, a_stride, high, deep, left.data());
        multiplyBlock(high, width, deep, left.data(), right.data(), c + i * c_stride + j,
                      static_cast<std::ptrdiff_t>(c_stride));
      }
    }
  }
}

void multiplyAddVector(std::int64_t rows, std::int64_t depth, const float* a, const float* x, float* y) {
  for (std::int64_t i = 0; i < rows; ++i) {
    const float* row = a + i * depth;
    v128_t sums[4] = {wasm_f32x4_splat(0), wasm_f32x4_splat(0), wasm_f32x4_splat(0), wasm_f32x4_splat(0)};
    std::int64_t k = 0;
    for (; k + 16 <= depth; k += 16) {
      for (int v = 0; v < 4; ++v) {
        sums[v] = addProduct(sums[v], wasm_v128_load(row + k + 4 * v), wasm_v128_load(x + k + 4 * v));
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
