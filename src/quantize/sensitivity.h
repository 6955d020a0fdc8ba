// How much of the network's answers each way to quantize each layer would spoil, measured on calibration
// images.
//
// One layer at a time is replaced by its trial form (layer_trial.h), or one activation put on a grid of few
// bits, and the float network run from there on.
// Errors of different layers are taken as independent, so that their squares add up at the logits; from that
// sum follows how often the best class changes.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "image/image.h"
#include "quantize/low_grids.h"
#include "quantize/program.h"

namespace trefoil {

struct LayerNoise {
  int node = 0;  // of the program's graph
  // One a choice: mean square of what it does to the difference of the best class's logit and its rivals'.
  std::vector<double> variances;
};

struct SensitivityPlan {
  std::vector<int> nodes;            // convolutions to try, by rising index
  std::vector<LayerChoice> choices;  // two or more; the first one is ternary
  std::vector<LowGrid> low_grids;    // to try as well
  int trial_images = 0;              // the first so many images are what layers are tried on; at least 1
  int run_images = 0;                // the last so many are run: others, if there are enough; at least 1
  // If all layers' first choices together change no more than this variance, layers are not run one by one.
  std::function<bool(double)> enough;
};

struct Sensitivity {
  double together = 0;             // variance with the first choice in all layers at once
  std::vector<LayerNoise> layers;  // one a plan's node; empty where that was enough
  std::vector<double> low_grids;   // one a plan's grid: the variance that it brings; empty likewise
};

// program: with grids. done is told the share of the work; false cancels. Errors: kAborted.
Result<Sensitivity> measureSensitivity(const Program& program, const SensitivityPlan& plan,
                                       const std::vector<std::vector<std::uint8_t>>& images,
                                       const Preprocess& preprocess,
                                       const std::function<bool(double, std::string_view)>& done);

// Mean square of the differences between the best class of `reference` and its five next that `other`
// changes.
double answerVariance(std::span<const float> reference, std::span<const float> other);

// The top-1 accuracy lost, 0..1, if these logits meet noise of that variance (answerVariance()): the float
// network's own probabilities are taken for the chance of each class to be right. 0 without logits.
double expectedLoss(const std::vector<std::vector<float>>& logits, double variance);

}  // namespace trefoil
