#include "quantize/program.h"

#include <algorithm>
#include <utility>

#include "quantize/grid_search.h"
#include "quantize/prepare.h"

namespace trefoil {
namespace {

StepKind kindOf(const Op& op) {
  struct Visitor {
    StepKind operator()(const InputOp&) const { return StepKind::kInput; }
    StepKind operator()(const ConvOp&) const { return StepKind::kConv; }
    StepKind operator()(const ActivationOp&) const { return StepKind::kLookup; }
    StepKind operator()(const AddOp&) const { return StepKind::kAdd; }
    StepKind operator()(const MulOp&) const { return StepKind::kMul; }
    StepKind operator()(const ConcatOp&) const { return StepKind::kConcat; }
    StepKind operator()(const PoolOp& pool) const {
      return pool.kind == Pool::kMax ? StepKind::kMaxPool : StepKind::kAveragePool;
    }
    StepKind operator()(const LrnOp&) const { return StepKind::kLrn; }
    StepKind operator()(const PadOp&) const { return StepKind::kPad; }
    StepKind operator()(const SliceOp&) const { return StepKind::kSlice; }
    StepKind operator()(const ReshapeOp&) const { return StepKind::kReshape; }
    // prepareGraph() leaves neither of these.
    StepKind operator()(const ChannelAffineOp&) const { return StepKind::kReshape; }
    StepKind operator()(const SoftmaxOp&) const { return StepKind::kReshape; }
  };
  return std::visit(Visitor{}, op);
}

bool canClamp(StepKind kind) {
  return kind == StepKind::kConv || kind == StepKind::kAdd || kind == StepKind::kMul ||
         kind == StepKind::kAveragePool;
}

// The bounds of a ReLU or clip; false for other activations.
bool clampBounds(const ActivationOp& activation, double* low, double* high) {
  if (activation.kind == Activation::kRelu) {
    *low = 0;
    *high = std::numeric_limits<double>::infinity();
    return true;
  }
  *low = activation.low;
  *high = activation.high;
  return activation.kind == Activation::kClip;
}

bool isGate(const ActivationOp& activation) {
  return activation.kind == Activation::kSigmoid || activation.kind == Activation::kHardSigmoid;
}

// For every Mul of x and an activation of x alone, the activation's node; -1 else.
std::vector<int> findGates(const Graph& graph, const std::vector<std::vector<int>>& readers) {
  std::vector<int> gates(graph.nodes.size(), -1);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& mul = graph.nodes[i];
    if (!std::holds_alternative<MulOp>(mul.op)) continue;
    for (int side = 0; side < 2; ++side) {
      const int gate = mul.inputs[side];
      const auto* activation = std::get_if<ActivationOp>(&graph.nodes[gate].op);
      if (activation == nullptr || !isGate(*activation) || readers[gate].size() != 1) continue;
      if (graph.nodes[gate].inputs[0] == mul.inputs[1 - side]) gates[i] = gate;
    }
  }
  return gates;
}

bool yieldsAccumulators(const Graph& graph, const Step& step) {
  if (step.result != step.node) return false;  // a clamp needs a grid
  if (step.kind == StepKind::kConv) return true;
  if (step.kind != StepKind::kAveragePool) return false;
  const Node& node = graph.nodes[step.node];
  const Window& window = std::get<PoolOp>(node.op).window;
  return fewestInside(window, graph.nodes[node.inputs[0]].shape, node.shape) == windowArea(window);
}

std::int64_t fewestOnAxis(int in, int out, int kernel, int stride, int dilation, int pad) {
  std::int64_t fewest = kernel;
  for (int o = 0; o < out; ++o) {
    const std::int64_t start = std::int64_t{o} * stride - pad;  // where tap 0 lies
    const std::int64_t first = start >= 0 ? 0 : (-start + dilation - 1) / dilation;
    const std::int64_t end =
        start >= in ? 0 : std::min<std::int64_t>(kernel, (in - 1 - start) / dilation + 1);
    fewest = std::min(fewest, end - first);
  }
  return std::max<std::int64_t>(fewest, 1);
}

}  // namespace

std::int64_t windowArea(const Window& window) { return std::int64_t{window.kernel_h} * window.kernel_w; }

std::int64_t fewestInside(const Window& window, const Shape& in, const Shape& out) {
  return fewestOnAxis(in.height, out.height, window.kernel_h, window.stride_h, window.dilation_h,
                      window.pad_top) *
         fewestOnAxis(in.width, out.width, window.kernel_w, window.stride_w, window.dilation_w,
                      window.pad_left);
}

ClampPoints clampPoints(const Step& step) {
  const int max = step.grid.max();
  return {quantizeValue(step.low, step.grid, 0, max), quantizeValue(step.high, step.grid, 0, max)};
}

std::vector<std::vector<int>> findReaders(const Program& program) {
  std::vector<std::vector<int>> readers(program.steps.size());
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    for (const int in : program.steps[i].inputs) readers[in].push_back(static_cast<int>(i));
  }
  return readers;
}

Program buildProgram(Graph graph) {
  const auto readers = findReaders(graph);
  const std::vector<int> gates = findGates(graph, readers);
  std::vector<bool> is_gate(graph.nodes.size());
  for (const int gate : gates) {
    if (gate >= 0) is_gate[gate] = true;
  }
  Program program;
  std::vector<int> step_of(graph.nodes.size(), -1);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const int index = static_cast<int>(i);
    if (is_gate[i]) continue;  // part of the Mul's table
    Step step;
    step.kind = kindOf(node.op);
    step.name = node.name;
    step.node = step.result = index;
    step.shape = node.shape;
    if (const auto* activation = std::get_if<ActivationOp>(&node.op)) {
      const int source = node.inputs[0];
      Step& producer = program.steps[step_of[source]];
      double low = 0;
      double high = 0;
      // Only a step that took in nothing yet: its bounds would have to be met with these else.
      if (clampBounds(*activation, &low, &high) && canClamp(producer.kind) && producer.result == source &&
          producer.node == source && readers[source].size() == 1) {
        producer.low = low;
        producer.high = high;
        producer.result = index;
        step_of[i] = step_of[source];
        continue;
      }
    }
    if (gates[i] >= 0) {
      step.kind = StepKind::kLookup;
      step.node = gates[i];
      step.gated = true;
      step.inputs = {step_of[graph.nodes[gates[i]].inputs[0]]};
    } else {
      for (const int in : node.inputs) step.inputs.push_back(step_of[in]);
    }
    step_of[i] = static_cast<int>(program.steps.size());
    program.steps.push_back(std::move(step));
  }
  Step& last = program.steps.back();
  last.accumulators = yieldsAccumulators(graph, last);
  program.graph = std::move(graph);
  return program;
}

}  // namespace trefoil
