#include "quantize/factor.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "graph/float_gemm.h"

namespace trefoil {
namespace {

constexpr int kBlock = 64;

// Rows of R from `row` on, transposed: element (k, j) is r[row + j][column + k].
MatrixRows transposedRows(const float* r, std::ptrdiff_t n, std::ptrdiff_t row, std::ptrdiff_t column) {
  return [=](std::int64_t k, std::int64_t first, int count, float* buffer) -> const float* {
    const float* from = r + (row + first) * n + column + k;
    for (int j = 0; j < count; ++j) buffer[j] = from[j * n];
    return buffer;
  };
}

// The block [first, last) of the diagonal: S = R R^T, S given in its upper triangle.
void factorizeDiagonal(std::ptrdiff_t n, std::ptrdiff_t first, std::ptrdiff_t last, float least, float* h) {
  for (std::ptrdiff_t j = last - 1; j >= first; --j) {
    double pivot = h[j * n + j];
    for (std::ptrdiff_t k = j + 1; k < last; ++k) pivot -= double{h[j * n + k]} * h[j * n + k];
    const double root = std::sqrt(std::max<double>(pivot, least));
    h[j * n + j] = static_cast<float>(root);
    for (std::ptrdiff_t i = first; i < j; ++i) {
      double sum = h[i * n + j];
      for (std::ptrdiff_t k = j + 1; k < last; ++k) sum -= double{h[i * n + k]} * h[j * n + k];
      h[i * n + j] = static_cast<float>(sum / root);
    }
  }
}

// Row x of the columns [first, last) becomes x R^-T of the diagonal block.
void solveDiagonal(std::ptrdiff_t n, std::ptrdiff_t first, std::ptrdiff_t last, const float* r, float* x) {
  for (std::ptrdiff_t j = last - 1; j >= first; --j) {
    float sum = x[j];
    for (std::ptrdiff_t k = j + 1; k < last; ++k) sum -= x[k] * r[j * n + k];
    x[j] = sum / r[j * n + j];
  }
}

}  // namespace

bool factorize(int n, float least, float* h, const std::function<bool(double)>& work) {
  const std::ptrdiff_t size = n;
  std::vector<float> product;
  double done = 0;
  // Column blocks from the last to the first: what later blocks explain is taken off, then the block solved.
  for (std::ptrdiff_t first = (size - 1) / kBlock * kBlock; first >= 0; first -= kBlock) {
    const std::ptrdiff_t last = std::min<std::ptrdiff_t>(first + kBlock, size);
    const std::ptrdiff_t width = last - first;
    const std::ptrdiff_t depth = size - last;
    if (depth > 0) {
      product.assign(static_cast<std::size_t>(last * width), 0.0F);
      multiplyAdd(last, width, depth, h + last, size, transposedRows(h, size, first, last), product.data(),
                  width);
      for (std::ptrdiff_t i = 0; i < last; ++i) {
        for (std::ptrdiff_t j = 0; j < width; ++j) h[i * size + first + j] -= product[i * width + j];
      }
    }
    factorizeDiagonal(size, first, last, least, h);
    for (std::ptrdiff_t i = 0; i < first; ++i) solveDiagonal(size, first, last, h, h + i * size);
    done += static_cast<double>(last * width) * static_cast<double>(depth + width);
    if (!work(done)) return false;
  }
  for (std::ptrdiff_t i = 1; i < size; ++i) std::fill_n(h + i * size, i, 0.0F);
  return true;
}

void solveTransposed(int n, const float* r, std::int64_t rows, float* b) {
  const std::ptrdiff_t size = n;
  std::vector<float> product;
  for (std::ptrdiff_t first = (size - 1) / kBlock * kBlock; first >= 0; first -= kBlock) {
    const std::ptrdiff_t last = std::min<std::ptrdiff_t>(first + kBlock, size);
    const std::ptrdiff_t width = last - first;
    if (last < size) {
      product.assign(static_cast<std::size_t>(rows * width), 0.0F);
      multiplyAdd(rows, width, size - last, b + last, size, transposedRows(r, size, first, last),
                  product.data(), width);
      for (std::ptrdiff_t i = 0; i < rows; ++i) {
        for (std::ptrdiff_t j = 0; j < width; ++j) b[i * size + first + j] -= product[i * width + j];
      }
    }
    for (std::ptrdiff_t i = 0; i < rows; ++i) solveDiagonal(size, first, last, r, b + i * size);
  }
}

}  // namespace trefoil
