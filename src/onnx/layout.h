// How an ONNX tensor lies over a node's values, so that axes can be reordered and regrouped without moving
// anything.
#pragma once

#include <string_view>
#include <vector>

#include "onnx/common.h"

namespace trefoil::onnx {

// The ONNX tensor is the node's values (one image, in C, H, W order) in order, seen as `dims`, if `perm` is
// empty. Otherwise those values are seen as `base` first, then axis i of the permuted tensor is axis perm[i]
// of `base`, and the result may be regrouped to `dims`. All dims include the batch.
struct NodeView {
  int node = 0;
  Dims dims;
  Dims base;
  std::vector<int> perm;
  std::string_view transpose;  // name of the Transpose that last set `perm`, for messages

  bool inOrder() const { return perm.empty(); }
};

Dims permuted(const Dims& dims, const std::vector<int>& perm);

// Whether each axis of the tensor is one axis of `base`.
bool isDirect(const NodeView& value);

// The same tensor with axes reordered; false where axes would have to be split that were regrouped after
// moving.
bool transposeView(NodeView* value, const std::vector<int>& perm, std::string_view transpose);

// For each element of one image of the tensor, in its order, the index among the node's values. Batch must be
// axis 0.
std::vector<std::int32_t> elementOrder(const NodeView& value);

}  // namespace trefoil::onnx
