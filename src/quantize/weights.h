// Float filters to ternary groups or int8, filter by filter.
#pragma once

#include <span>
#include <vector>

#include "format/quant_model.h"
#include "graph/graph.h"
#include "quantize/layer_choice.h"
#include "quantize/quantize.h"

namespace trefoil {

// Bounds of the real step s_w of a filter: weight = s_w * integer.
struct StepBounds {
  double least = 0;  // so that the bias fits 32 bits
  double most = 0;   // so that the output factor stays below 1
};

// What is known of a layer's weights once they are integers.
struct WeightError {
  double signal = 0;  // sum of squares of the float weights
  double noise = 0;   // of the differences
  WeightHistogram histogram;
};

float stepWithin(double wanted, const StepBounds& bounds);

// Fills op->ternary or op->int8 and op->filter_scales from float weights in the order [K][R][S][C], where
// channels is C and bounds has one entry a filter. op->window is set already.
void quantizeWeights(std::span<const float> weights, int filters, int channels, const LayerChoice& choice,
                     std::span<const StepBounds> bounds, QConvOp* op);

WeightError weightError(std::span<const float> weights, const QConvOp& op, int filters, int channels);

// The integers of filter k (scale times code, or int8) in the order [R][S][C].
void filterIntegers(const QConvOp& op, int k, int channels, std::span<std::int32_t> out);

}  // namespace trefoil
