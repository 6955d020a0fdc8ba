// What to quantize how.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/ternary.h"

namespace trefoil {

enum class Method { kFgq, kFgqTwoSided };  // one scale a group; one scale a group and sign
enum class WeightKind { kTernary, kInt8 };
enum class ClipRule { kMse, kMax, kPercentile };

// What one layer does differently. Only the fields that are set count.
struct LayerRecipe {
  std::string layer;  // exact name of a convolution or fully connected layer, as inspect prints it
  std::optional<WeightKind> weights;
  std::optional<Method> method;
  std::optional<int> group_size;
  std::optional<int> activation_bits;  // of the layer's result
};

struct Recipe {
  Method method = Method::kFgq;
  int group_size = 4;       // 1, 2, 4, ... any number of channels; kWholeFilter
  int activation_bits = 8;  // 4..8
  int residual_bits = 8;    // of sums (residual streams), 4..8
  ClipRule clip = ClipRule::kMse;
  double percentile = 99.99;      // for kPercentile
  bool affine_correction = true;  // match each filter's mean and deviation to the float network's
  std::vector<LayerRecipe> layers;
};

// Errors: kBadOption with the range.
Result<void> validateRecipe(const Recipe& recipe);

// Canonical JSON with sorted keys: what the file stores and the cache hashes.
std::string recipeJson(const Recipe& recipe);

// One "--layer NAME:KEY=VALUE[,KEY=VALUE]" of the command line: weights=int8|ternary, method=...,
// group-size=N|filter, activation-bits=N. Added to recipe->layers. Errors: kBadOption.
Result<void> addLayerOption(std::string_view option, Recipe* recipe);
Result<Method> methodFromName(std::string_view name);  // "fgq", "fgq-two-sided"

}  // namespace trefoil
