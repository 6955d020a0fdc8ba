#include "quantize/compensate_layer.h"

#include <algorithm>
#include <numeric>

#include "quantize/compensate.h"
#include "quantize/lower.h"
#include "quantize/plain_filter.h"

namespace trefoil {
namespace {

constexpr std::int64_t kPlaces = 16384;
constexpr double kPlacesPerInput = 2.5;
constexpr std::int64_t kLargestPatch = 6144;  // whose covariance takes 151 MB

struct Sizes {
  int groups, channels, filters, taps;
  std::int64_t patch() const { return std::int64_t{channels} * taps; }
};

Sizes sizesOf(const Program& program, const Step& step) {
  const auto& conv = std::get<ConvOp>(program.graph.nodes[step.node].op);
  const int channels = program.steps[step.inputs[0]].shape.channels;
  return {conv.groups, channels / conv.groups, step.shape.channels / conv.groups,
          conv.window.kernel_h * conv.window.kernel_w};
}

std::int64_t placesWanted(const Sizes& sizes) {
  return std::max(kPlaces, static_cast<std::int64_t>(kPlacesPerInput * static_cast<double>(sizes.patch())));
}

}  // namespace

bool canCompensate(const Program& program, const Step& step) {
  return sizesOf(program, step).patch() <= kLargestPatch;
}

double compensationWork(const Program& program, const Step& step, int images) {
  const Sizes sizes = sizesOf(program, step);
  const auto patch = static_cast<double>(sizes.patch());
  const auto places = static_cast<double>(std::min(placesWanted(sizes), step.shape.plane() * images));
  const double moments = places * patch * (patch / 2 + sizes.filters);
  return sizes.groups * (moments + compensationWork(sizes.filters, static_cast<int>(sizes.patch())));
}

LayerCompensation::LayerCompensation(const Program& program, const Step& step, const LayerChoice& choice,
                                     const Preprocess& preprocess, int images)
    : program_(program), step_(step), choice_(choice), preprocess_(preprocess) {
  places_ = choosePlaces(images, step.shape, placesWanted(sizesOf(program, step)));
}

void LayerCompensation::addResults(int image, std::span<const float> values) {
  const std::int64_t plane = step_.shape.plane();
  for (; next_ < places_.size() && places_[next_].image == image; ++next_) {
    const float* at = values.data() + std::int64_t{places_[next_].y} * step_.shape.width + places_[next_].x;
    for (int k = 0; k < step_.shape.channels; ++k) results_.push_back(at[k * plane]);
  }
}

bool LayerCompensation::run(const SampleInputs& inputs, const std::function<bool(double)>& work,
                            QConvOp* op) {
  const Sizes sizes = sizesOf(program_, step_);
  const std::vector<float> weights = layerWeights(program_, step_, preprocess_);
  const std::vector<StepBounds> bounds = stepBounds(program_, step_);
  std::vector<std::size_t> starts;
  if (choice_.weights == WeightKind::kTernary) {
    starts = groupStarts(sizes.channels, sizes.taps, choice_.group_size);
  } else {
    starts.resize(static_cast<std::size_t>(sizes.patch()) + 1);
    std::iota(starts.begin(), starts.end(), std::size_t{0});
  }
  const double in_scale = program_.steps[step_.inputs[0]].grid.scale;
  for (int g = 0; g < sizes.groups; ++g) {
    const LayerSampler sampler(inputs, places_, g * sizes.channels, sizes.channels, in_scale);
    LayerMoments moments;
    moments.order = compensationOrder(sampler.variances(), starts);
    const int first = g * sizes.filters;
    if (!sampler.measure(results_, step_.shape.channels, first, sizes.filters, work, &moments)) return false;
    const CompensatedFilters filters{first, sizes.filters, sizes.channels};
    if (!compensate(weights, filters, choice_, bounds, std::move(moments), work, op)) return false;
  }
  setFilters(program_, step_, preprocess_, op);
  return true;
}

}  // namespace trefoil
