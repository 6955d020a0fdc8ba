// Convolution with grouped ternary weights: A[k] = bias[k] + sum over groups of scale * (sum of the inputs
// with code +1 minus those with code -1), exact in int32; see kernels/conv.h for the task and the result.
#pragma once

#include <span>

#include "base/ternary.h"
#include "kernels/conv.h"

namespace trefoil {

using TernaryConvVariant = ConvVariant<TernaryWeights>;

// Fastest first, scalar last (supports everything).
std::span<const TernaryConvVariant> ternaryConvVariants();

}  // namespace trefoil
