// What the operators share while an ONNX graph is turned into a Graph, node by node.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

#include "graph/graph.h"
#include "onnx/common.h"
#include "onnx/layout.h"
#include "onnx/onnx_reader.h"
#include "onnx/order.h"
#include "onnx/tensor.h"
#include "onnx/wire.h"

namespace trefoil::onnx {

// What a tensor name stands for: weights not yet read, a constant worked out on the way, or a node's result.
using Value = std::variant<const WireTensor*, TensorPtr, NodeView>;
inline Value asValue(Tensor tensor) { return TensorPtr(std::make_shared<const Tensor>(std::move(tensor))); }

// Axes of a Graph value, as Placed::axes names them.
inline constexpr int kBatch = -1;
inline constexpr int kChannels = 0;
inline constexpr int kRows = 1;
inline constexpr int kColumns = 2;

// A value of which every ONNX axis is one axis of the node's shape.
struct Placed {
  int node = 0;
  std::vector<int> axes;  // one an ONNX axis: kBatch, kChannels, kRows or kColumns
  std::string_view transpose;
};

enum class AxisRule {
  kAny,            // whichever axis holds the channels; of a vector, the only axis that is longer than 1
  kChannelsFirst,  // axis 1 holds the channels, then rows, then columns
};

class Importer {
 public:
  // unsupported: see OnnxReading::begin(); may be null.
  Importer(const WireModel& model, const Names& names, Budget budget, UnsupportedNode* unsupported)
      : model_(model), names_(names), budget_(budget), unsupported_(unsupported) {}

  // Makes node 0. `dims` includes the batch; with rows_first the ONNX tensor is N, H, W, C.
  void addInput(std::string_view name, const Dims& dims, const Shape& shape, bool channels_last);
  // Runs the node's operator and keeps its result.
  Result<void> importNode(const WireNode& node);
  // Makes `output` the graph's, drops what it doesn't need, and hands the graph out.
  Result<Graph> finish(std::string_view output);

  // --- for the operators ---

  std::int64_t opset() const { return model_.opset; }
  std::int64_t batch() const { return batch_; }
  Budget& budget() { return budget_; }
  const Node& graphNode(int node) const { return graph_.nodes[static_cast<std::size_t>(node)]; }
  const Shape& shapeOf(int node) const { return graphNode(node).shape; }

  // Inputs of a node. All but isConstant() fail where the input is absent.
  bool isConstant(const WireNode& node, std::size_t input) const;
  Result<Value> value(const WireNode& node, std::size_t input) const;
  Result<NodeView> activation(const WireNode& node, std::size_t input) const;
  Result<TensorPtr> constant(const WireNode& node, std::size_t input);
  Result<Dims> integers(const WireNode& node, std::size_t input);  // a constant scalar or list
  Result<float> scalar(const WireNode& node, std::size_t input);   // a constant of one real
  // Finite reals, for a Graph to own; with their dims.
  Result<Tensor> weights(const WireNode& node, std::size_t input);
  // A list that older opsets give as an attribute and newer ones as an input; nothing where it is given as
  // neither.
  Result<std::optional<Dims>> parameter(const WireNode& node, std::string_view attribute, std::size_t input);
  Result<Dims> requiredParameter(const WireNode& node, std::string_view attribute, std::size_t input);

  // Appends to the graph. The name is the ONNX node's, with `suffix` for a helper that the node needs beside
  // itself.
  Result<int> emit(const WireNode& node, Op op, std::vector<int> inputs, const Shape& shape,
                   std::string_view suffix = {});
  // `source` under another shape of equal size.
  Result<int> emitReshape(const WireNode& node, int source, const Shape& shape);

  Result<Placed> place(const WireNode& node, const NodeView& value, AxisRule rule = AxisRule::kAny);
  // The ONNX tensor whose axes lie over graph node `node` as `axes` says.
  NodeView view(int node, const std::vector<int>& axes, std::string_view transpose = {}) const;
  // Index of a node that holds an N, C, H, W tensor's image.
  Result<int> image(const WireNode& node, const NodeView& value);
  NodeView imageView(int node) const { return view(node, {kBatch, kChannels, kRows, kColumns}); }

  Error error(ErrorCode code, const WireNode& node, std::string_view what) const;
  Error at(const WireNode& node, const Error& cause) const { return error(cause.code, node, cause.message); }
  Error badShape(const WireNode& node, std::string_view what) const {
    return error(ErrorCode::kBadShape, node, what);
  }
  Error badOnnx(const WireNode& node, std::string_view what) const {
    return error(ErrorCode::kBadOnnx, node, what);
  }
  // A form of the operator that is not supported.
  Error unsupported(const WireNode& node, std::string_view what) const {
    return error(ErrorCode::kUnsupportedOp, node, what);
  }
  Error unsupportedTranspose(const WireNode& node, std::string_view transpose) const;

 private:
  const Value* find(std::string_view name) const;
  std::string uniqueName(const WireNode& node, std::string_view suffix);

  const WireModel& model_;
  const Names& names_;
  Budget budget_;
  UnsupportedNode* unsupported_;
  std::int64_t batch_ = 1;
  Graph graph_;
  std::unordered_map<std::string_view, Value> values_;
  std::unordered_map<std::string, int> used_names_;         // and the last number tried to make one unique
  std::map<std::tuple<int, int, int, int>, int> reshapes_;  // source and shape -> node
};

}  // namespace trefoil::onnx
