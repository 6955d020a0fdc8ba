// Conv, Gemm and MatMul: everything that becomes a ConvOp.
#include <algorithm>
#include <cmath>

#include "onnx/operators.h"
#include "onnx/windows.h"

namespace trefoil::onnx {
namespace {

// A vector of features: a node of shape {F, 1, 1}, and where the ONNX order of features isn't the node's, for
// each ONNX feature the node's.
struct Features {
  int node = 0;
  std::vector<std::int32_t> order;
};

Result<Features> features(Importer& importer, const WireNode& node, const NodeView& value) {
  const std::int64_t size = importer.shapeOf(value.node).size();
  if (value.dims.back() != size || size > kMaxDimension) {
    return importer.badShape(node, "its input has the shape " + dimsText(value.dims) +
                                       "; expected are vectors of features, [N,F], of at most " +
                                       std::to_string(kMaxDimension));
  }
  Features result;
  if (!value.inOrder()) {
    if (value.base[0] != importer.batch() || value.perm[0] != 0) {
      return importer.unsupportedTranspose(node, value.transpose);
    }
    result.order = elementOrder(value);
  }
  TREFOIL_ASSIGN(source, importer.emitReshape(node, value.node, {static_cast<int>(size), 1, 1}));
  result.node = source;
  return result;
}

// Weights of a fully connected layer in ONNX's order ([K][F], or [F][K] where not `filters_first`) to [K][F].
std::vector<float> fullyConnected(const Tensor& weights, bool filters_first,
                                  const std::vector<std::int32_t>& order) {
  if (filters_first && order.empty()) return weights.reals;
  const auto rows = static_cast<std::size_t>(weights.dims[0]),
             columns = static_cast<std::size_t>(weights.dims[1]);
  const std::size_t filters = filters_first ? rows : columns, inputs = filters_first ? columns : rows;
  std::vector<float> result(weights.reals.size());
  for (std::size_t k = 0; k < filters; ++k) {
    for (std::size_t f = 0; f < inputs; ++f) {
      const std::size_t to = order.empty() ? f : static_cast<std::size_t>(order[f]);
      result[k * inputs + to] = weights.reals[filters_first ? k * inputs + f : f * filters + k];
    }
  }
  return result;
}

// The C of a Gemm as one bias a filter.
Result<std::vector<float>> gemmBias(Importer& importer, const WireNode& node, std::size_t filters) {
  std::vector<float> bias(filters, 0);
  if (!node.has(2)) return bias;
  TREFOIL_ASSIGN(given, importer.weights(node, 2));
  const bool by_filter = !given.dims.empty() && given.dims.back() == static_cast<std::int64_t>(filters);
  if (given.dims.size() > 2 || given.count() != (by_filter ? filters : 1)) {
    return importer.badShape(node, "its bias of shape " + dimsText(given.dims) + " doesn't fit " +
                                       std::to_string(filters) + " outputs");
  }
  for (std::size_t k = 0; k < filters; ++k) bias[k] = given.reals[by_filter ? k : 0];
  return bias;
}

Result<void> scaleBy(const Importer& importer, const WireNode& node, float factor,
                     std::vector<float>* values) {
  if (factor == 1) return {};
  for (float& value : *values) {
    value *= factor;
    if (!std::isfinite(value)) return importer.badOnnx(node, "scales a weight beyond what a float can hold");
  }
  return {};
}

}  // namespace

Result<Value> importConv(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(input, importer.activation(node, 0));
  TREFOIL_ASSIGN(source, importer.image(node, input));
  TREFOIL_ASSIGN(weights, importer.weights(node, 1));
  const Shape in = importer.shapeOf(source);
  if (weights.dims.size() != 4) {
    return importer.unsupported(node,
                                "has weights of shape " + dimsText(weights.dims) +
                                    "; only two-dimensional convolutions (weights [K,C,R,S]) are supported");
  }
  const std::int64_t groups = node.integer("group", 1), filters = weights.dims[0];
  if (groups < 1 || groups > in.channels || in.channels % groups != 0 || filters < 1 ||
      filters > kMaxDimension || filters % groups != 0 || weights.dims[1] != in.channels / groups) {
    return importer.badShape(node, "weights of shape " + dimsText(weights.dims) + " in " +
                                       std::to_string(groups) + " groups don't fit an input of shape " +
                                       dimsText(input.dims));
  }
  const WireAttribute* kernel = node.find("kernel_shape");
  if (kernel != nullptr && kernel->integers != Dims{weights.dims[2], weights.dims[3]}) {
    return importer.badShape(node, "kernel_shape " + dimsText(kernel->integers) +
                                       " contradicts weights of shape " + dimsText(weights.dims));
  }
  TREFOIL_ASSIGN(sizes, readWindow(importer, node, weights.dims[2], weights.dims[3], in));

  ConvOp op;
  op.window = sizes.window;
  op.groups = static_cast<int>(groups);
  op.weights = std::move(weights.reals);
  TREFOIL_RETURN_IF_ERROR(importer.budget().take(filters));
  op.bias.assign(static_cast<std::size_t>(filters), 0);
  if (node.has(2)) {
    TREFOIL_ASSIGN(bias, importer.weights(node, 2));
    if (bias.dims != Dims{filters}) {
      return importer.badShape(node, "bias of shape " + dimsText(bias.dims) + " doesn't fit " +
                                         std::to_string(filters) + " filters");
    }
    op.bias = std::move(bias.reals);
  }
  const Shape out = {static_cast<int>(filters), sizes.height, sizes.width};
  TREFOIL_ASSIGN(result, importer.emit(node, std::move(op), {source}, out));
  return Value(importer.imageView(result));
}

Result<Value> importGemm(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(input, importer.activation(node, 0));
  if (node.integer("transA", 0) != 0) return importer.unsupported(node, "transA must be 0");
  if (input.dims.size() != 2 || input.dims[0] != importer.batch()) {
    return importer.badShape(node, "its input has the shape " + dimsText(input.dims) + "; [N,F] is expected");
  }
  TREFOIL_ASSIGN(source, features(importer, node, input));
  TREFOIL_ASSIGN(weights, importer.weights(node, 1));
  const bool filters_first = node.integer("transB", 0) != 0;
  if (weights.dims.size() != 2 || weights.dims[filters_first ? 1 : 0] != input.dims[1] ||
      weights.dims[filters_first ? 0 : 1] > kMaxDimension) {
    return importer.badShape(node, "weights of shape " + dimsText(weights.dims) +
                                       " don't fit an input of shape " + dimsText(input.dims));
  }
  const std::int64_t filters = weights.dims[filters_first ? 0 : 1];
  TREFOIL_RETURN_IF_ERROR(importer.budget().take(filters + static_cast<std::int64_t>(weights.count())));
  ConvOp op;
  op.weights = fullyConnected(weights, filters_first, source.order);
  TREFOIL_RETURN_IF_ERROR(scaleBy(importer, node, node.real("alpha", 1), &op.weights));
  TREFOIL_ASSIGN(bias, gemmBias(importer, node, static_cast<std::size_t>(filters)));
  op.bias = std::move(bias);
  TREFOIL_RETURN_IF_ERROR(scaleBy(importer, node, node.real("beta", 1), &op.bias));
  TREFOIL_ASSIGN(result,
                 importer.emit(node, std::move(op), {source.node}, {static_cast<int>(filters), 1, 1}));
  return Value(importer.view(result, {kBatch, kChannels}));
}

Result<Value> importMatMul(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(input, importer.activation(node, 0));
  TREFOIL_ASSIGN(weights, importer.weights(node, 1));
  if (weights.dims.size() != 2 || input.dims.size() < 2 || weights.dims[0] != input.dims.back() ||
      weights.dims[1] > kMaxDimension) {
    return importer.badShape(node, "weights of shape " + dimsText(weights.dims) +
                                       " don't fit an input of shape " + dimsText(input.dims));
  }
  const int filters = static_cast<int>(weights.dims[1]);
  TREFOIL_RETURN_IF_ERROR(importer.budget().take(filters + static_cast<std::int64_t>(weights.count())));
  ConvOp op;
  op.bias.assign(static_cast<std::size_t>(filters), 0);

  if (input.dims.back() == importer.shapeOf(input.node).size()) {  // [N,F], or with axes of size 1 between
    TREFOIL_ASSIGN(source, features(importer, node, input));
    op.weights = fullyConnected(weights, false, source.order);
    TREFOIL_ASSIGN(result, importer.emit(node, std::move(op), {source.node}, {filters, 1, 1}));
    NodeView value;
    value.node = result;
    value.dims = std::move(input.dims);
    value.dims.back() = filters;
    return Value(std::move(value));
  }
  // Along the channels of an N,H,W,C tensor: a 1x1 convolution.
  TREFOIL_ASSIGN(placed, importer.place(node, input));
  if (placed.axes.back() != kChannels) {
    return importer.unsupported(node, "multiplies along an axis of shape " + dimsText(input.dims) +
                                          " that doesn't hold the channels");
  }
  op.weights = fullyConnected(weights, false, {});
  Shape shape = importer.shapeOf(placed.node);
  shape.channels = filters;
  TREFOIL_ASSIGN(result, importer.emit(node, std::move(op), {placed.node}, shape));
  return Value(importer.view(result, placed.axes, placed.transpose));
}

}  // namespace trefoil::onnx
