// What quantize() is given, checked before any work.
#pragma once

#include "base/result.h"
#include "quantize/quantize.h"

namespace trefoil {

// Errors: kBadOption (recipe, mean, std), kUnsupportedOp (channels), kBadImage (a calibration image's size).
Result<void> checkQuantizeInput(const QuantizeInput& input);

}  // namespace trefoil
