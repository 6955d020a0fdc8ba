#pragma once

#include "base/ternary.h"
#include "kernels/conv.h"

namespace trefoil {

// The integer weight scale * code, summed over the planes, of every weight as int16 in the order [K][R][S][C
// / groups]. Empty where memory is out.
AlignedBuffer multiplyOut(const ConvTask& task, const TernaryWeights& weights);

}  // namespace trefoil
