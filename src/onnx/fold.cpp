#include "onnx/fold.h"

#include <algorithm>
#include <limits>

namespace trefoil::onnx {
namespace {

// Integers wrap round as in ONNX; C++ leaves overflow of signed ones undefined.
std::int64_t wrap(std::uint64_t value) { return static_cast<std::int64_t>(value); }

std::int64_t apply(Binary operation, std::int64_t a, std::int64_t b) {
  const auto ua = static_cast<std::uint64_t>(a);
  const auto ub = static_cast<std::uint64_t>(b);
  switch (operation) {
    case Binary::kAdd:
      return wrap(ua + ub);
    case Binary::kSub:
      return wrap(ua - ub);
    case Binary::kMul:
      return wrap(ua * ub);
    case Binary::kDiv:
      return b == -1 ? wrap(0 - ua) : a / b;  // b is not 0; the least integer / -1 wraps
    case Binary::kMin:
      return std::min(a, b);
    case Binary::kMax:
      return std::max(a, b);
    case Binary::kEqual:
      return a == b;
  }
  return 0;
}

float apply(Binary operation, float a, float b) {
  switch (operation) {
    case Binary::kAdd:
      return a + b;
    case Binary::kSub:
      return a - b;
    case Binary::kMul:
      return a * b;
    case Binary::kDiv:
      return a / b;
    case Binary::kMin:
      return std::min(a, b);
    case Binary::kMax:
      return std::max(a, b);
    case Binary::kEqual:
      return a == b ? 1.F : 0.F;
  }
  return 0;
}

template <typename T>
void copyStrided(const std::vector<T>& source, const Dims& dims, std::int64_t offset, const Dims& strides,
                 std::size_t count, std::vector<T>* result) {
  result->resize(count);
  Dims index(dims.size(), 0);
  std::int64_t position = offset;
  for (std::size_t i = 0; i < count; ++i) {
    (*result)[i] = source[static_cast<std::size_t>(position)];
    for (std::size_t axis = dims.size(); axis-- > 0;) {
      position += strides[axis];
      if (++index[axis] < dims[axis]) break;
      position -= strides[axis] * dims[axis];
      index[axis] = 0;
    }
  }
}

}  // namespace

SliceRange resolveSlice(std::int64_t start, std::int64_t end, std::int64_t step, std::int64_t size) {
  // A step beyond every size takes one element, however large it is; the limit keeps the sums below from
  // overflowing.
  step = std::clamp<std::int64_t>(step, -kMaxElements, kMaxElements);
  SliceRange range;
  range.step = step;
  if (size == 0) return range;
  if (start < 0) start += size;
  if (end < 0) end += size;
  if (step > 0) {
    range.start = std::clamp<std::int64_t>(start, 0, size);
    end = std::clamp<std::int64_t>(end, 0, size);
    if (end > range.start) range.count = (end - range.start + step - 1) / step;
  } else {
    range.start = std::clamp<std::int64_t>(start, 0, size - 1);
    end = std::clamp<std::int64_t>(end, -1, size - 1);
    if (end < range.start) range.count = (range.start - end - step - 1) / -step;
  }
  return range;
}

bool broadcastDims(const Dims& a, const Dims& b, Dims* result) {
  const std::size_t rank = std::max(a.size(), b.size());
  Dims dims(rank);
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int64_t x = i + a.size() < rank ? 1 : a[i + a.size() - rank];
    const std::int64_t y = i + b.size() < rank ? 1 : b[i + b.size() - rank];
    if (x != y && x != 1 && y != 1) return false;
    dims[i] = x == 1 ? y : x;
  }
  *result = std::move(dims);
  return true;
}

Dims rowMajorStrides(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (std::size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return strides;
}

Result<Tensor> stridedCopy(const Tensor& source, Dims dims, std::int64_t offset, const Dims& strides,
                           Budget* budget) {
  TREFOIL_ASSIGN(count, elementCount(dims));
  TREFOIL_RETURN_IF_ERROR(budget->take(count));
  Tensor result;
  result.type = source.type;
  const auto size = static_cast<std::size_t>(count);
  if (source.type == ElementType::kReal) {
    copyStrided(source.reals, dims, offset, strides, size, &result.reals);
  } else {
    copyStrided(source.integers, dims, offset, strides, size, &result.integers);
  }
  result.dims = std::move(dims);
  return result;
}

Result<Tensor> expand(const Tensor& source, const Dims& dims, Budget* budget) {
  const Dims own = rowMajorStrides(source.dims);
  const std::size_t added = dims.size() - source.dims.size();
  Dims strides(dims.size(), 0);
  for (std::size_t i = 0; i < own.size(); ++i) {
    if (source.dims[i] != 1) strides[added + i] = own[i];
  }
  return stridedCopy(source, dims, 0, strides, budget);
}

Result<Tensor> foldBinary(Binary operation, const Tensor& a, const Tensor& b, Budget* budget) {
  if (a.type != b.type) {
    return makeError(ErrorCode::kBadOnnx, "its two constants have different types");
  }
  Dims dims;
  if (!broadcastDims(a.dims, b.dims, &dims)) {
    return makeError(ErrorCode::kBadShape, "constants of shapes " + dimsText(a.dims) + " and " +
                                               dimsText(b.dims) + " don't fit together");
  }
  TREFOIL_ASSIGN(x, expand(a, dims, budget));
  TREFOIL_ASSIGN(y, expand(b, dims, budget));
  if (x.type == ElementType::kReal) {
    for (std::size_t i = 0; i < x.reals.size(); ++i) x.reals[i] = apply(operation, x.reals[i], y.reals[i]);
    if (operation == Binary::kEqual) {
      x.type = ElementType::kBool;
      x.integers.assign(x.reals.begin(), x.reals.end());
      x.reals.clear();
    }
    return x;
  }
  if (operation == Binary::kDiv && std::find(y.integers.begin(), y.integers.end(), 0) != y.integers.end()) {
    return makeError(ErrorCode::kBadOnnx, "divides an integer by zero");
  }
  for (std::size_t i = 0; i < x.integers.size(); ++i) {
    x.integers[i] = apply(operation, x.integers[i], y.integers[i]);
  }
  if (operation == Binary::kEqual) x.type = ElementType::kBool;
  return x;
}

}  // namespace trefoil::onnx
