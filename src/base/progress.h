#pragma once

#include <functional>
#include <string_view>

namespace trefoil {

// Told now and then during long work: phase ("import", "calibrate", "choose", "quantize", "correct",
// "write"), the share done of the whole work (0..1, never falling) and the layer at hand (may be empty).
// Returns false to cancel; the work then ends with ErrorCode::kAborted.
using Progress = std::function<bool(std::string_view phase, double fraction, std::string_view layer)>;

}  // namespace trefoil
