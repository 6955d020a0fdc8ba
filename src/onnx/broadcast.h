// Constants and results of unlike shapes brought together.
#pragma once

#include "onnx/importer.h"

namespace trefoil::onnx {

struct Spread {
  std::vector<float> values;  // one a channel of the node
  NodeView value;             // the result of the network that the constant goes with
};

// A constant that broadcasts to the tensor `value` and differs along its channels only. Errors:
// kUnsupportedOp.
Result<Spread> spreadOverChannels(Importer& importer, const WireNode& node, const Tensor& constant,
                                  NodeView value);

struct Pair {
  int a = 0, b = 0;  // nodes, of equal shape, or b of shape {C, 1, 1}
  NodeView value;    // their element by element combination, once its node is set
};

// Two results whose axes agree; swapped where the first is the smaller one. Errors: kUnsupportedOp.
Result<Pair> pairUp(Importer& importer, const WireNode& node, const NodeView& a, const NodeView& b);

}  // namespace trefoil::onnx
