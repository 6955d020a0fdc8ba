// Convolution with int8 weights: A[k] = bias[k] + sum of weight * input, exact in int32; weights are
// [K][R][S][C / groups].
#pragma once

#include <span>

#include "kernels/conv.h"

namespace trefoil {

using Int8ConvVariant = ConvVariant<std::span<const std::int8_t>>;

// Fastest first, scalar last (supports everything).
std::span<const Int8ConvVariant> int8ConvVariants();

}  // namespace trefoil
