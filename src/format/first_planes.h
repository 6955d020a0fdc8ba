// A network of two planes seen as one of its first planes and what refines it.
#pragma once

#include "base/result.h"
#include "format/quant_model.h"

namespace trefoil {

bool hasSecondPlanes(const QuantModel& model);

// The valid model without its second planes. Biases take along what the second planes' zero points (and
// padding) put into them, as if the layer had been quantized to the first plane's codes and scales; nothing
// else changes. A network that was corrected on images for its first planes has better constants than these.
QuantModel firstPlanes(QuantModel model);

// first is whole without second planes; besides them only the biases, filter scales and requantization
// factors of convolutions and the logits' scales and offsets may differ. Errors: kBadModel.
Result<void> checkRefines(const QuantModel& whole, const QuantModel& first);

}  // namespace trefoil
