// The float network, step by step beside the quantized one.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "image/image.h"
#include "quantize/program.h"

namespace trefoil {

// One step of one image; not the input. inputs: of the step's inputs. `before_clamp` sees
// the values that a convolution yields before a clamp that its step took in; valid during the call.
void evaluateStep(const Program& program, const Step& step, const std::vector<std::span<const float>>& inputs,
                  std::span<float> out, const std::function<void(std::span<const float>)>& before_clamp = {});

// Values of all images of the steps that are still needed.
class FloatValues {
 public:
  FloatValues(const Program& program, int images);

  // The input step takes the image itself.
  void setInput(int step, int image, std::span<const std::uint8_t> planes, const Preprocess& preprocess);
  // Any other step; its inputs have been run.
  void run(int step, int image, const std::function<void(std::span<const float>)>& before_clamp = {});
  // All images, one after the other; what setInput() and run() have filled.
  std::span<const float> values(int step) const { return values_[step]; }
  void release(int step) { std::vector<float>().swap(values_[step]); }

 private:
  std::span<float> value(int step, int image);

  const Program& program_;
  int images_;
  std::vector<std::vector<float>> values_;  // by step
};

}  // namespace trefoil
