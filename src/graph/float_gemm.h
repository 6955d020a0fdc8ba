// Float matrix products on one thread. Every element is summed in a fixed order with separate multiplies and
// adds, so the result is the same, bit for bit, in every wasm engine and natively.
#pragma once

#include <cstdint>
#include <functional>

namespace trefoil {

// Gives `count` (at most 256) values of row `row` of the right factor, from column `first` on: returns a
// pointer to them, or fills `buffer` and returns that. So a convolution's patches need not exist all at once.
using MatrixRows =
    std::function<const float*(std::int64_t row, std::int64_t first, int count, float* buffer)>;

// c[i][j] += sum over k < depth of a[i][k] * b[k][j]; a is rows x depth and c is rows x columns, both
// row-major and dense.
void multiplyAdd(std::int64_t rows, std::int64_t columns, std::int64_t depth, const float* a,
                 const MatrixRows& b, float* c);

// The same for parts of larger matrices, whose rows lie `a_stride` and `c_stride` elements apart.
void multiplyAdd(std::int64_t rows, std::int64_t columns, std::int64_t depth, const float* a,
                 std::int64_t a_stride, const MatrixRows& b, float* c, std::int64_t c_stride);

// multiplyAdd() of dense factors that are integers: a within +-2048, b within +-2047, so that 256 products
// fit 32 bits. Faster (`make bench-gemm`). Sums of 256 are exact; what they are added to is a float, exact up
// to 2^24.
void multiplyAddIntegers(std::int64_t rows, std::int64_t columns, std::int64_t depth, const float* a,
                         const MatrixRows& b, float* c);

// y[i] += sum over k < depth of a[i][k] * x[k].
void multiplyAddVector(std::int64_t rows, std::int64_t depth, const float* a, const float* x, float* y);

}  // namespace trefoil
