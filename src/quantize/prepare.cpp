#include "quantize/prepare.h"

#include <algorithm>
#include <string>
#include <utility>

#include "passes/passes.h"
#include "passes/rewrites.h"

namespace trefoil {
namespace {

// The scores in the same order without them: runtime callers get logits, and softmax of those where they want
// it.
void dropTail(Graph* graph) {
  while (graph->output > 0) {
    const Node& node = graph->nodes[graph->output];
    if (!std::holds_alternative<ReshapeOp>(node.op) && !std::holds_alternative<SoftmaxOp>(node.op)) return;
    graph->output = node.inputs[0];
  }
}

bool isClamp(const Op& op) {
  const auto* activation = std::get_if<ActivationOp>(&op);
  return activation != nullptr &&
         (activation->kind == Activation::kRelu || activation->kind == Activation::kClip);
}

bool isMaxPool(const Op& op) {
  const auto* pool = std::get_if<PoolOp>(&op);
  return pool != nullptr && pool->kind == Pool::kMax;
}

// clamp(max(x)) = max(clamp(x)): the pool then works on the unsigned grid, and the clamp is the producer's
// own.
void clampBeforeMaxPool(Graph* graph) {
  const auto readers = findReaders(*graph);
  for (std::size_t i = 1; i < graph->nodes.size(); ++i) {
    Node& clamp = graph->nodes[i];
    if (!isClamp(clamp.op)) continue;
    const int pool_index = clamp.inputs[0];
    Node& pool = graph->nodes[pool_index];
    if (!isMaxPool(pool.op) || readers[pool_index].size() != 1) continue;
    const int source = pool.inputs[0];
    const Op& producer = graph->nodes[source].op;
    const bool clamps = std::holds_alternative<ConvOp>(producer) || std::holds_alternative<AddOp>(producer) ||
                        std::holds_alternative<MulOp>(producer);
    if (!clamps || readers[source].size() != 1) continue;
    std::swap(clamp.op, pool.op);
    std::swap(clamp.name, pool.name);
    pool.shape = graph->nodes[source].shape;
  }
}

void normalizeInput(Graph* graph) {
  bool needed = graph->output == 0;
  for (const Node& node : graph->nodes) {
    if (!std::holds_alternative<ConvOp>(node.op)) {
      needed |= std::find(node.inputs.begin(), node.inputs.end(), 0) != node.inputs.end();
    }
  }
  if (!needed) return;
  for (Node& node : graph->nodes) {
    const bool is_conv = std::holds_alternative<ConvOp>(node.op);
    for (int& in : node.inputs) in += in > 0 || !is_conv ? 1 : 0;
  }
  ++graph->output;
  const auto channels = static_cast<std::size_t>(graph->inputShape().channels);
  ConvOp identity;
  identity.groups = graph->inputShape().channels;
  identity.weights.assign(channels, 1.0F);
  identity.bias.assign(channels, 0.0F);
  Node node{graph->nodes[0].name + "/normalize", std::move(identity), {0}, graph->inputShape()};
  graph->nodes.insert(graph->nodes.begin() + 1, std::move(node));
}

}  // namespace

std::vector<std::vector<int>> findReaders(const Graph& graph) {
  std::vector<std::vector<int>> readers(graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const int in : graph.nodes[i].inputs) readers[in].push_back(static_cast<int>(i));
  }
  return readers;
}

Result<Graph> prepareGraph(Graph graph) {
  auto simplified = simplify(std::move(graph));
  if (!simplified) return simplified;
  Graph& result = *simplified;
  dropTail(&result);
  removeUnused(result);
  clampBeforeMaxPool(&result);
  normalizeInput(&result);
  for (const Node& node : result.nodes) {
    if (std::holds_alternative<SoftmaxOp>(node.op) || std::holds_alternative<ChannelAffineOp>(node.op)) {
      return makeError(ErrorCode::kUnsupportedOp,
                       std::string(opName(node.op)) + " '" + node.name +
                           "' has no integer form here: softmax is supported at the end of a network only");
    }
  }
  TREFOIL_RETURN_IF_ERROR(validateGraph(result));
  return simplified;
}

}  // namespace trefoil
