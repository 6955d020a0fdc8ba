// Explicit pads and the pads of convolutions and pools.
#include <string>
#include <unordered_set>
#include <utility>

#include "graph/window.h"
#include "passes/rewrites.h"

namespace trefoil {
namespace {

const Node& nodeAt(const Graph& graph, int index) { return graph.nodes[static_cast<std::size_t>(index)]; }

Window addPads(Window window, const PadOp& pad) {
  window.pad_top += pad.before[1];
  window.pad_bottom += pad.after[1];
  window.pad_left += pad.before[2];
  window.pad_right += pad.after[2];
  return window;
}

bool withinLimits(const Window& w) {
  return w.pad_top <= kMaxDimension && w.pad_bottom <= kMaxDimension && w.pad_left <= kMaxDimension &&
         w.pad_right <= kMaxDimension;
}

bool hasPads(const Window& w) {
  return w.pad_top != 0 || w.pad_bottom != 0 || w.pad_left != 0 || w.pad_right != 0;
}

bool overhangs(const Window& w, const Shape& in, const Shape& out) {
  return rowsOf(w).overhangs(in.height, out.height) || columnsOf(w).overhangs(in.width, out.width);
}

bool isNeverNegative(const Node& node) {
  const auto* activation = std::get_if<ActivationOp>(&node.op);
  if (activation == nullptr) return false;
  return activation->kind == Activation::kRelu || activation->kind == Activation::kSigmoid ||
         activation->kind == Activation::kHardSigmoid ||
         (activation->kind == Activation::kClip && activation->low >= 0);
}

// Takes the zeros of `pad`, the node that `reader` reads, into the reader's own pads. Returns false where the
// reader can't. `source` is what `pad` reads.
bool takePad(const Node& source, const PadOp& pad, Node& reader) {
  if (auto* conv = std::get_if<ConvOp>(&reader.op)) {
    const Window window = addPads(conv->window, pad);
    if (!withinLimits(window)) return false;
    conv->window = window;
    return true;
  }
  auto* pool = std::get_if<PoolOp>(&reader.op);
  if (pool == nullptr) return false;
  const Window window = addPads(pool->window, pad);
  const Shape &in = source.shape, &out = reader.shape;
  if (!withinLimits(window) || !rowsOf(window).allTouch(in.height, out.height) ||
      !columnsOf(window).allTouch(in.width, out.width)) {
    return false;
  }
  if (pool->kind == Pool::kMax) {
    if (!isNeverNegative(source)) return false;
  } else {
    const bool counts_pads = pool->count_include_pad || !hasPads(pool->window);
    if (!counts_pads || overhangs(window, in, out)) return false;
    pool->count_include_pad = true;
  }
  pool->window = window;
  return true;
}

const PadOp* zeroPad(const Node& node) {
  const auto* pad = std::get_if<PadOp>(&node.op);
  return pad != nullptr && pad->value == 0 && pad->before[0] == 0 && pad->after[0] == 0 ? pad : nullptr;
}

}  // namespace

void mergePads(Graph& graph) {
  for (Node& node : graph.nodes) {
    while (node.inputs.size() == 1) {
      const Node& before = nodeAt(graph, node.inputs[0]);
      const PadOp* pad = zeroPad(before);
      if (pad == nullptr || !takePad(nodeAt(graph, before.inputs[0]), *pad, node)) break;
      node.inputs = std::vector<int>(before.inputs);
    }
  }
}

void normalisePools(Graph& graph) {
  std::unordered_set<std::string> names;
  for (const Node& node : graph.nodes) names.insert(node.name);
  Redirects moved(graph);
  std::vector<Node> nodes;
  nodes.reserve(graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    Node& node = graph.nodes[i];
    moved.apply(node);
    auto* pool = std::get_if<PoolOp>(&node.op);
    if (pool != nullptr && pool->count_include_pad) {
      Window& w = pool->window;
      const Shape in = nodes[static_cast<std::size_t>(node.inputs[0])].shape;
      if (pool->kind == Pool::kMax || !hasPads(w)) {
        pool->count_include_pad = false;
      } else if (overhangs(w, in, node.shape)) {
        PadOp pad;
        pad.before[1] = w.pad_top;
        pad.after[1] = w.pad_bottom;
        pad.before[2] = w.pad_left;
        pad.after[2] = w.pad_right;
        Shape shape = in;
        shape.height += w.pad_top + w.pad_bottom;
        shape.width += w.pad_left + w.pad_right;
        std::string name = node.name + "/pad";
        while (!names.insert(name).second) name += '_';
        nodes.push_back({std::move(name), pad, node.inputs, shape});
        node.inputs = {static_cast<int>(nodes.size()) - 1};
        w.pad_top = w.pad_bottom = w.pad_left = w.pad_right = 0;
        pool->count_include_pad = false;
      }
    }
    moved.move(static_cast<int>(i), static_cast<int>(nodes.size()));
    nodes.push_back(std::move(node));
  }
  graph.output = moved(graph.output);
  graph.nodes = std::move(nodes);
}

}  // namespace trefoil
