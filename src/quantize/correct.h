// Runs the calibration images through the quantized network, layer by layer, and corrects each filter on the
// way.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "quantize/calibration.h"
#include "quantize/lower.h"
#include "quantize/program.h"

namespace trefoil {

struct CorrectionOptions {
  bool affine = true;  // match every filter's mean and deviation to the float network's; else only measure
  bool compensated = false;  // some layers are
  int images = 0;            // how many of the calibration images are run
  int measured = 0;          // how many of these the signal-to-noise ratios are taken on
};

// Quality of one step's result against the float network.
struct OutputError {
  double signal = 0, noise = 0;
};

// What the images are run in at once: enough for good statistics, little enough for 32-bit memories.
// With compensation the float network's values are held beside the quantized ones.
int imagesWithinMemory(const Program& program, int images, bool compensated);

// nodes[i] is step i's. Layers whose choice is Method::kCompensated are quantized anew on the inputs that the
// quantized layers before them produce (compensate.h). For every convolution in turn, with the inputs that
// the quantized (and already corrected) layers before it produce, gain and offset of each filter are set so
// that its pre-activation has the float network's mean and standard deviation (gain within 0.5..2). Then the
// layer's result is computed for the layers behind it. `done(share, layer)` is told the share of the work;
// false cancels. Returns one entry a step; convolutions have values. Errors: kAborted.
Result<std::vector<OutputError>> correct(const Program& program, const std::vector<LayerChoice>& choices,
                                         const std::vector<std::vector<std::uint8_t>>& images,
                                         const Preprocess& preprocess, const Calibration& calibration,
                                         const CorrectionOptions& options,
                                         const std::function<bool(double, std::string_view)>& done,
                                         std::vector<QNode>* nodes);

// The logits of images under the nodes as they are, one entry an image. What has no weights is computed in
// reals between the integers, so a value may lie one point beside the runtime's. Errors: kAborted.
Result<std::vector<std::vector<float>>> quantizedLogits(
    const Program& program, const std::vector<LayerChoice>& choices,
    const std::vector<std::vector<std::uint8_t>>& images, const Preprocess& preprocess,
    const std::function<bool(double, std::string_view)>& done, std::vector<QNode>* nodes);

}  // namespace trefoil
