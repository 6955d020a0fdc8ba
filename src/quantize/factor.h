// The factor of a symmetric positive matrix that error compensation works with, in blocks over the float
// matrix product.
#pragma once

#include <cstdint>
#include <functional>

namespace trefoil {

// h: n x n, row-major, of which the upper triangle is read and replaced by the upper triangular R with
// h = R R^T (a Cholesky factor from the last row up); what is below the diagonal is set to zero. Pivots below
// `least` are raised to it, so that rounding can't make it fail. `work` is told the multiply-adds done so far
// now and then; false ends it, and the result.
bool factorize(int n, float least, float* h, const std::function<bool(double)>& work);

// Replaces each row b of `rows` x n by b R^-T, with R from factorize().
void solveTransposed(int n, const float* r, std::int64_t rows, float* b);

}  // namespace trefoil
