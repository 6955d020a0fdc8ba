// Steps with grids to nodes of the integer program.
#pragma once

#include "base/result.h"
#include "format/quant_model.h"
#include "image/image.h"
#include "quantize/layer_choice.h"
#include "quantize/program.h"
#include "quantize/weights.h"

namespace trefoil {

// Every step but convolutions. Errors: kOverflow, naming the step, where a factor can't be written.
Result<QOp> lowerStep(const Program& program, const Step& step);

// Quantizes the weights by themselves. A convolution of the input takes `preprocess` in, so that it reads the
// pixels themselves.
QConvOp lowerConv(const Program& program, const Step& step, const LayerChoice& choice,
                  const Preprocess& preprocess);

// Real weights of a convolution in the order [K][R][S][C], and the bounds of its filters' steps.
std::vector<float> layerWeights(const Program& program, const Step& step, const Preprocess& preprocess);
std::vector<StepBounds> stepBounds(const Program& program, const Step& step);

// Sets all biases and output factors to those of the float network, for op->filter_scales as they are.
void setFilters(const Program& program, const Step& step, const Preprocess& preprocess, QConvOp* op);

// The sum of integer weight times pad value over filter k: what the accumulator holds where the input is all
// padding (real zero), bias apart. The reals of a filter are then  unit * (sum of w * (q - pad) + offset),
// with unit = filter_scale * input scale and offset = bias + padSum.
std::int64_t padSum(const QConvOp& op, int k, int filters, int channels);

// Sets bias and output factor of filter k for a real offset (see above) and the factor to the next grid (0:
// none).
void setFilter(QConvOp* op, int k, double offset, std::int64_t pad_sum, double factor);

// Proves that no input can take an accumulator beyond 32 bits. Errors: kOverflow, naming the layer.
Result<void> checkAccumulators(const QConvOp& op, int filters, int channels, int input_max,
                               const std::string& name);

}  // namespace trefoil
