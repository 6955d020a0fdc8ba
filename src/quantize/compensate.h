// Error compensation: the weights of one convolution (of one group of it) are quantized so that its results
// change least, not the weights; what one weight's rounding spoils, those after it make up for.
//
// After GPTQ (Frantar et al. 2022, arXiv 2210.17323) and OBQ, with groups of weights in place of single ones.
// With H the damped covariance of the patches, H = R R' with R upper triangular and the errors E = W* - Q,
// the expected squared error of the results is that of E H E' = |E R|^2. R being triangular, a group's codes
// change the columns of E R from its own on, so going from the first group to the last, the least error of
// each is found in the metric R_gg R_gg' (Babai's nearest plane, a group at a time), which is exact as long
// as later weights are free to follow. Further sweeps then choose each group anew with all others as they
// are. W* = (cov(y, x) + damping W) H^-1 regresses the float network's results y on the inputs x that the
// quantized network really has.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "format/quant_model.h"
#include "quantize/layer_choice.h"
#include "quantize/layer_samples.h"
#include "quantize/weights.h"

namespace trefoil {

struct CompensatedFilters {
  int first = 0, count = 0;  // of the convolution's
  int channels = 0;          // of a filter
};

// The order in which groups (starts: of groupStarts(); int8: single weights) are gone through: by falling sum
// of their inputs' variances. Entry j is the index in [R][S][C] of the weight in place j.
std::vector<int> compensationOrder(std::span<const double> variances, std::span<const std::size_t> starts);

// Multiply-adds that compensate() takes, roughly.
double compensationWork(int filters, int size);

// Replaces codes, scales and filter_scales of `filters` in op, which holds their plain form. weights: the
// convolution's, [K][R][S][C]; moments: of these filters, in compensationOrder(), used up. `work` is told
// multiply-adds as they are done; false ends it, and the result. error (may be null): |E R|^2 of each filter.
bool compensate(std::span<const float> weights, const CompensatedFilters& filters, const LayerChoice& choice,
                std::span<const StepBounds> bounds, LayerMoments moments,
                const std::function<bool(double)>& work, QConvOp* op, std::vector<double>* errors = nullptr);

}  // namespace trefoil
