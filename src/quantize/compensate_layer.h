// Error compensation of a whole convolution, group by group: samples, moments, weights.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "format/quant_model.h"
#include "image/image.h"
#include "quantize/layer_choice.h"
#include "quantize/layer_samples.h"
#include "quantize/program.h"

namespace trefoil {

// Whether the step's covariance can be held: filters of more than 6144 inputs stay plain.
bool canCompensate(const Program& program, const Step& step);

// Multiply-adds of compensating the step, roughly.
double compensationWork(const Program& program, const Step& step, int images);

class LayerCompensation {
 public:
  LayerCompensation(const Program& program, const Step& step, const LayerChoice& choice,
                    const Preprocess& preprocess, int images);

  // The float network's results on image 0, 1, ...: all of the layer's values, before any clamp.
  void addResults(int image, std::span<const float> values);

  // Sets op's codes, scales, filter_scales, biases and factors. `work` is told multiply-adds as they are
  // done; false ends it, and the result.
  bool run(const SampleInputs& inputs, const std::function<bool(double)>& work, QConvOp* op);

 private:
  const Program& program_;
  const Step& step_;
  const LayerChoice& choice_;
  const Preprocess& preprocess_;
  std::vector<SamplePlace> places_;
  std::vector<float> results_;  // [places][filters]
  std::size_t next_ = 0;        // place without results
};

}  // namespace trefoil
