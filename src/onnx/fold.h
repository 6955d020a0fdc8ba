// Arithmetic on constant tensors: what exporters leave in front of Reshape, Pad and Slice. Every result is
// charged to the budget, so that a small file can't ask for large work.
#pragma once

#include "onnx/tensor.h"

namespace trefoil::onnx {

// One axis of a slice: indices start, start + step, ... (count of them), all within the axis.
struct SliceRange {
  std::int64_t start = 0, step = 1, count = 0;
};
// ONNX's rules: negative indices count from the end, out-of-range ones are clamped. `step` must not be 0.
SliceRange resolveSlice(std::int64_t start, std::int64_t end, std::int64_t step, std::int64_t size);

// Shape that both broadcast to (numpy's rule); false where they don't.
bool broadcastDims(const Dims& a, const Dims& b, Dims* result);

Dims rowMajorStrides(const Dims& dims);
// result[i...] = source[offset + sum of i[k] * strides[k]]. The caller keeps the indices in range.
Result<Tensor> stridedCopy(const Tensor& source, Dims dims, std::int64_t offset, const Dims& strides,
                           Budget* budget);
// `dims` must be what source's broadcast to.
Result<Tensor> expand(const Tensor& source, const Dims& dims, Budget* budget);

enum class Binary { kAdd, kSub, kMul, kDiv, kMin, kMax, kEqual };

// Errors: kBadShape (shapes don't broadcast), kBadOnnx (types differ, division of an integer by zero).
Result<Tensor> foldBinary(Binary operation, const Tensor& a, const Tensor& b, Budget* budget);

}  // namespace trefoil::onnx
