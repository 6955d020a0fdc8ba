#include "graph/graph.h"

#include <limits>

namespace trefoil {
namespace {

struct OpNamer {
  std::string_view operator()(const InputOp&) const { return "Input"; }
  std::string_view operator()(const ConvOp&) const { return "Conv"; }
  std::string_view operator()(const ChannelAffineOp&) const { return "ChannelAffine"; }
  std::string_view operator()(const ActivationOp& op) const {
    switch (op.kind) {
      case Activation::kRelu:
        return "Relu";
      case Activation::kClip:
        return "Clip";
      case Activation::kLeakyRelu:
        return "LeakyRelu";
      case Activation::kPRelu:
        return "PRelu";
      case Activation::kSigmoid:
        return "Sigmoid";
      case Activation::kHardSigmoid:
        return "HardSigmoid";
      case Activation::kHardSwish:
        return "HardSwish";
    }
    return "Activation";
  }
  std::string_view operator()(const AddOp&) const { return "Add"; }
  std::string_view operator()(const MulOp&) const { return "Mul"; }
  std::string_view operator()(const ConcatOp&) const { return "Concat"; }
  std::string_view operator()(const PoolOp& op) const {
    return op.kind == Pool::kMax ? "MaxPool" : "AveragePool";
  }
  std::string_view operator()(const LrnOp&) const { return "Lrn"; }
  std::string_view operator()(const PadOp&) const { return "Pad"; }
  std::string_view operator()(const SliceOp&) const { return "Slice"; }
  std::string_view operator()(const ReshapeOp&) const { return "Reshape"; }
  std::string_view operator()(const SoftmaxOp&) const { return "Softmax"; }
};

}  // namespace

std::string_view opName(const Op& op) { return std::visit(OpNamer{}, op); }

int windowOutput(int in, int kernel, int stride, int dilation, int pad_before, int pad_after) {
  if (in < 1 || kernel < 1 || stride < 1 || dilation < 1 || pad_before < 0 || pad_after < 0) return 0;
  const std::int64_t padded = std::int64_t{in} + pad_before + pad_after;
  const std::int64_t extent = (std::int64_t{kernel} - 1) * dilation + 1;
  if (padded < extent) return 0;
  const std::int64_t out = (padded - extent) / stride + 1;
  return static_cast<int>(std::min<std::int64_t>(out, std::numeric_limits<int>::max()));
}

std::int64_t countMacs(const Graph& graph, int node) {
  const Node& n = graph.nodes[static_cast<std::size_t>(node)];
  const auto* conv = std::get_if<ConvOp>(&n.op);
  if (conv == nullptr) return 0;
  const Shape& in = graph.nodes[static_cast<std::size_t>(n.inputs[0])].shape;
  return n.shape.size() * (in.channels / conv->groups) * conv->window.kernel_h * conv->window.kernel_w;
}

}  // namespace trefoil
