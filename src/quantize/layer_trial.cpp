#include "quantize/layer_trial.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <numeric>

#include "graph/float_gemm.h"
#include "quantize/compensate.h"
#include "quantize/lower.h"
#include "quantize/plain_filter.h"

namespace trefoil {
namespace {

constexpr int kBlockInputs = 576;    // of a block: 64 channels of a 3x3 convolution
constexpr int kPlaces = 4608;        // samples
constexpr int kPlacesPerInput = 3;   // at least, or blocks get smaller
constexpr int kComparedFilters = 8;  // choices are compared on so many filters
constexpr int kComparedBlocks = 3;   // and so many blocks

struct Sizes {
  int groups, channels, filters, taps;  // channels and filters of one group
  int block;                            // channels of a block
  int blocks() const { return groups * ((channels + block - 1) / block); }
};

Sizes sizesOf(const Program& program, const Step& step, int images) {
  const auto& conv = std::get<ConvOp>(program.graph.nodes[step.node].op);
  Sizes sizes{};
  sizes.groups = conv.groups;
  sizes.channels = program.steps[step.inputs[0]].shape.channels / conv.groups;
  sizes.filters = step.shape.channels / conv.groups;
  sizes.taps = conv.window.kernel_h * conv.window.kernel_w;
  // Whole groups of 4, so that blocks cut no group of the usual size.
  const std::int64_t places = std::min<std::int64_t>(kPlaces, step.shape.plane() * images);
  const auto inputs = std::min<std::int64_t>(kBlockInputs, places / kPlacesPerInput);
  sizes.block = std::min(sizes.channels, std::max(4, static_cast<int>(inputs) / sizes.taps / 4 * 4));
  return sizes;
}

// `count` of `total` indices, evenly spread.
std::vector<int> spreadIndices(int total, int count) {
  std::vector<int> indices;
  for (int i = 0; i < std::min(total, count); ++i)
    indices.push_back(static_cast<int>(std::int64_t{i} * total / std::min(total, count)));
  return indices;
}

// A block of one convolution group as a layer of its own.
class Block {
 public:
  // weights: [filters][size] in the order [R][S][C].
  Block(const LayerSampler& sampler, const Window& window, int channels, std::vector<float> weights)
      : variances_(sampler.variances()),
        window_(window),
        channels_(channels),
        size_(variances_.size()),
        weights_(std::move(weights)) {}

  bool measure(const LayerSampler& sampler, const std::function<bool(double)>& work) {
    LayerMoments moments;
    moments.order.resize(size_);
    std::iota(moments.order.begin(), moments.order.end(), 0);
    if (!sampler.measure({}, 0, 0, 0, work, &moments)) return false;
    places_ = moments.places;
    covariance_ = std::move(moments.inputs);
    for (std::size_t i = 0; i < size_; ++i) {
      for (std::size_t j = 0; j < i; ++j) covariance_[i * size_ + j] = covariance_[j * size_ + i];
    }
    return true;
  }

  // The block's weights as `choice` has them, for the filters of these indices.
  bool quantize(LayerChoice choice, std::span<const int> filters, const std::function<bool(double)>& work,
                std::vector<float>* result) const {
    choice.group_size = std::min(choice.group_size, channels_);
    const auto count = static_cast<int>(filters.size());
    std::vector<float> weights;
    for (const int k : filters) {
      const auto filter = std::span(weights_).subspan(k * size_, size_);
      weights.insert(weights.end(), filter.begin(), filter.end());
    }
    std::vector<std::size_t> starts(size_ + 1);
    std::iota(starts.begin(), starts.end(), std::size_t{0});
    if (choice.weights == WeightKind::kTernary)
      starts = groupStarts(channels_, window_.kernel_h * window_.kernel_w, choice.group_size);
    LayerMoments moments;
    moments.places = places_;
    moments.size = static_cast<int>(size_);
    moments.order = compensationOrder(variances_, starts);
    const std::vector<float> products = timesCovariance(weights);
    moments.inputs.reserve(size_ * size_);
    for (const int i : moments.order) {
      for (const int j : moments.order) moments.inputs.push_back(covariance_[i * size_ + j]);
    }
    moments.outputs.reserve(products.size());
    for (std::size_t k = 0; k < filters.size(); ++k) {
      for (const int j : moments.order) moments.outputs.push_back(products[k * size_ + j]);
    }
    const StepBounds open{0, std::numeric_limits<double>::infinity()};
    const std::vector<StepBounds> bounds(filters.size(), open);
    QConvOp op;
    op.window = window_;
    quantizeWeights(weights, count, channels_, choice, bounds, &op);
    if (choice.method == Method::kCompensated &&
        !compensate(weights, {0, count, channels_}, choice, bounds, std::move(moments), work, &op)) {
      return false;
    }
    result->resize(weights.size());
    std::vector<std::int32_t> integers(size_);
    for (int k = 0; k < count; ++k) {
      filterIntegers(op, k, channels_, integers);
      for (std::size_t i = 0; i < size_; ++i)
        (*result)[k * size_ + i] = op.filter_scales[k] * static_cast<float>(integers[i]);
    }
    return true;
  }

  // Expected squared error of these filters' results.
  double error(std::span<const int> filters, std::span<const float> quantized) const {
    std::vector<float> errors;
    for (std::size_t k = 0; k < filters.size(); ++k) {
      for (std::size_t i = 0; i < size_; ++i)
        errors.push_back(weights_[filters[k] * size_ + i] - quantized[k * size_ + i]);
    }
    const std::vector<float> products = timesCovariance(errors);
    double sum = 0;
    for (std::size_t i = 0; i < errors.size(); ++i) sum += double{errors[i]} * products[i];
    return std::max(0.0, sum);
  }

 private:
  std::vector<float> timesCovariance(const std::vector<float>& rows) const {
    std::vector<float> products(rows.size(), 0.0F);
    const auto size = static_cast<std::int64_t>(size_);
    const MatrixRows right = [&](std::int64_t k, std::int64_t at, int, float*) {
      return covariance_.data() + k * size + at;
    };
    multiplyAdd(static_cast<std::int64_t>(rows.size()) / size, size, size, rows.data(), right,
                products.data());
    return products;
  }

  std::vector<double> variances_;
  Window window_;
  int channels_;
  std::size_t size_;
  std::int64_t places_ = 0;
  std::vector<float> weights_, covariance_;
};

}  // namespace

bool tryChoices(const Program& program, const Step& step, std::span<const LayerChoice> choices,
                const SampleInputs& inputs, int images, const std::function<bool(double)>& work,
                LayerTrial* trial) {
  const Sizes sizes = sizesOf(program, step, images);
  const std::vector<float> weights = layerWeights(program, step, {});
  const std::vector<SamplePlace> places = choosePlaces(images, step.shape, kPlaces);
  const double in_scale = program.steps[step.inputs[0]].grid.scale;
  const std::vector<int> compared = spreadIndices(sizes.blocks(), kComparedBlocks);
  const std::vector<int> some = spreadIndices(sizes.filters, kComparedFilters);
  std::vector<int> all(static_cast<std::size_t>(sizes.filters));
  std::iota(all.begin(), all.end(), 0);
  trial->weights.assign(weights.size(), 0.0F);
  trial->errors.assign(choices.size(), 0.0);
  const int filter_size = sizes.channels * sizes.taps;
  int index = 0;
  for (int g = 0; g < sizes.groups; ++g) {
    for (int first = 0; first < sizes.channels; first += sizes.block, ++index) {
      const int channels = std::min(sizes.block, sizes.channels - first);
      std::vector<float> own;
      for (int k = 0; k < sizes.filters; ++k) {
        const float* filter = weights.data() + (std::int64_t{g} * sizes.filters + k) * filter_size + first;
        for (int tap = 0; tap < sizes.taps; ++tap, filter += sizes.channels)
          own.insert(own.end(), filter, filter + channels);
      }
      const LayerSampler sampler(inputs, places, g * sizes.channels + first, channels, in_scale);
      Block block(sampler, inputs.window, channels, std::move(own));
      std::vector<float> quantized;
      if (!block.measure(sampler, work) || !block.quantize(choices[0], all, work, &quantized)) return false;
      const int size = channels * sizes.taps;
      for (int k = 0; k < sizes.filters; ++k) {
        float* out = trial->weights.data() + (std::int64_t{g} * sizes.filters + k) * filter_size +
                     std::int64_t{first} * sizes.taps;
        const float* in = quantized.data() + std::int64_t{k} * size;
        for (int tap = 0; tap < sizes.taps; ++tap) {
          for (int c = 0; c < channels; ++c) out[c * sizes.taps + tap] = *in++;
        }
      }
      if (std::find(compared.begin(), compared.end(), index) == compared.end()) continue;
      std::vector<float> part;
      for (const int k : some)
        part.insert(part.end(), quantized.begin() + std::ptrdiff_t{k} * size,
                    quantized.begin() + std::ptrdiff_t{k + 1} * size);
      trial->errors[0] += block.error(some, part);
      for (std::size_t i = 1; i < choices.size(); ++i) {
        if (!block.quantize(choices[i], some, work, &part)) return false;
        trial->errors[i] += block.error(some, part);
      }
    }
  }
  const double reference = trial->errors[0];
  for (double& error : trial->errors) error = reference > 0 ? error / reference : 0;
  return true;
}

double trialWork(const Program& program, const Step& step, std::size_t choices, int images) {
  const Sizes sizes = sizesOf(program, step, images);
  const int size = sizes.block * sizes.taps;
  const double samples = 0.5 * kPlaces * size * size;
  const double compared = std::min(sizes.blocks(), kComparedBlocks) * static_cast<double>(choices - 1);
  return sizes.blocks() * (samples + compensationWork(sizes.filters, size)) +
         compared * compensationWork(kComparedFilters, size);
}

}  // namespace trefoil
