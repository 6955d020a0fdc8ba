// validateGraph(): a Graph may come from a hostile file, so nothing is trusted and all arithmetic is 64-bit.
#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_set>

#include "graph/graph.h"
#include "graph/window.h"

namespace trefoil {
namespace {

// Scalar operations that one image may cost (some 50 times a ResNet-152): a small file must not buy hours of
// work.
constexpr std::int64_t kMaxWork = 1LL << 39;

std::string quoted(const std::string& name) {
  constexpr std::size_t kShown = 80;
  return "'" + (name.size() <= kShown ? name : name.substr(0, kShown) + "...") + "'";
}

std::string shapeText(const Shape& s) {
  return std::to_string(s.channels) + "x" + std::to_string(s.height) + "x" + std::to_string(s.width);
}

bool allFinite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

// factors are >= 0 and below 2^31; false where the product exceeds `limit` (< 2^32).
bool productWithin(std::initializer_list<std::int64_t> factors, std::int64_t limit) {
  std::int64_t product = 1;
  for (const std::int64_t f : factors) {
    product *= f;
    if (product > limit) return false;
  }
  return true;
}

bool isDimension(int value) { return value >= 1 && value <= kMaxDimension; }
bool isExtra(int value) { return value >= 0 && value <= kMaxDimension; }

// Checks one node's operation; the shapes of the node and of its inputs are within limits already.
class OpChecker {
 public:
  OpChecker(const Graph& graph, const Node& node) : graph_(graph), node_(node) {}

  // Scalar operations of the node; set by a check that succeeds.
  std::int64_t work() const { return work_; }

  Result<void> operator()(const InputOp&) { return expectInputs(0); }

  Result<void> operator()(const ConvOp& op) {
    TREFOIL_RETURN_IF_ERROR(expectInputs(1));
    TREFOIL_RETURN_IF_ERROR(checkWindow(op.window));
    const int channels = in().channels, filters = out().channels;
    if (op.groups < 1 || channels % op.groups != 0 || filters % op.groups != 0) {
      return bad("has " + std::to_string(op.groups) + " groups, which do not divide its " +
                 std::to_string(channels) + " input and " + std::to_string(filters) + " output channels");
    }
    const int per_group = channels / op.groups;
    if (!productWithin({filters, per_group, op.window.kernel_h, op.window.kernel_w}, kMaxElements)) {
      return bad("has more than " + std::to_string(kMaxElements) + " weights");
    }
    const std::int64_t taps = std::int64_t{op.window.kernel_h} * op.window.kernel_w;
    if (static_cast<std::int64_t>(op.weights.size()) != taps * filters * per_group) {
      return bad("has " + std::to_string(op.weights.size()) + " weights where its shape needs " +
                 std::to_string(taps * filters * per_group));
    }
    if (static_cast<int>(op.bias.size()) != filters) {
      return bad("has " + std::to_string(op.bias.size()) + " biases for " + std::to_string(filters) +
                 " filters");
    }
    if (!allFinite(op.weights) || !allFinite(op.bias)) return bad("has weights that are not finite numbers");
    const WindowAxis rows = rowsOf(op.window), columns = columnsOf(op.window);
    TREFOIL_RETURN_IF_ERROR(
        expectShape({filters, floorOutput(rows, in().height), floorOutput(columns, in().width)}));
    work_ = out().size() * per_group * taps;
    return {};
  }

  Result<void> operator()(const ChannelAffineOp& op) {
    TREFOIL_RETURN_IF_ERROR(expectPointwise(1));
    TREFOIL_RETURN_IF_ERROR(checkPerChannel(op.scale, "scales"));
    return checkPerChannel(op.shift, "shifts");
  }

  Result<void> operator()(const ActivationOp& op) {
    TREFOIL_RETURN_IF_ERROR(expectPointwise(1));
    switch (op.kind) {
      case Activation::kClip: {
        constexpr float kInfinity = std::numeric_limits<float>::infinity();
        if (!(op.low <= op.high) || op.low == kInfinity || op.high == -kInfinity) {
          return bad("clips to an empty range");
        }
        return {};
      }
      case Activation::kPRelu:
        return checkPerChannel(op.slopes, "slopes");
      case Activation::kLeakyRelu:
      case Activation::kHardSigmoid:
        if (!std::isfinite(op.alpha) || !std::isfinite(op.beta))
          return bad("has a parameter that is not finite");
        return {};
      case Activation::kRelu:
      case Activation::kSigmoid:
      case Activation::kHardSwish:
        return {};
    }
    return bad("is an unknown activation");
  }

  Result<void> operator()(const AddOp&) {
    TREFOIL_RETURN_IF_ERROR(expectPointwise(2));
    if (in(1) != out()) return bad("adds " + shapeText(in(0)) + " and " + shapeText(in(1)));
    return {};
  }

  Result<void> operator()(const MulOp&) {
    TREFOIL_RETURN_IF_ERROR(expectPointwise(2));
    if (in(1) != out() && in(1) != Shape{out().channels, 1, 1}) {
      return bad("multiplies " + shapeText(in(0)) + " by " + shapeText(in(1)));
    }
    return {};
  }

  Result<void> operator()(const ConcatOp&) {
    if (node_.inputs.empty()) return bad("joins nothing");
    std::int64_t channels = 0;
    for (std::size_t i = 0; i < node_.inputs.size(); ++i) {
      if (in(i).height != out().height || in(i).width != out().width) {
        return bad("joins " + shapeText(in(i)) + " into " + shapeText(out()));
      }
      channels += in(i).channels;
    }
    if (channels != out().channels) {
      return bad("has " + std::to_string(out().channels) + " channels where its inputs have " +
                 std::to_string(channels));
    }
    return {};
  }

  Result<void> operator()(const PoolOp& op) {
    TREFOIL_RETURN_IF_ERROR(expectInputs(1));
    TREFOIL_RETURN_IF_ERROR(checkWindow(op.window));
    if (op.kind != Pool::kMax && op.kind != Pool::kAverage) return bad("is an unknown pool");
    if (out().channels != in().channels) return bad("changes the number of channels");
    const WindowAxis rows = rowsOf(op.window), columns = columnsOf(op.window);
    if (!poolOutputFits(rows, in().height, out().height) ||
        !poolOutputFits(columns, in().width, out().width)) {
      return bad("makes " + shapeText(out()) + " of " + shapeText(in()) + ", which does not fit its window");
    }
    if (!rows.allTouch(in().height, out().height) || !columns.allTouch(in().width, out().width)) {
      return bad(
          "has a window that lies in the padding altogether; its pads must be smaller than its kernel");
    }
    // Both factors are at most 2^20.
    const std::int64_t taps =
        std::int64_t{std::min(op.window.kernel_h, in().height)} * std::min(op.window.kernel_w, in().width);
    work_ = saturatingWork(out().size(), taps);
    return {};
  }

  Result<void> operator()(const LrnOp& op) {
    TREFOIL_RETURN_IF_ERROR(expectPointwise(1));
    if (!isDimension(op.size)) return bad("needs a size of 1 or more");
    // Else the power of a number below zero, which is not a real one.
    if (!std::isfinite(op.alpha) || !std::isfinite(op.beta) || !std::isfinite(op.bias) || op.alpha < 0 ||
        !(op.bias > 0)) {
      return bad("needs finite parameters, alpha of 0 or more and bias above 0");
    }
    work_ = saturatingWork(out().size(), std::min(op.size, in().channels));
    return {};
  }

  Result<void> operator()(const PadOp& op) {
    TREFOIL_RETURN_IF_ERROR(expectInputs(1));
    for (int axis = 0; axis < 3; ++axis) {
      if (!isExtra(op.before[axis]) || !isExtra(op.after[axis])) return bad("has a pad below 0 or too large");
    }
    if (!std::isfinite(op.value)) return bad("pads with a value that is not finite");
    return expectShape({in().channels + op.before[0] + op.after[0], in().height + op.before[1] + op.after[1],
                        in().width + op.before[2] + op.after[2]});
  }

  Result<void> operator()(const SliceOp& op) {
    TREFOIL_RETURN_IF_ERROR(expectInputs(1));
    const int sizes[3] = {in().channels, in().height, in().width};
    const int counts[3] = {out().channels, out().height, out().width};
    for (int axis = 0; axis < 3; ++axis) {
      if (op.start[axis] < 0 || op.step[axis] < 1 ||
          op.start[axis] + std::int64_t{counts[axis] - 1} * op.step[axis] >= sizes[axis]) {
        return bad("takes " + shapeText(out()) + " from outside its input of " + shapeText(in()));
      }
    }
    return {};
  }

  Result<void> operator()(const ReshapeOp&) {
    TREFOIL_RETURN_IF_ERROR(expectInputs(1));
    if (in().size() != out().size()) return bad("turns " + shapeText(in()) + " into " + shapeText(out()));
    return {};
  }

  Result<void> operator()(const SoftmaxOp&) {
    TREFOIL_RETURN_IF_ERROR(expectPointwise(1));
    if (out().plane() != 1) return bad("needs a flat vector, not " + shapeText(out()));
    return {};
  }

 private:
  const Shape& in(std::size_t i = 0) const {
    return graph_.nodes[static_cast<std::size_t>(node_.inputs[i])].shape;
  }
  const Shape& out() const { return node_.shape; }

  Error bad(const std::string& what) const {
    return makeError(ErrorCode::kBadShape, "node " + quoted(node_.name) + " (" +
                                               std::string(opName(node_.op)) + ") " + what +
                                               "; export the model again with static, consistent shapes");
  }

  Result<void> expectInputs(std::size_t count) const {
    if (node_.inputs.size() == count) return {};
    return bad("has " + std::to_string(node_.inputs.size()) + " inputs instead of " + std::to_string(count));
  }

  Result<void> expectShape(const Shape& expected) const {
    if (out() == expected) return {};
    return bad("has the shape " + shapeText(out()) + " where its operation gives " + shapeText(expected));
  }

  // `count` inputs, the first of the same shape as the result.
  Result<void> expectPointwise(std::size_t count) const {
    TREFOIL_RETURN_IF_ERROR(expectInputs(count));
    return expectShape(in());
  }

  Result<void> checkPerChannel(const std::vector<float>& values, const char* what) const {
    if (static_cast<int>(values.size()) != out().channels) {
      return bad("has " + std::to_string(values.size()) + " " + what + " for " +
                 std::to_string(out().channels) + " channels");
    }
    if (!allFinite(values)) return bad(std::string("has ") + what + " that are not finite numbers");
    return {};
  }

  Result<void> checkWindow(const Window& w) const {
    if (!isDimension(w.kernel_h) || !isDimension(w.kernel_w) || !isDimension(w.stride_h) ||
        !isDimension(w.stride_w) || !isDimension(w.dilation_h) || !isDimension(w.dilation_w)) {
      return bad("needs kernel sizes, strides and dilations of 1.." + std::to_string(kMaxDimension));
    }
    if (!isExtra(w.pad_top) || !isExtra(w.pad_left) || !isExtra(w.pad_bottom) || !isExtra(w.pad_right)) {
      return bad("needs pads of 0.." + std::to_string(kMaxDimension));
    }
    return {};
  }

  static int floorOutput(const WindowAxis& a, int in) {
    return windowOutput(in, a.kernel, a.stride, a.dilation, a.pad_before, a.pad_after);
  }

  // The size without ceil_mode, or with it. (That the last window starts inside the image is checked by
  // allTouch.)
  static bool poolOutputFits(const WindowAxis& a, int in, int out) {
    if (out == floorOutput(a, in)) return true;
    const std::int64_t room = std::int64_t{in} + a.pad_before + a.pad_after - a.extent();
    const std::int64_t ceil_output = (room + a.stride - 1) / a.stride + 1;
    return room + a.stride > 0 && out == ceil_output;
  }

  // The product, or more than kMaxWork where it exceeds that.
  static std::int64_t saturatingWork(std::int64_t count, std::int64_t each) {
    return each > kMaxWork / count ? kMaxWork + 1 : count * each;
  }

  const Graph& graph_;
  const Node& node_;
  std::int64_t work_ = 0;
};

Result<void> checkInputs(const Graph& graph, std::size_t index) {
  const Node& node = graph.nodes[index];
  for (const int input : node.inputs) {
    if (input < 0 || static_cast<std::size_t>(input) >= graph.nodes.size()) {
      return makeError(ErrorCode::kMissingInitializer,
                       "node " + quoted(node.name) + " reads a value that nothing produces");
    }
    if (static_cast<std::size_t>(input) >= index) {
      return makeError(ErrorCode::kGraphCycle, "node " + quoted(node.name) + " reads the result of " +
                                                   quoted(graph.nodes[static_cast<std::size_t>(input)].name) +
                                                   ", which is not computed before it");
    }
  }
  return {};
}

Result<void> checkShape(const Node& node) {
  const Shape& s = node.shape;
  if (isDimension(s.channels) && isDimension(s.height) && isDimension(s.width) &&
      productWithin({s.channels, s.height, s.width}, kMaxElements)) {
    return {};
  }
  return makeError(ErrorCode::kBadShape, "node " + quoted(node.name) + " has the shape " + shapeText(s) +
                                             "; each dimension must be 1.." + std::to_string(kMaxDimension) +
                                             " and all together at most " + std::to_string(kMaxElements));
}

}  // namespace

Result<void> validateGraph(const Graph& graph) {
  if (graph.nodes.empty() || !std::holds_alternative<InputOp>(graph.nodes.front().op)) {
    return makeError(ErrorCode::kBadShape, "the graph does not start with an input");
  }
  if (graph.output < 0 || static_cast<std::size_t>(graph.output) >= graph.nodes.size()) {
    return makeError(ErrorCode::kMissingInitializer, "the graph's output is a value that nothing produces");
  }
  std::unordered_set<std::string_view> names;
  std::int64_t work = 0;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    if (!names.insert(node.name).second) {
      return makeError(ErrorCode::kBadShape, "two nodes have the name " + quoted(node.name));
    }
    if (i > 0 && std::holds_alternative<InputOp>(node.op)) {
      return makeError(ErrorCode::kBadShape, "the graph has a second input, " + quoted(node.name) +
                                                 "; only one image can be given");
    }
    TREFOIL_RETURN_IF_ERROR(checkInputs(graph, i));
    TREFOIL_RETURN_IF_ERROR(checkShape(node));
    OpChecker checker(graph, node);
    TREFOIL_RETURN_IF_ERROR(std::visit(checker, node.op));
    work += std::max(checker.work(), node.shape.size());
    if (work > kMaxWork) {
      return makeError(ErrorCode::kBadShape, "the network needs more than " + std::to_string(kMaxWork) +
                                                 " operations for an image at node " + quoted(node.name) +
                                                 "; use a smaller input size");
    }
  }
  return {};
}

}  // namespace trefoil
