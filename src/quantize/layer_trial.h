// What several ways to quantize one convolution would cost it in accuracy, found in a small part of the time
// that quantizing takes.
//
// The layer is compensated (compensate.h) in blocks of its input channels, as if each block were a layer of
// its own, on few samples of what the float network feeds it. Blocks have small covariances, and errors come
// out a little too large, for all ways alike.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "image/image.h"
#include "quantize/layer_choice.h"
#include "quantize/layer_samples.h"
#include "quantize/program.h"

namespace trefoil {

struct LayerTrial {
  // Of the first choice, in real numbers, [K][C / groups][R][S] as the float graph has them.
  std::vector<float> weights;
  // One a choice: expected squared error of the layer's results as a multiple of the first one's.
  std::vector<double> errors;
};

// choices: two or more, weights of the first one ternary. inputs: images of the step's input on its grid.
// `work` is told multiply-adds as they are done; false ends it, and the result.
bool tryChoices(const Program& program, const Step& step, std::span<const LayerChoice> choices,
                const SampleInputs& inputs, int images, const std::function<bool(double)>& work,
                LayerTrial* trial);

// Multiply-adds that tryChoices() takes, roughly.
double trialWork(const Program& program, const Step& step, std::size_t choices, int images);

}  // namespace trefoil
