// The state of one export: which names and levels the nodes before have, and how a node says its values. A
// file for each group of operations defines the rest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "format/quant_model.h"
#include "onnx_export/onnx_writer.h"

namespace trefoil {

class OnnxExporter {
 public:
  explicit OnnxExporter(const QuantModel& model) : model_(model) {}

  Result<std::vector<std::byte>> run();

 private:
  using Dims = std::vector<std::int64_t>;
  using Names = std::vector<std::string>;

  // What fixed-point factors lose against real ones, and no more.
  static constexpr double kSameFactor = 1e-5;

  static Dims dimsOf(const Shape& shape) { return {1, shape.channels, shape.height, shape.width}; }
  static double realOf(FixedPoint factor);

  Error fail(const std::string& message) const;
  // Names start with the node's place, since those in the model need not differ.
  std::string name(std::string_view part) const;
  std::string add(std::string_view op, const Names& inputs, std::string output,
                  const std::vector<OnnxAttribute>& attributes = {});

  template <typename T>
  std::string constant(std::string_view part, const Dims& shape, std::span<const T> values) {
    std::string label = name(part);
    out_.addConstant(label, shape, values);
    return label;
  }
  std::string scalar(std::string_view part, double value);
  std::string list(std::string_view part, const std::vector<std::int64_t>& values);
  // One value a channel, to be broadcast.
  template <typename T>
  std::string perChannel(std::string_view part, const std::vector<T>& values) {
    return constant(part, {1, static_cast<std::int64_t>(values.size()), 1, 1}, std::span<const T>(values));
  }

  const QNode& inputNode(const QNode& node, std::size_t i = 0) const {
    return model_.nodes[static_cast<std::size_t>(node.inputs[i])];
  }
  double scaleOf(const QNode& node) const { return double{node.grid.scale}; }
  // The u8 levels of an input, and their real values.
  std::string levels(const QNode& node, std::size_t i = 0) const;
  std::string real(const QNode& node, std::size_t i = 0);
  // What passes levels on has the input's grid by its bits and zero point; its scale is for people only.
  std::string realAs(const QNode& node, std::size_t i);
  std::string dequantize(const std::string& part, const std::string& from, const Grid& grid);
  std::string integersOf(const QNode& node);
  // x times a factor that should be 1 but for what fixed-point numbers round.
  std::string scaled(const std::string& part, std::string x, double factor);

  // Real values on the node's grid, clamped to levels low..high.
  void quantize(const QNode& node, std::string x, int low, int high);
  void quantize(const QNode& node, std::string x) { quantize(node, std::move(x), 0, node.grid.max()); }
  // logits = scale * L + offset, of real values that are `unit` * L.
  void finishLogits(const QNode& node, std::string x, double unit);
  void finishLevels(const QNode& node);

  Result<void> exportNode(const QNode& node, bool accumulators);
  Result<void> exportInput(const QNode& node);
  Result<void> exportConv(const QNode& node, const QConvOp& conv, bool accumulators);
  Result<void> exportPool(const QNode& node, const QPoolOp& pool, bool accumulators);
  Result<void> exportAdd(const QNode& node, const QAddOp& op);
  Result<void> exportMul(const QNode& node, const QMulOp& op);
  Result<void> exportRescale(const QNode& node, const QRescaleOp& op);
  Result<void> exportConcat(const QNode& node);
  Result<void> exportLookup(const QNode& node, const QLookupOp& lookup);
  Result<void> exportLrn(const QNode& node, const QLrnOp& lrn);
  Result<void> exportPad(const QNode& node, const QPadOp& pad);
  Result<void> exportSlice(const QNode& node, const QSliceOp& slice);
  Result<void> exportReshape(const QNode& node);

  const QuantModel& model_;
  OnnxWriter out_;
  std::size_t index_ = 0;
  Names levels_;  // by node
  std::string result_;
};

}  // namespace trefoil
