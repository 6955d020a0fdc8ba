// Add, Sub, Mul, Div and Sum: between constants, between a result and a constant, and between results.
#include <cmath>

#include "onnx/broadcast.h"
#include "onnx/fold.h"
#include "onnx/operators.h"

namespace trefoil::onnx {
namespace {

Result<Value> betweenConstants(Importer& importer, const WireNode& node, Binary operation) {
  TREFOIL_ASSIGN(a, importer.constant(node, 0));
  TREFOIL_ASSIGN(b, importer.constant(node, 1));
  auto result = foldBinary(operation, *a, *b, &importer.budget());
  if (!result.ok()) return importer.at(node, result.error());
  return asValue(std::move(result).value());
}

// x op constant, or constant op x, as scale * x + shift.
Result<Value> withConstant(Importer& importer, const WireNode& node, Binary operation, bool constant_first) {
  TREFOIL_ASSIGN(input, importer.activation(node, constant_first ? 1 : 0));
  TREFOIL_ASSIGN(constant, importer.weights(node, constant_first ? 0 : 1));
  TREFOIL_ASSIGN(spread, spreadOverChannels(importer, node, constant, std::move(input)));
  const std::size_t channels = spread.values.size();
  TREFOIL_RETURN_IF_ERROR(importer.budget().take(static_cast<std::int64_t>(channels)));
  ChannelAffineOp op;
  op.scale.assign(channels, 1);
  op.shift.assign(channels, 0);
  switch (operation) {
    case Binary::kAdd:
      op.shift = std::move(spread.values);
      break;
    case Binary::kSub:
      for (std::size_t c = 0; c < channels; ++c) {
        op.scale[c] = constant_first ? -1.F : 1.F;
        op.shift[c] = constant_first ? spread.values[c] : -spread.values[c];
      }
      break;
    case Binary::kDiv:
      if (constant_first) return importer.unsupported(node, "may not divide by a result of the network");
      for (std::size_t c = 0; c < channels; ++c) {
        op.scale[c] = static_cast<float>(1.0 / double{spread.values[c]});
        if (!std::isfinite(op.scale[c])) return importer.badOnnx(node, "divides by zero, or by nearly zero");
      }
      break;
    default:
      op.scale = std::move(spread.values);
      break;
  }
  const Shape shape = importer.shapeOf(spread.value.node);
  TREFOIL_ASSIGN(result, importer.emit(node, std::move(op), {spread.value.node}, shape));
  spread.value.node = result;
  return Value(std::move(spread.value));
}

Result<NodeView> add(Importer& importer, const WireNode& node, const NodeView& a, const NodeView& b) {
  TREFOIL_ASSIGN(both, pairUp(importer, node, a, b));
  const Shape shape = importer.shapeOf(both.a);
  if (shape != importer.shapeOf(both.b)) {
    return importer.unsupported(node, "adds results of shapes " + dimsText(a.dims) + " and " +
                                          dimsText(b.dims) + "; they must be equal");
  }
  TREFOIL_ASSIGN(result, importer.emit(node, AddOp{}, {both.a, both.b}, shape));
  both.value.node = result;
  return std::move(both.value);
}

// Whether `gate` is the hard sigmoid that makes x * gate a hard-swish: opsets below 14 have no operator for
// it.
bool isHardSwishGate(const Importer& importer, int x, int gate) {
  const Node& node = importer.graphNode(gate);
  const auto* op = std::get_if<ActivationOp>(&node.op);
  return op != nullptr && op->kind == Activation::kHardSigmoid && node.inputs[0] == x && op->beta == 0.5F &&
         std::abs(op->alpha * 6 - 1) < 1e-5F;
}

Result<NodeView> multiply(Importer& importer, const WireNode& node, const NodeView& a, const NodeView& b) {
  TREFOIL_ASSIGN(both, pairUp(importer, node, a, b));
  const Shape shape = importer.shapeOf(both.a);
  const bool swish_of_a = isHardSwishGate(importer, both.a, both.b);
  if (swish_of_a || isHardSwishGate(importer, both.b, both.a)) {
    ActivationOp op;
    op.kind = Activation::kHardSwish;
    TREFOIL_ASSIGN(result, importer.emit(node, std::move(op), {swish_of_a ? both.a : both.b}, shape));
    both.value.node = result;
  } else {
    TREFOIL_ASSIGN(result, importer.emit(node, MulOp{}, {both.a, both.b}, shape));
    both.value.node = result;
  }
  return std::move(both.value);
}

Result<Value> importBinary(Importer& importer, const WireNode& node, Binary operation) {
  const bool first = importer.isConstant(node, 0), second = importer.isConstant(node, 1);
  if (first && second) return betweenConstants(importer, node, operation);
  if (first || second) return withConstant(importer, node, operation, first);
  TREFOIL_ASSIGN(a, importer.activation(node, 0));
  TREFOIL_ASSIGN(b, importer.activation(node, 1));
  if (operation != Binary::kAdd && operation != Binary::kMul) {
    return importer.unsupported(node, "works between a result and a constant only, not between two results");
  }
  TREFOIL_ASSIGN(result,
                 operation == Binary::kAdd ? add(importer, node, a, b) : multiply(importer, node, a, b));
  return Value(std::move(result));
}

}  // namespace

Result<Value> importAdd(Importer& importer, const WireNode& node) {
  return importBinary(importer, node, Binary::kAdd);
}
Result<Value> importSub(Importer& importer, const WireNode& node) {
  return importBinary(importer, node, Binary::kSub);
}
Result<Value> importMul(Importer& importer, const WireNode& node) {
  return importBinary(importer, node, Binary::kMul);
}
Result<Value> importDiv(Importer& importer, const WireNode& node) {
  return importBinary(importer, node, Binary::kDiv);
}

Result<Value> importSum(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(sum, importer.activation(node, 0));
  for (std::size_t i = 1; i < node.inputs.size(); ++i) {
    TREFOIL_ASSIGN(next, importer.activation(node, i));
    TREFOIL_ASSIGN(longer, add(importer, node, sum, next));
    sum = std::move(longer);
  }
  return Value(std::move(sum));
}

}  // namespace trefoil::onnx
