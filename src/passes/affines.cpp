// Folding ChannelAffines away. Sums are made in double and rounded once. A fold whose result is not finite is
// left out.
#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "passes/rewrites.h"

namespace trefoil {
namespace {

bool allFinite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

struct Folded {
  std::vector<float> weights;
  std::vector<float> bias;
  bool isFinite() const { return allFinite(weights) && allFinite(bias); }
};

float multiply(float a, float b) { return static_cast<float>(static_cast<double>(a) * b); }
float affine(double scale, double x, double shift) { return static_cast<float>(scale * x + shift); }

// Of the affine's result: its own, or those of what it reads.
TrainedMoments momentsAfter(const ChannelAffineOp& op, const TrainedMoments& before) {
  if (!op.trained.mean.empty() || before.mean.empty()) return op.trained;
  TrainedMoments after = before;
  for (std::size_t c = 0; c < after.mean.size(); ++c) {
    after.mean[c] = affine(op.scale[c], before.mean[c], op.shift[c]);
    after.deviation[c] = std::fabs(multiply(op.scale[c], before.deviation[c]));
  }
  return after;
}

// affine(conv(x)) as one convolution.
Folded foldBefore(const ConvOp& conv, const ChannelAffineOp& op) {
  Folded folded{conv.weights, conv.bias};
  const std::size_t per_filter = conv.weights.size() / conv.bias.size();
  for (std::size_t k = 0; k < conv.bias.size(); ++k) {
    folded.bias[k] = affine(op.scale[k], conv.bias[k], op.shift[k]);
    for (std::size_t i = k * per_filter; i < (k + 1) * per_filter; ++i) {
      folded.weights[i] = multiply(conv.weights[i], op.scale[k]);
    }
  }
  return folded;
}

// conv(affine(x)) as one convolution; no padding, or no shift.
Folded foldAfter(const ConvOp& conv, const ChannelAffineOp& op) {
  Folded folded{conv.weights, conv.bias};
  const std::size_t filters = conv.bias.size();
  const auto groups = static_cast<std::size_t>(conv.groups);
  const std::size_t channels = op.scale.size() / groups;
  const auto taps =
      static_cast<std::size_t>(conv.window.kernel_h) * static_cast<std::size_t>(conv.window.kernel_w);
  for (std::size_t k = 0, at = 0; k < filters; ++k) {
    const std::size_t first = k / (filters / groups) * channels;
    double bias = conv.bias[k];
    for (std::size_t c = first; c < first + channels; ++c) {
      for (std::size_t t = 0; t < taps; ++t, ++at) {
        bias += static_cast<double>(conv.weights[at]) * op.shift[c];
        folded.weights[at] = multiply(conv.weights[at], op.scale[c]);
      }
    }
    folded.bias[k] = static_cast<float>(bias);
  }
  return folded;
}

std::optional<Folded> tryFoldAfter(const Node& reader, const ChannelAffineOp& op) {
  const auto* conv = std::get_if<ConvOp>(&reader.op);
  if (conv == nullptr) return std::nullopt;
  const Window& w = conv->window;
  const bool pads = w.pad_top != 0 || w.pad_left != 0 || w.pad_bottom != 0 || w.pad_right != 0;
  const bool shifts = std::any_of(op.shift.begin(), op.shift.end(), [](float v) { return v != 0; });
  if (pads && shifts) return std::nullopt;
  Folded folded = foldAfter(*conv, op);
  if (!folded.isFinite()) return std::nullopt;
  return folded;
}

}  // namespace

void mergeAffines(Graph& graph) {
  const std::vector<int> readers = countReaders(graph);
  for (Node& node : graph.nodes) {
    auto* op = std::get_if<ChannelAffineOp>(&node.op);
    if (op == nullptr) continue;
    const auto before_index = static_cast<std::size_t>(node.inputs[0]);
    const Node& before = graph.nodes[before_index];
    const auto* first = std::get_if<ChannelAffineOp>(&before.op);
    if (first == nullptr || readers[before_index] != 1) continue;
    ChannelAffineOp merged = *op;
    for (std::size_t c = 0; c < merged.scale.size(); ++c) {
      merged.scale[c] = multiply(op->scale[c], first->scale[c]);
      merged.shift[c] = affine(op->scale[c], first->shift[c], op->shift[c]);
    }
    if (!allFinite(merged.scale) || !allFinite(merged.shift)) continue;
    merged.trained = momentsAfter(*op, first->trained);
    *op = std::move(merged);
    node.inputs = std::vector<int>(before.inputs);
  }
}

void foldIntoConvBefore(Graph& graph) {
  std::vector<int> readers = countReaders(graph);
  Redirects moved(graph);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    Node& node = graph.nodes[i];
    moved.apply(node);
    const auto* op = std::get_if<ChannelAffineOp>(&node.op);
    if (op == nullptr) continue;
    const auto before = static_cast<std::size_t>(node.inputs[0]);
    auto* conv = std::get_if<ConvOp>(&graph.nodes[before].op);
    if (conv == nullptr || readers[before] != 1) continue;
    Folded folded = foldBefore(*conv, *op);
    if (!folded.isFinite()) continue;
    conv->trained = momentsAfter(*op, conv->trained);
    conv->weights = std::move(folded.weights);
    conv->bias = std::move(folded.bias);
    moved.move(static_cast<int>(i), node.inputs[0]);
    readers[before] = readers[i];
  }
  graph.output = moved(graph.output);
}

void foldIntoConvAfter(Graph& graph) {
  std::vector<std::vector<int>> readers(graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const int input : graph.nodes[i].inputs)
      readers[static_cast<std::size_t>(input)].push_back(static_cast<int>(i));
  }
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const auto* op = std::get_if<ChannelAffineOp>(&node.op);
    if (op == nullptr || readers[i].empty()) continue;
    std::vector<Folded> folded;
    for (const int reader : readers[i]) {
      std::optional<Folded> one = tryFoldAfter(graph.nodes[static_cast<std::size_t>(reader)], *op);
      if (!one) break;
      folded.push_back(std::move(*one));
    }
    if (folded.size() != readers[i].size()) continue;
    for (std::size_t r = 0; r < folded.size(); ++r) {
      Node& reader = graph.nodes[static_cast<std::size_t>(readers[i][r])];
      auto& conv = std::get<ConvOp>(reader.op);
      conv.weights = std::move(folded[r].weights);
      conv.bias = std::move(folded[r].bias);
      reader.inputs = node.inputs;
    }
  }
}

void affinesToConvs(Graph& graph) {
  for (Node& node : graph.nodes) {
    auto* op = std::get_if<ChannelAffineOp>(&node.op);
    if (op == nullptr) continue;
    ConvOp conv;
    conv.groups = node.shape.channels;
    conv.weights = std::move(op->scale);
    conv.bias = std::move(op->shift);
    conv.trained = std::move(op->trained);
    node.op = std::move(conv);
  }
}

}  // namespace trefoil
