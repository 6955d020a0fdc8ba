// Which nodes the result depends on, and an order in which each comes after what it reads.
#pragma once

#include <string_view>
#include <unordered_map>
#include <vector>

#include "onnx/wire.h"

namespace trefoil::onnx {

struct Producer {
  int node = 0;    // index into WireModel::nodes
  int output = 0;  // which of its outputs
};

// Tensor names and who makes them. Views into the model.
struct Names {
  std::unordered_map<std::string_view, Producer> producers;
  std::unordered_map<std::string_view, const WireTensor*> initializers;
};

// Error: kBadOnnx where a name is made twice.
Result<Names> indexNames(const WireModel& model);

// Nodes that `output` depends on, in the file's order where that is valid. `input` is the image, which needs
// no producer. Errors: kMissingInitializer, kGraphCycle.
Result<std::vector<int>> orderNodes(const WireModel& model, const Names& names, std::string_view input,
                                    std::string_view output);

// The name by which messages call a node: its own, or that of its first output.
std::string_view nodeName(const WireNode& node);

}  // namespace trefoil::onnx
