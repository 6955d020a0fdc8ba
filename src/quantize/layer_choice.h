// Which convolution gets which kind of weights: the recipe's defaults, then what it says of single layers.
#pragma once

#include <optional>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "quantize/recipe.h"

namespace trefoil {

struct LayerChoice {
  WeightKind weights = WeightKind::kTernary;
  Method method = Method::kCompensated;
  int group_size = 4;  // never above the channels of a filter
  int scale_levels = kFreeScales;
  LevelKind level_kind = LevelKind::kFitted;
  int planes = 1;
  std::optional<int> activation_bits;
};

// One entry a node; those of convolutions count. By default int8: what reads the input, the last weighted
// layer, and filters of fewer than 4 channels (depthwise), where a ternary group has nothing to share.
// Errors: kBadOption for a layer that the graph lacks, with the names that come near, and for options that do
// not go together.
Result<std::vector<LayerChoice>> chooseLayers(const Graph& graph, const Recipe& recipe);

}  // namespace trefoil
