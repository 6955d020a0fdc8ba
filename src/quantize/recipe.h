// What to quantize how.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/ternary.h"

namespace trefoil {

// One scale a group; one scale a group and sign; one scale a group, with error compensation over what the
// layer meets on the calibration images (filters of more than 6144 inputs stay plain).
enum class Method { kFgq, kFgqTwoSided, kCompensated };
// Levels of a codebook: fitted to the filter; the largest one divided by powers of 2 or of sqrt(2).
enum class LevelKind { kFitted, kPowersOf2, kPowersOfSqrt2 };
inline constexpr int kFreeScales = 0;  // instead of a number of levels: every group has a scale of its own
enum class WeightKind { kTernary, kInt8 };
enum class ClipRule { kMse, kMax, kPercentile };

// What one layer does differently. Only the fields that are set count.
struct LayerRecipe {
  std::string layer;  // exact name of a convolution or fully connected layer, as inspect prints it
  std::optional<WeightKind> weights;
  std::optional<Method> method;
  std::optional<int> group_size;
  std::optional<int> activation_bits;  // of the layer's result
  std::optional<int> scale_levels;
  std::optional<LevelKind> level_kind;
  std::optional<int> planes;

  bool operator==(const LayerRecipe&) const = default;
};

// What decides on the form of the layers' weights. kUniform: the recipe's own form in all. Else layers get
// forms of their own (quantize/mixed_recipe.h), and the recipe's own form must be groups of 4 with 4 fitted
// levels, compensated. kProtect: layers whose errors would cost accuracy get more bits, as few as will do.
// The others keep to `target`: at most so many bytes of file; at most so many points of top-1 lost, as
// measured on images held out; at most so many milliseconds, by `times`.
enum class Aim { kUniform, kProtect, kBytes, kTop1Loss, kMilliseconds };

// Milliseconds of one layer in each of mixedForms(Aim::kMilliseconds); behind these, if activations may have
// kLowBits (quantize/low_grids.h), the same with an input of so many.
struct LayerTimes {
  std::string layer;
  std::vector<double> milliseconds;
};

struct Recipe {
  Aim aim = Aim::kUniform;
  double target = 0;
  std::vector<LayerTimes> times;  // for kMilliseconds
  double other_milliseconds = 0;  // for kMilliseconds: of what is in no layer of `times`
  Method method = Method::kCompensated;
  int group_size = 4;    // 1, 2, 4, ... any number of channels; kWholeFilter
  int scale_levels = 4;  // different scales a filter may have: 2, 4, 8, or kFreeScales
  LevelKind level_kind = LevelKind::kFitted;
  int planes = 1;           // 1 or 2: a filter is the sum of so many ternary ones
  int activation_bits = 8;  // 4..8
  // Of sums (residual streams), 4..8; where they are more than activation_bits, of linear bottlenecks and of
  // what only depthwise layers read as well.
  int residual_bits = 8;
  ClipRule clip = ClipRule::kMse;
  double percentile = 99.99;      // for kPercentile
  bool affine_correction = true;  // match each filter's mean and deviation to the float network's
  std::vector<LayerRecipe> layers;
};

// Errors: kBadOption with the range; for an aim beside what it chooses itself.
Result<void> validateRecipe(const Recipe& recipe);

// Canonical JSON with sorted keys: what the file stores. An aim is not in it, what it chose is.
std::string recipeJson(const Recipe& recipe);

// One "--layer NAME:KEY=VALUE[,KEY=VALUE]" of the command line: weights=int8|ternary, method=...,
// group-size=N|filter, scale-levels=N|free, level-kind=..., planes=N, activation-bits=N. Added to
// recipe->layers. Errors: kBadOption.
Result<void> addLayerOption(std::string_view option, Recipe* recipe);
Result<Method> methodFromName(std::string_view name);        // "fgq", "fgq-two-sided", "compensated"
Result<LevelKind> levelKindFromName(std::string_view name);  // "fitted", "powers-of-2", "powers-of-sqrt-2"
Result<Aim> aimFromName(std::string_view name);  // "uniform", "protect", "bytes", "top1Loss", "milliseconds"

// Two-sided scales come without codebooks and second planes. `where` begins the message.
Result<void> checkCombination(Method method, int scale_levels, int planes, std::string_view where);

}  // namespace trefoil
