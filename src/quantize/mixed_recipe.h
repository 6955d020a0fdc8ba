// Weights chosen layer by layer: which of the forms below each layer gets, so that a budget is kept or the
// accuracy that is lost stays small. Where time is the budget, activations' bits as well.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "quantize/frontier.h"
#include "quantize/program.h"
#include "quantize/quantize.h"
#include "quantize/sensitivity.h"

namespace trefoil {

// The forms that an aim chooses from, as what a recipe would say of a layer (without a name). The first one,
// empty, is the recipe's own: groups of 4 with 4 levels.
std::span<const LayerRecipe> mixedForms(Aim aim);

// What is known before any layer's weights are quantized.
struct MixedInput {
  const Program* program = nullptr;
  const std::vector<LayerChoice>* choices = nullptr;  // by node, of the recipe as it is given
  const Recipe* recipe = nullptr;
  const std::vector<std::vector<float>>* logits = nullptr;  // of the float network, by calibration image
  // Activations that may have kLowBits; for Aim::kMilliseconds, whose times tell what that is worth.
  const std::vector<LowGrid>* low_grids = nullptr;
  double other_bytes = 0;  // of the file, besides weights, scales, biases and factors
};

// The layers that an aim may choose the form of: ternary by the recipe, and not spoken of in its `layers`.
std::vector<int> mixedNodes(const Program& program, const std::vector<LayerChoice>& choices,
                            const Recipe& recipe);

// The plan for measureSensitivity(); images: how many there are.
SensitivityPlan mixedSensitivity(const MixedInput& input, int images);

struct MixedChoice {
  std::vector<LayerRecipe> layers;      // those that get another form than the recipe's own, or other bits
  std::vector<FrontierPoint> frontier;  // by rising cost; one is chosen
  double predicted_loss = 0;            // of that one
};

// Errors: kBadOption where the budget can't be met, naming the smallest figure that can; where times of a
// layer are missing.
Result<MixedChoice> chooseMixed(const MixedInput& input, const Sensitivity& sensitivity);

}  // namespace trefoil
