// ONNX bytes to the float Graph.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"

namespace trefoil {

struct OnnxOptions {
  // Used where the model leaves the image size symbolic: rows and columns of the input. 0: must be in the
  // model.
  int input_height = 0;
  int input_width = 0;
};

// Reads an ONNX model of opset 7..21 (see onnx/README for the operators). Safe for untrusted input. Shape
// arithmetic on constants is folded, layout-only transposes vanish, a symbolic batch becomes one image. Batch
// norm stays a ChannelAffine. Errors: kBadOnnx, kUnsupportedOp, kUnsupportedOpset, kExternalData,
// kGraphCycle, kBadShape, kMissingInitializer, kBadOption, kOutOfMemory.
Result<Graph> readOnnx(std::span<const std::byte> bytes, const OnnxOptions& options = {});

// Operator types that readOnnx understands, sorted.
std::vector<std::string> supportedOnnxOperators();

}  // namespace trefoil
