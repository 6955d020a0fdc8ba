#include <algorithm>
#include <cmath>
#include <limits>

#include "quantize/lower.h"

namespace trefoil {
namespace {

constexpr double kMaxBias = 1 << 30;  // |bias|, leaving as much for the sum
constexpr double kMaxFactor = 1 - 1e-6;

int pixelOf(float mean) { return static_cast<int>(std::clamp(std::floor(255.0 * mean + 0.5), 0.0, 255.0)); }

// What the padding's pixels lack of the exact mean, weighted: with it the quantized weights see inputs
// centred on the mean, where the error of a weight counts least.
double meanShift(const QConvOp& op, int k, int filters, int channels, const Preprocess& preprocess) {
  const int first = k / (filters / op.groups) * channels;
  std::vector<std::int32_t> integers(static_cast<std::size_t>(channels) * op.window.kernel_h *
                                     op.window.kernel_w);
  filterIntegers(op, k, channels, integers);
  double shift = 0;
  for (std::size_t i = 0; i < integers.size(); ++i) {
    const int channel = first + static_cast<int>(i % channels);
    shift += integers[i] * (op.pad_values[channel] - 255.0 * preprocess.mean[channel]);
  }
  return shift;
}

}  // namespace

std::int64_t padSum(const QConvOp& op, int k, int filters, int channels) {
  const int filters_per_group = filters / op.groups;
  const int first = k / filters_per_group * channels;
  const int taps = op.window.kernel_h * op.window.kernel_w;
  std::vector<std::int32_t> integers(static_cast<std::size_t>(channels) * taps);
  filterIntegers(op, k, channels, integers);
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < integers.size(); ++i) {
    sum += std::int64_t{integers[i]} * op.pad_values[first + static_cast<int>(i % channels)];
  }
  return sum;
}

void setFilter(QConvOp* op, int k, double offset, std::int64_t pad_sum, double factor) {
  const double bias = std::floor(offset + 0.5) - static_cast<double>(pad_sum);
  op->bias[k] = static_cast<std::int32_t>(std::clamp(bias, -kMaxBias, kMaxBias));
  if (factor > 0) fixedPointFromReal(std::min(factor, kMaxFactor), &op->output.factors[k]);
}

std::vector<float> layerWeights(const Program& program, const Step& step, const Preprocess& preprocess) {
  const auto& conv = std::get<ConvOp>(program.graph.nodes[step.node].op);
  const Step& source = program.steps[step.inputs[0]];
  const int filters = step.shape.channels;
  const int channels = source.shape.channels / conv.groups;
  const int taps = conv.window.kernel_h * conv.window.kernel_w;
  const int filters_per_group = filters / conv.groups;
  std::vector<float> weights(conv.weights.size());
  const float* from = conv.weights.data();
  for (int k = 0; k < filters; ++k) {
    float* filter = weights.data() + static_cast<std::size_t>(k) * channels * taps;
    for (int c = 0; c < channels; ++c) {
      const int channel = k / filters_per_group * channels + c;
      const float deviation = source.kind == StepKind::kInput ? preprocess.std[channel] : 1.0F;
      for (int tap = 0; tap < taps; ++tap)
        filter[static_cast<std::size_t>(tap) * channels + c] = *from++ / deviation;
    }
  }
  return weights;
}

std::vector<StepBounds> stepBounds(const Program& program, const Step& step) {
  const auto& conv = std::get<ConvOp>(program.graph.nodes[step.node].op);
  const double in_scale = program.steps[step.inputs[0]].grid.scale;
  std::vector<StepBounds> bounds(conv.bias.size());
  for (std::size_t k = 0; k < bounds.size(); ++k) {
    bounds[k].least = std::fabs(double{conv.bias[k]}) / in_scale / (kMaxBias / 2);
    // One level of input times the largest integer weight spans the whole grid then: larger weights may as
    // well be cut.
    bounds[k].most =
        step.accumulators ? std::numeric_limits<double>::infinity() : kMaxFactor * step.grid.scale / in_scale;
  }
  return bounds;
}

void setFilters(const Program& program, const Step& step, const Preprocess& preprocess, QConvOp* op) {
  const auto& conv = std::get<ConvOp>(program.graph.nodes[step.node].op);
  const Step& source = program.steps[step.inputs[0]];
  const int filters = step.shape.channels;
  const int channels = source.shape.channels / conv.groups;
  for (int k = 0; k < filters; ++k) {
    const double unit = double{op->filter_scales[k]} * source.grid.scale;
    const double shift =
        source.kind == StepKind::kInput ? meanShift(*op, k, filters, channels, preprocess) : 0.0;
    const double offset = conv.bias[k] / unit + shift;
    const std::int64_t pad_sum = padSum(*op, k, filters, channels);
    setFilter(op, k, offset, pad_sum, step.accumulators ? 0.0 : unit / step.grid.scale);
  }
}

QConvOp lowerConv(const Program& program, const Step& step, const LayerChoice& choice,
                  const Preprocess& preprocess) {
  const auto& conv = std::get<ConvOp>(program.graph.nodes[step.node].op);
  const Step& source = program.steps[step.inputs[0]];
  QConvOp op;
  op.window = conv.window;
  op.groups = conv.groups;
  op.bias.resize(conv.bias.size());
  if (source.kind == StepKind::kInput) {
    for (int c = 0; c < source.shape.channels; ++c) {
      op.pad_values.push_back(static_cast<std::uint8_t>(pixelOf(preprocess.mean[c])));
    }
  } else {
    op.pad_values.assign(source.shape.channels, static_cast<std::uint8_t>(source.grid.zero_point));
  }
  quantizeWeights(layerWeights(program, step, preprocess), step.shape.channels,
                  source.shape.channels / conv.groups, choice, stepBounds(program, step), &op);
  if (!step.accumulators) {
    const ClampPoints points = clampPoints(step);
    op.output.low = points.low;
    op.output.high = points.high;
    op.output.factors.resize(conv.bias.size());
  }
  setFilters(program, step, preprocess, &op);
  return op;
}

Result<void> checkAccumulators(const QConvOp& op, int filters, int channels, int input_max,
                               const std::string& name) {
  const int taps = op.window.kernel_h * op.window.kernel_w;
  std::vector<std::int32_t> integers(static_cast<std::size_t>(channels) * taps);
  for (int k = 0; k < filters; ++k) {
    filterIntegers(op, k, channels, integers);
    std::int64_t magnitude = 0;
    for (const std::int32_t w : integers) magnitude += std::abs(w);
    const std::int64_t reach = magnitude * input_max + std::abs(std::int64_t{op.bias[k]});
    if (reach > std::numeric_limits<std::int32_t>::max()) {
      return makeError(ErrorCode::kOverflow,
                       "layer '" + name + "' adds up " + std::to_string(integers.size()) +
                           " products a filter and could reach " + std::to_string(reach) +
                           ", beyond 32 bits; give it int8 weights (weights=int8) or fewer activation bits "
                           "in front of it");
    }
  }
  return {};
}

}  // namespace trefoil
