#include "quantize/weights.h"

#include <algorithm>
#include <cmath>

#include "quantize/plain_filter.h"

namespace trefoil {
namespace {

constexpr int kMaxInt8 = 127;

// Where a filter's weights are all zero, its step only has to express the bias.
double stepOfEmptyFilter(const StepBounds& bounds) {
  return std::isfinite(bounds.most) ? bounds.most / 4096 : 1.0;
}

int int8Integer(double w, double step) {
  return static_cast<int>(std::clamp(std::floor(w / step + 0.5), -double{kMaxInt8}, double{kMaxInt8}));
}

// The step with the least squared error; cutting off the largest weights may pay.
float int8Step(std::span<const float> filter, const StepBounds& bounds) {
  double largest = 0;
  for (const float w : filter) largest = std::max(largest, std::fabs(double{w}));
  if (largest == 0) return stepWithin(stepOfEmptyFilter(bounds), bounds);
  float best = 0;
  double best_error = 0;
  for (int percent = 100; percent >= 50; percent -= 2) {
    const float step = stepWithin(largest * percent / 100 / kMaxInt8, bounds);
    double error = 0;
    for (const float w : filter) {
      const double difference = w - double{step} * int8Integer(w, step);
      error += difference * difference;
    }
    if (percent == 100 || error < best_error) {
      best = step;
      best_error = error;
    }
  }
  return best;
}

}  // namespace

float stepWithin(double wanted, const StepBounds& bounds) {
  constexpr double kSmallest = 1e-30;  // a normal float, and far below anything that counts
  return static_cast<float>(std::max({std::min(std::max(wanted, bounds.least), bounds.most), kSmallest}));
}

void quantizeWeights(std::span<const float> weights, int filters, int channels, const LayerChoice& choice,
                     std::span<const StepBounds> bounds, QConvOp* op) {
  const int taps = op->window.kernel_h * op->window.kernel_w;
  const std::size_t filter_size = static_cast<std::size_t>(channels) * taps;
  const bool ternary = choice.weights == WeightKind::kTernary;
  if (ternary) {
    op->ternary.group_size = choice.group_size;
    op->ternary.planes.resize(static_cast<std::size_t>(choice.planes));
    for (TernaryPlane& plane : op->ternary.planes) plane.codes.reserve(filter_size * filters);
  } else {
    op->int8.reserve(filter_size * filters);
  }
  PlainFilter fitter(choice,
                     ternary ? groupStarts(channels, taps, choice.group_size) : std::vector<std::size_t>{0});
  for (int k = 0; k < filters; ++k) {
    const auto filter = weights.subspan(k * filter_size, filter_size);
    float step = 0;
    if (ternary) {
      fitter.fit(filter);
      const double largest = fitter.largestScale();
      step = stepWithin(largest > 0 ? largest / fitter.largestInteger() : stepOfEmptyFilter(bounds[k]),
                        bounds[k]);
      fitter.append(filter, step, op->ternary.planes);
    } else {
      step = int8Step(filter, bounds[k]);
      for (const float w : filter) op->int8.push_back(static_cast<std::int8_t>(int8Integer(w, step)));
    }
    op->filter_scales.push_back(step);
  }
}

WeightError weightError(std::span<const float> weights, const QConvOp& op, int filters, int channels) {
  const std::size_t filter_size =
      static_cast<std::size_t>(channels) * op.window.kernel_h * op.window.kernel_w;
  WeightError error;
  for (const float w : weights) error.histogram.limit = std::max(error.histogram.limit, std::fabs(double{w}));
  std::vector<std::int32_t> integers(filter_size);
  for (int k = 0; k < filters; ++k) {
    filterIntegers(op, k, channels, integers);
    for (std::size_t i = 0; i < filter_size; ++i) {
      const double w = weights[k * filter_size + i];
      const double quantized = double{op.filter_scales[k]} * integers[i];
      const double difference = w - quantized;
      error.histogram.add(w, quantized);
      error.signal += w * w;
      error.noise += difference * difference;
    }
  }
  return error;
}

void filterIntegers(const QConvOp& op, int k, int channels, std::span<std::int32_t> out) {
  const std::size_t base = static_cast<std::size_t>(k) * out.size();
  if (op.ternary.planes.empty()) {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = op.int8[base + i];
    return;
  }
  const int taps = op.window.kernel_h * op.window.kernel_w;
  const int group_size = op.ternary.group_size;
  const std::size_t scale_base = static_cast<std::size_t>(k) * scalesPerFilter(channels, taps, group_size);
  std::fill(out.begin(), out.end(), 0);
  for (const TernaryPlane& plane : op.ternary.planes) {
    const auto& negative_scales = plane.negative_scales.empty() ? plane.scales : plane.negative_scales;
    std::size_t i = 0;
    for (int tap = 0; tap < taps; ++tap) {
      for (int c = 0; c < channels; ++c, ++i) {
        const int code = plane.codes[base + i];
        const std::size_t scale = scale_base + scaleIndex(c, tap, channels, group_size);
        if (code != 0) out[i] += code > 0 ? plane.scales[scale] : -negative_scales[scale];
      }
    }
  }
}

}  // namespace trefoil
