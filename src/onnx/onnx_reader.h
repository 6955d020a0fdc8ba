// ONNX bytes to the float Graph.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
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

// What an error of kUnsupportedOp is about.
struct UnsupportedNode {
  std::string op;  // behind its domain and a colon where that is not ONNX's own
  std::string node;
  std::int64_t opset = 0;
  // All operators of the network that are not known at all, in its order, each once. Empty where `op` is
  // known, but not in the form that the node has.
  std::vector<std::string> unknown;
};

// readOnnx() in portions, a node at a time, for a caller that looks at something else in between.
class OnnxReading {
 public:
  // The bytes must stay until the end, and so must *unsupported, if it is given: it says more about an error
  // of kUnsupportedOp. Errors: as of readOnnx().
  static Result<OnnxReading> begin(std::span<const std::byte> bytes, const OnnxOptions& options = {},
                                   UnsupportedNode* unsupported = nullptr);
  // Reads the next node; not to be called once done(), or after an error. Errors: as of readOnnx().
  Result<void> step();
  bool done() const;
  // Once done(), and once. Errors: as of readOnnx().
  Result<Graph> finish();

  OnnxReading(OnnxReading&&) noexcept;
  OnnxReading& operator=(OnnxReading&&) noexcept;
  ~OnnxReading();

 private:
  struct Impl;
  explicit OnnxReading(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Operator types that readOnnx understands, sorted.
std::vector<std::string> supportedOnnxOperators();

}  // namespace trefoil
