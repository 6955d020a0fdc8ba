// Activations, batch norm, LRN and softmax.
#include <algorithm>
#include <cmath>
#include <limits>

#include "onnx/broadcast.h"
#include "onnx/operators.h"

namespace trefoil::onnx {
namespace {

// An operator that treats every element alike needs no particular layout.
Result<Value> pointwise(Importer& importer, const WireNode& node, ActivationOp op) {
  TREFOIL_ASSIGN(value, importer.activation(node, 0));
  if (!std::isfinite(op.alpha) || !std::isfinite(op.beta)) {
    return importer.badOnnx(node, "has an attribute that is not finite");
  }
  const Shape shape = importer.shapeOf(value.node);
  TREFOIL_ASSIGN(result, importer.emit(node, std::move(op), {value.node}, shape));
  value.node = result;
  return Value(std::move(value));
}

ActivationOp activation(Activation kind, float alpha = 0, float beta = 0) {
  ActivationOp op;
  op.kind = kind;
  op.alpha = alpha;
  op.beta = beta;
  return op;
}

}  // namespace

Result<Value> importRelu(Importer& importer, const WireNode& node) {
  return pointwise(importer, node, activation(Activation::kRelu));
}

Result<Value> importSigmoid(Importer& importer, const WireNode& node) {
  return pointwise(importer, node, activation(Activation::kSigmoid));
}

Result<Value> importHardSwish(Importer& importer, const WireNode& node) {
  return pointwise(importer, node, activation(Activation::kHardSwish));
}

Result<Value> importLeakyRelu(Importer& importer, const WireNode& node) {
  return pointwise(importer, node, activation(Activation::kLeakyRelu, node.real("alpha", 0.01F)));
}

Result<Value> importHardSigmoid(Importer& importer, const WireNode& node) {
  const float alpha = node.real("alpha", 0.2F), beta = node.real("beta", 0.5F);
  return pointwise(importer, node, activation(Activation::kHardSigmoid, alpha, beta));
}

Result<Value> importClip(Importer& importer, const WireNode& node) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  float bounds[] = {node.real("min", -kLargest), node.real("max", kLargest)};
  for (std::size_t i = 0; i < 2; ++i) {
    if (!node.has(i + 1)) continue;
    TREFOIL_ASSIGN(bound, importer.scalar(node, i + 1));
    bounds[i] = bound;
  }
  const float low = bounds[0] <= -kLargest ? -kInfinity : bounds[0];
  const float high = bounds[1] >= kLargest ? kInfinity : bounds[1];
  if (std::isnan(low) || std::isnan(high) || low == kInfinity || high == -kInfinity) {
    return importer.badOnnx(node, "its bounds are not numbers that a value can be clipped to");
  }
  if (low == -kInfinity && high == kInfinity) return importer.value(node, 0);
  if (low == 0 && high == kInfinity) return importRelu(importer, node);
  ActivationOp op;
  op.kind = Activation::kClip;
  op.low = std::min(low, high);  // ONNX: min(max(x, low), high), so `high` wins
  op.high = high;
  return pointwise(importer, node, std::move(op));
}

Result<Value> importPRelu(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(value, importer.activation(node, 0));
  TREFOIL_ASSIGN(slope, importer.weights(node, 1));
  if (slope.count() == 1)
    return pointwise(importer, node, activation(Activation::kLeakyRelu, slope.reals[0]));
  // [C] is read as one slope a channel, as the exporters that write it mean it; ONNX would broadcast it along
  // columns.
  const bool in_order = value.inOrder() && value.dims.size() > 1;
  if (in_order && slope.dims.size() == 1 && slope.dims[0] == value.dims[1]) {
    slope.dims.resize(value.dims.size() - 1, 1);
  }
  TREFOIL_ASSIGN(spread, spreadOverChannels(importer, node, slope, std::move(value)));
  ActivationOp op;
  op.kind = Activation::kPRelu;
  op.slopes = std::move(spread.values);
  const Shape shape = importer.shapeOf(spread.value.node);
  TREFOIL_ASSIGN(result, importer.emit(node, std::move(op), {spread.value.node}, shape));
  spread.value.node = result;
  return Value(std::move(spread.value));
}

Result<Value> importBatchNormalization(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(value, importer.activation(node, 0));
  TREFOIL_ASSIGN(placed, importer.place(node, value, AxisRule::kChannelsFirst));
  const Shape shape = importer.shapeOf(placed.node);
  if (node.integer("training_mode", 0) != 0) return importer.unsupported(node, "training_mode must be 0");
  if (node.integer("spatial", 1) == 0 && shape.plane() != 1)
    return importer.unsupported(node, "spatial must be 1");

  Tensor parameters[4];  // scale, bias, mean, variance
  for (std::size_t i = 0; i < 4; ++i) {
    TREFOIL_ASSIGN(read, importer.weights(node, i + 1));
    if (read.count() != static_cast<std::size_t>(shape.channels)) {
      return importer.badShape(node, "its parameters of shape " + dimsText(read.dims) +
                                         " don't fit an input of shape " + dimsText(value.dims));
    }
    parameters[i] = std::move(read);
  }
  const double epsilon = double{node.real("epsilon", 1e-5F)};
  ChannelAffineOp op;
  op.scale = std::move(parameters[0].reals);
  op.shift = std::move(parameters[1].reals);
  for (std::size_t c = 0; c < op.scale.size(); ++c) {
    const double variance = double{parameters[3].reals[c]};
    const double scale = double{op.scale[c]} / std::sqrt(variance + epsilon);
    op.trained.mean.push_back(op.shift[c]);
    op.trained.deviation.push_back(static_cast<float>(std::fabs(scale) * std::sqrt(std::max(variance, 0.0))));
    op.shift[c] = static_cast<float>(double{op.shift[c]} - double{parameters[2].reals[c]} * scale);
    op.scale[c] = static_cast<float>(scale);
    if (!std::isfinite(op.scale[c]) || !std::isfinite(op.shift[c])) {
      return importer.badOnnx(node, "has a variance of zero or below, or parameters too large to use");
    }
  }
  TREFOIL_ASSIGN(result, importer.emit(node, std::move(op), {placed.node}, shape));
  return Value(importer.view(result, placed.axes));
}

Result<Value> importLrn(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(value, importer.activation(node, 0));
  TREFOIL_ASSIGN(source, importer.image(node, value));
  LrnOp op;
  const std::int64_t size = node.integer("size", 0);
  op.alpha = node.real("alpha", 1e-4F);
  op.beta = node.real("beta", .75F);
  op.bias = node.real("bias", 1);
  if (size < 1 || size > kMaxDimension) return importer.badOnnx(node, "its size must be 1 or more");
  if (!std::isfinite(op.alpha) || !std::isfinite(op.beta) || !std::isfinite(op.bias)) {
    return importer.badOnnx(node, "has an attribute that is not finite");
  }
  op.size = static_cast<int>(size);
  TREFOIL_ASSIGN(result, importer.emit(node, op, {source}, importer.shapeOf(source)));
  return Value(importer.imageView(result));
}

Result<Value> importSoftmax(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(value, importer.activation(node, 0));
  const bool flattens = importer.opset() < 13;  // over all axes from `axis` on; later over that axis alone
  std::int64_t axis = node.integer("axis", flattens ? 1 : -1);
  if (!normalizeAxis(&axis, value.dims.size())) return importer.badShape(node, "its axis does not exist");
  std::int64_t covered = 1;
  for (std::size_t i = static_cast<std::size_t>(axis); i < value.dims.size(); ++i) {
    covered *= value.dims[i];
    if (!flattens) break;
  }
  const std::int64_t features = importer.shapeOf(value.node).size();
  if (!value.inOrder() || covered != features || features > kMaxDimension) {
    return importer.unsupported(node, "must be over all the features of a vector, but is over axis " +
                                          std::to_string(axis) + " of shape " + dimsText(value.dims));
  }
  const Shape shape = {static_cast<int>(features), 1, 1};
  TREFOIL_ASSIGN(source, importer.emitReshape(node, value.node, shape));
  TREFOIL_ASSIGN(result, importer.emit(node, SoftmaxOp{}, {source}, shape));
  value.node = result;
  return Value(std::move(value));
}

}  // namespace trefoil::onnx
