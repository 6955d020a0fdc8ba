#include "passes/rewrites.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

namespace trefoil {
namespace {

// Whether the node yields its one input unchanged.
bool isIdentity(const Graph& graph, const Node& node) {
  if (node.inputs.size() != 1) return false;
  if (graph.nodes[static_cast<std::size_t>(node.inputs[0])].shape != node.shape) return false;
  // Of these operations, the ones that keep the shape keep the values.
  if (std::holds_alternative<ReshapeOp>(node.op) || std::holds_alternative<ConcatOp>(node.op) ||
      std::holds_alternative<PadOp>(node.op) || std::holds_alternative<SliceOp>(node.op)) {
    return true;
  }
  if (const auto* activation = std::get_if<ActivationOp>(&node.op)) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    return activation->kind == Activation::kClip && activation->low == -kInfinity &&
           activation->high == kInfinity;
  }
  if (const auto* affine = std::get_if<ChannelAffineOp>(&node.op)) {
    return std::all_of(affine->scale.begin(), affine->scale.end(), [](float v) { return v == 1; }) &&
           std::all_of(affine->shift.begin(), affine->shift.end(), [](float v) { return v == 0; });
  }
  if (const auto* pool = std::get_if<PoolOp>(&node.op)) {
    Window w = pool->window;
    w.dilation_h = w.dilation_w = 1;  // means nothing for one tap
    return w == Window{};
  }
  return false;
}

}  // namespace

Redirects::Redirects(const Graph& graph) : targets_(graph.nodes.size()) {
  std::iota(targets_.begin(), targets_.end(), 0);
}

std::vector<int> countReaders(const Graph& graph) {
  std::vector<int> counts(graph.nodes.size());
  for (const Node& node : graph.nodes) {
    for (const int input : node.inputs) ++counts[static_cast<std::size_t>(input)];
  }
  ++counts[static_cast<std::size_t>(graph.output)];
  return counts;
}

void removeUnused(Graph& graph) {
  std::vector<bool> used(graph.nodes.size());  // every node of a valid graph leads back to the input
  used[static_cast<std::size_t>(graph.output)] = true;
  for (std::size_t i = graph.nodes.size(); i-- > 0;) {
    if (!used[i]) continue;
    for (const int input : graph.nodes[i].inputs) used[static_cast<std::size_t>(input)] = true;
  }
  Redirects moved(graph);
  int kept = 0;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!used[i]) continue;
    moved.apply(graph.nodes[i]);
    moved.move(static_cast<int>(i), kept);
    if (static_cast<std::size_t>(kept) != i)
      graph.nodes[static_cast<std::size_t>(kept)] = std::move(graph.nodes[i]);
    ++kept;
  }
  graph.nodes.resize(static_cast<std::size_t>(kept));
  graph.output = moved(graph.output);
}

void dropIdentities(Graph& graph) {
  Redirects moved(graph);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    Node& node = graph.nodes[i];
    moved.apply(node);
    if (std::holds_alternative<ReshapeOp>(node.op)) {
      // The reshape before has been through this already, so it reads no reshape itself.
      const Node& before = graph.nodes[static_cast<std::size_t>(node.inputs[0])];
      if (std::holds_alternative<ReshapeOp>(before.op)) node.inputs = before.inputs;
    }
    if (isIdentity(graph, node)) moved.move(static_cast<int>(i), node.inputs[0]);
  }
  graph.output = moved(graph.output);
}

void dropFinalSoftmax(Graph& graph) {
  const std::vector<int> readers = countReaders(graph);
  // From the output back over reshapes that nothing else reads.
  int reader = -1;
  int at = graph.output;
  while (std::holds_alternative<ReshapeOp>(graph.nodes[static_cast<std::size_t>(at)].op) &&
         readers[static_cast<std::size_t>(at)] == 1) {
    reader = at;
    at = graph.nodes[static_cast<std::size_t>(at)].inputs[0];
  }
  const Node& node = graph.nodes[static_cast<std::size_t>(at)];
  if (!std::holds_alternative<SoftmaxOp>(node.op)) return;
  if (reader < 0) {
    graph.output = node.inputs[0];
  } else {
    graph.nodes[static_cast<std::size_t>(reader)].inputs = node.inputs;
  }
}

}  // namespace trefoil
