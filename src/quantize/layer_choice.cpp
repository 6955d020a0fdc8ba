#include "quantize/layer_choice.h"

#include <algorithm>
#include <cctype>
#include <string>
#include <utility>

namespace trefoil {
namespace {

constexpr int kMinTernaryChannels = 4;

int channelsPerGroup(const Graph& graph, const Node& node, const ConvOp& conv) {
  return graph.nodes[node.inputs[0]].shape.channels / conv.groups;
}

// A 1x1 depthwise convolution is a scale and a shift a channel; the weighted layer is the one beyond it.
bool isChannelScale(const Graph& graph, const Node& node, const ConvOp& conv) {
  const Window& w = conv.window;
  return channelsPerGroup(graph, node, conv) == 1 && w.kernel_h == 1 && w.kernel_w == 1;
}

// Convolutions whose input depends on no other one.
std::vector<bool> firstLayers(const Graph& graph) {
  std::vector<bool> reached(graph.nodes.size());  // the value depends on no weighted layer
  std::vector<bool> first(graph.nodes.size());
  reached[0] = true;
  for (std::size_t i = 1; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const bool open =
        std::all_of(node.inputs.begin(), node.inputs.end(), [&](int in) { return reached[in]; });
    const auto* conv = std::get_if<ConvOp>(&node.op);
    first[i] = open && conv != nullptr;
    reached[i] = open && (conv == nullptr || isChannelScale(graph, node, *conv));
  }
  return first;
}

// The last weighted layer in the order of computation: the classifier. -1: the network has none.
int lastLayer(const Graph& graph) {
  for (int i = static_cast<int>(graph.nodes.size()) - 1; i > 0; --i) {
    const auto* conv = std::get_if<ConvOp>(&graph.nodes[i].op);
    if (conv != nullptr && !isChannelScale(graph, graph.nodes[i], *conv)) return i;
  }
  return -1;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// Letters to insert, remove or replace to get from one name to the other; names are cut to a bounded length.
std::size_t editDistance(std::string_view a, std::string_view b) {
  constexpr std::size_t kLongest = 200;
  a = a.substr(0, kLongest);
  b = b.substr(0, kLongest);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

Error unknownLayer(const Graph& graph, const std::string& name) {
  std::vector<std::pair<std::size_t, std::string>> near;
  const std::string wanted = lower(name);
  for (const Node& node : graph.nodes) {
    if (!std::holds_alternative<ConvOp>(node.op)) continue;
    const std::string candidate = lower(node.name);
    // A part of a long path is as near as a typing error.
    const bool part = candidate.find(wanted) != std::string::npos;
    near.emplace_back(part ? 1 : editDistance(wanted, candidate), node.name);
  }
  std::stable_sort(near.begin(), near.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string message = "layer '" + name + "' is not a convolution or fully connected layer of this network";
  if (near.empty()) return makeError(ErrorCode::kBadOption, message + "; it has none");
  message += "; did you mean ";
  const std::size_t shown = std::min<std::size_t>(near.size(), 3);
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) message += i + 1 == shown ? " or " : ", ";
    message += "'" + near[i].second + "'";
  }
  return makeError(ErrorCode::kBadOption, message + "? inspect prints all names");
}

}  // namespace

Result<std::vector<LayerChoice>> chooseLayers(const Graph& graph, const Recipe& recipe) {
  const std::vector<bool> first = firstLayers(graph);
  const int last = lastLayer(graph);
  std::vector<LayerChoice> choices(graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const auto* conv = std::get_if<ConvOp>(&node.op);
    if (conv == nullptr) continue;
    LayerChoice& choice = choices[i];
    const bool thin = channelsPerGroup(graph, node, *conv) < kMinTernaryChannels;
    choice.weights =
        first[i] || static_cast<int>(i) == last || thin ? WeightKind::kInt8 : WeightKind::kTernary;
    choice.method = recipe.method;
    choice.group_size = recipe.group_size;
    choice.scale_levels = recipe.scale_levels;
    choice.level_kind = recipe.level_kind;
    choice.planes = recipe.planes;
  }
  for (const LayerRecipe& layer : recipe.layers) {
    const auto found = std::find_if(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) {
      return node.name == layer.layer && std::holds_alternative<ConvOp>(node.op);
    });
    if (found == graph.nodes.end()) return unknownLayer(graph, layer.layer);
    LayerChoice& choice = choices[static_cast<std::size_t>(found - graph.nodes.begin())];
    if (layer.weights) choice.weights = *layer.weights;
    if (layer.method) choice.method = *layer.method;
    if (layer.group_size) choice.group_size = *layer.group_size;
    if (layer.activation_bits) choice.activation_bits = layer.activation_bits;
    if (layer.method == Method::kFgqTwoSided) {  // unless the layer asks for what it can't have
      choice.scale_levels = kFreeScales;
      choice.planes = 1;
    }
    if (layer.scale_levels) choice.scale_levels = *layer.scale_levels;
    if (layer.level_kind) choice.level_kind = *layer.level_kind;
    if (layer.planes) choice.planes = *layer.planes;
    TREFOIL_RETURN_IF_ERROR(
        checkCombination(choice.method, choice.scale_levels, choice.planes, "layer '" + layer.layer + "': "));
  }
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (const auto* conv = std::get_if<ConvOp>(&graph.nodes[i].op)) {
      choices[i].group_size = std::min(choices[i].group_size, channelsPerGroup(graph, graph.nodes[i], *conv));
    }
  }
  return choices;
}

}  // namespace trefoil
