#include <algorithm>
#include <cmath>
#include <limits>

#include "quantize/lower.h"

namespace trefoil {
namespace {

constexpr double kMaxBias = 1 << 30;  // |bias|, leaving as much for the sum
constexpr double kMaxFactor = 1 - 1e-6;

// The layer's weights for x' = p / 255, std taken in; its channels are those of the picture.
std::vector<float> foldDeviation(const ConvOp& conv, const Preprocess& preprocess, int filters,
                                 int channels) {
  std::vector<float> folded = conv.weights;
  const int taps = conv.window.kernel_h * conv.window.kernel_w;
  const int filters_per_group = filters / conv.groups;
  std::size_t i = 0;
  for (int k = 0; k < filters; ++k) {
    for (int c = 0; c < channels; ++c) {
      const int channel = k / filters_per_group * channels + c;
      for (int tap = 0; tap < taps; ++tap, ++i) folded[i] /= preprocess.std[channel];
    }
  }
  return folded;
}

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

Result<QConvOp> lowerConv(const Program& program, const Step& step, const LayerChoice& choice,
                          const Preprocess& preprocess, WeightError* error) {
  const auto& conv = std::get<ConvOp>(program.graph.nodes[step.node].op);
  const Step& source = program.steps[step.inputs[0]];
  const int filters = step.shape.channels;
  const int channels = source.shape.channels / conv.groups;
  const double in_scale = source.grid.scale;
  const bool reads_pixels = source.kind == StepKind::kInput;

  QConvOp op;
  op.window = conv.window;
  op.groups = conv.groups;
  op.bias.resize(filters);
  std::vector<float> folded;
  if (reads_pixels) {
    folded = foldDeviation(conv, preprocess, filters, channels);
    for (int c = 0; c < source.shape.channels; ++c) {
      op.pad_values.push_back(static_cast<std::uint8_t>(pixelOf(preprocess.mean[c])));
    }
  } else {
    op.pad_values.assign(source.shape.channels, static_cast<std::uint8_t>(source.grid.zero_point));
  }

  std::vector<StepBounds> bounds(filters);
  for (int k = 0; k < filters; ++k) {
    bounds[k].least = std::fabs(double{conv.bias[k]}) / in_scale / (kMaxBias / 2);
    // One level of input times the largest integer weight spans the whole grid then: larger weights may as
    // well be cut.
    bounds[k].most =
        step.accumulators ? std::numeric_limits<double>::infinity() : kMaxFactor * step.grid.scale / in_scale;
  }
  *error = quantizeWeights(reads_pixels ? folded : conv.weights, filters, channels, choice, bounds, &op);

  if (!step.accumulators) {
    const ClampPoints points = clampPoints(step);
    op.output.low = points.low;
    op.output.high = points.high;
    op.output.factors.resize(filters);
  }
  for (int k = 0; k < filters; ++k) {
    const double unit = op.filter_scales[k] * in_scale;
    const double shift = reads_pixels ? meanShift(op, k, filters, channels, preprocess) : 0.0;
    const double offset = conv.bias[k] / unit + shift;
    const std::int64_t pad_sum = padSum(op, k, filters, channels);
    setFilter(&op, k, offset, pad_sum, step.accumulators ? 0.0 : unit / step.grid.scale);
  }
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
