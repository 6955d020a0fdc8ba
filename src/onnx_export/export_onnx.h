// The quantized network as a standard ONNX graph: an outside check that its integers mean what they say.
#pragma once

#include <cstddef>
#include <vector>

#include "base/result.h"
#include "format/quant_model.h"

namespace trefoil {

// A graph of DequantizeLinear, float operators and QuantizeLinear (opset 21). Input "image": the picture as
// the float network takes it, (p / 255 - mean) / std in {1, C, H, W}; output "logits", {1, classes}. Every
// value between two layers is the model's own u8 level, but where a real sum lies so near the middle of two
// levels that float rounding (or rounding half to even, where ours goes up) decides it. model: valid. Errors:
// kUnsupportedOp (a scale that is not positive, an average that no operator can say), kOutOfMemory.
Result<std::vector<std::byte>> exportOnnx(const QuantModel& model);

}  // namespace trefoil
