#include "quantize/input_check.h"

#include <cmath>
#include <string>

namespace trefoil {

Result<void> checkQuantizeInput(const QuantizeInput& input) {
  TREFOIL_RETURN_IF_ERROR(validateRecipe(input.recipe));
  TREFOIL_RETURN_IF_ERROR(validateGraph(input.graph));
  const Shape& shape = input.graph.inputShape();
  if (shape.channels != 1 && shape.channels != 3) {
    return makeError(ErrorCode::kUnsupportedOp, "the network takes " + std::to_string(shape.channels) +
                                                    " channels; pictures have 3 (RGB) or 1 (gray)");
  }
  for (int c = 0; c < 3; ++c) {  // all go into the file, gray networks' too
    const float mean = input.preprocess.mean[c];
    const float std = input.preprocess.std[c];
    // Beyond these bounds pixels and weights would not meet in one range of floats.
    if (!std::isfinite(mean) || std::fabs(mean) > 1e6F || !(std >= 1e-6F && std <= 1e6F)) {
      return makeError(ErrorCode::kBadOption,
                       "mean and std must be numbers, and std must be above 0: the network sees "
                       "(pixel / 255 - mean) / std");
    }
  }
  for (std::size_t i = 0; i < input.images.size(); ++i) {
    if (static_cast<std::int64_t>(input.images[i].size()) == shape.size()) continue;
    return makeError(ErrorCode::kBadImage,
                     "calibration image " + std::to_string(i) + " has " +
                         std::to_string(input.images[i].size()) + " bytes; the network takes " +
                         std::to_string(shape.size()) + " (" + std::to_string(shape.channels) + " x " +
                         std::to_string(shape.height) + " x " + std::to_string(shape.width) + ")");
  }
  return {};
}

}  // namespace trefoil
