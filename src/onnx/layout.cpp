#include "onnx/layout.h"

#include <numeric>
#include <utility>

namespace trefoil::onnx {
namespace {

// Axes of size 1 hold no place in memory: if the others keep their order, nothing is moved.
void dropTrivialPermutation(NodeView* value) {
  int last = -1;
  for (const int axis : value->perm) {
    if (value->base[static_cast<std::size_t>(axis)] == 1) continue;
    if (axis < last) return;
    last = axis;
  }
  value->perm.clear();
  value->base.clear();
}

}  // namespace

Dims permuted(const Dims& dims, const std::vector<int>& perm) {
  Dims result(perm.size());
  for (std::size_t i = 0; i < perm.size(); ++i) result[i] = dims[static_cast<std::size_t>(perm[i])];
  return result;
}

bool isDirect(const NodeView& value) {
  return value.inOrder() || value.dims == permuted(value.base, value.perm);
}

bool transposeView(NodeView* value, const std::vector<int>& perm, std::string_view transpose) {
  if (!isDirect(*value)) return false;
  if (value->inOrder()) {
    value->base = value->dims;
    value->perm = perm;
  } else {
    std::vector<int> combined(perm.size());
    for (std::size_t i = 0; i < perm.size(); ++i)
      combined[i] = value->perm[static_cast<std::size_t>(perm[i])];
    value->perm = std::move(combined);
  }
  value->dims = permuted(value->base, value->perm);
  value->transpose = transpose;
  dropTrivialPermutation(value);
  return true;
}

std::vector<std::int32_t> elementOrder(const NodeView& value) {
  const std::size_t rank = value.base.size();
  std::vector<std::int64_t> stride(rank, 1);
  for (std::size_t i = rank - 1; i > 0; --i) stride[i - 1] = stride[i] * value.base[i];

  // Axis by axis, from the first of the permuted tensor (the batch, axis 0, left out): the offsets of all its
  // prefixes.
  std::vector<std::int32_t> order = {0};
  for (std::size_t i = 1; i < rank; ++i) {
    const auto axis = static_cast<std::size_t>(value.perm[i]);
    std::vector<std::int32_t> longer;
    longer.reserve(order.size() * static_cast<std::size_t>(value.base[axis]));
    for (const std::int32_t prefix : order) {
      for (std::int64_t k = 0; k < value.base[axis]; ++k) {
        longer.push_back(prefix + static_cast<std::int32_t>(k * stride[axis]));
      }
    }
    order = std::move(longer);
  }
  return order;
}

}  // namespace trefoil::onnx
