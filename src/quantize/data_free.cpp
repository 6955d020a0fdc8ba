#include "quantize/data_free.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "graph/float_ops.h"
#include "quantize/lower.h"
#include "quantize/prepare.h"
#include "quantize/weights.h"

namespace trefoil {
namespace {

constexpr int kQuantiles = 512;

// z with P(Z < z) = share, by bisection: exact to the last bits, and the same everywhere.
double normalQuantile(double share) {
  double low = -8;
  double high = 8;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < share ? low : high) = middle;
  }
  return (low + high) / 2;
}

std::vector<double> normalQuantiles() {
  std::vector<double> quantiles(kQuantiles);
  for (int i = 0; i < kQuantiles; ++i) {
    quantiles[static_cast<std::size_t>(i)] = normalQuantile((i + 0.5) / kQuantiles);
  }
  return quantiles;
}

using Samples = std::vector<float>;  // [channels][kQuantiles]

class Follower {
 public:
  Follower(const Graph& graph, const std::vector<bool>& wanted)
      : graph_(graph), wanted_(wanted), readers_(findReaders(graph)) {}

  Result<DataFreeStatistics> run() {
    const std::size_t count = graph_.nodes.size();
    DataFreeStatistics result;
    result.calibration.values.resize(count);
    result.calibration.filters.resize(count);
    result.values.resize(count);
    samples_.resize(count);
    std::vector<int> left(count);
    for (std::size_t i = 0; i < count; ++i) left[i] = static_cast<int>(readers_[i].size());
    for (std::size_t i = 1; i < count; ++i) {
      const Node& node = graph_.nodes[i];
      const bool needed = wanted_[i] || !readers_[i].empty();
      if (needed) {
        if (auto made = follow(i); !made) return made.error();
        if (wanted_[i]) result.calibration.values[i].add(samples_[i]);
        result.values[i] = momentsOf(samples_[i]);
      }
      for (const int input : node.inputs) {
        if (--left[static_cast<std::size_t>(input)] == 0) samples_[static_cast<std::size_t>(input)] = {};
      }
    }
    return result;
  }

 private:
  static ChannelMoments momentsOf(const Samples& samples) {
    ChannelMoments moments;
    for (std::size_t at = 0; at < samples.size(); at += kQuantiles) {
      Moments channel;
      channel.add(std::span(samples).subspan(at, kQuantiles));
      moments.mean.push_back(channel.mean());
      moments.variance.push_back(channel.deviation() * channel.deviation());
    }
    return moments;
  }

  Samples normal(const TrainedMoments& trained) const {
    Samples samples;
    for (std::size_t c = 0; c < trained.mean.size(); ++c) {
      for (const double z : quantiles_) {
        samples.push_back(static_cast<float>(trained.mean[c] + trained.deviation[c] * z));
      }
    }
    return samples;
  }

  const Samples& input(const Node& node, std::size_t i) const {
    return samples_[static_cast<std::size_t>(node.inputs[i])];
  }

  // The second value's quantiles in another order, an own one for every node: as if independent of the first.
  template <typename Join>
  Samples join(const Node& node, std::size_t index, Join together) const {
    const Samples& a = input(node, 0);
    const Samples& b = input(node, 1);
    const std::size_t stride = 2 * (index * 7919 % (kQuantiles / 2)) + 1;
    Samples samples(a.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      const std::size_t channel = i / kQuantiles * kQuantiles;
      samples[i] = together(a[i], b[channel + (i * stride + 31) % kQuantiles]);
    }
    return samples;
  }

  // New channel c as the old channel channel_of(c), or filled.
  template <typename ChannelOf>
  Samples channels(const Node& node, float fill, ChannelOf channel_of) const {
    const Samples& from = input(node, 0);
    Samples samples(static_cast<std::size_t>(node.shape.channels) * kQuantiles, fill);
    for (int c = 0; c < node.shape.channels; ++c) {
      const std::int64_t source = channel_of(c);
      if (source < 0 || source * kQuantiles >= static_cast<std::int64_t>(from.size())) continue;
      std::copy_n(from.begin() + source * kQuantiles, kQuantiles,
                  samples.begin() + std::ptrdiff_t{c} * kQuantiles);
    }
    return samples;
  }

  Result<void> follow(std::size_t index) {
    const Node& node = graph_.nodes[index];
    const auto missing = [&] {
      return makeError(ErrorCode::kBadImage,
                       "without calibration images, ranges come from batch norms, and '" + node.name +
                           "' has none behind it: give calibration images, 32 or more");
    };
    Samples& to = samples_[index];
    const Shape shape{node.shape.channels, 1, kQuantiles};
    if (const auto* conv = std::get_if<ConvOp>(&node.op)) {
      if (conv->trained.mean.empty()) return missing();
      to = normal(conv->trained);
      return {};
    }
    for (const int source : node.inputs) {
      if (samples_[static_cast<std::size_t>(source)].empty()) return missing();
    }
    if (const auto* activation = std::get_if<ActivationOp>(&node.op)) {
      to.resize(input(node, 0).size());
      evaluateActivation(*activation, shape, input(node, 0).data(), to.data());
    } else if (std::holds_alternative<AddOp>(node.op)) {
      to = join(node, index, [](float a, float b) { return a + b; });
    } else if (std::holds_alternative<MulOp>(node.op)) {
      to = join(node, index, [](float a, float b) { return a * b; });
    } else if (std::holds_alternative<ConcatOp>(node.op)) {
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        to.insert(to.end(), input(node, i).begin(), input(node, i).end());
      }
    } else if (const auto* lrn = std::get_if<LrnOp>(&node.op)) {
      to.resize(input(node, 0).size());
      evaluateLrn(*lrn, shape, input(node, 0).data(), to.data());
    } else if (const auto* pad = std::get_if<PadOp>(&node.op)) {
      to = channels(node, pad->value, [&](int c) { return std::int64_t{c} - pad->before[0]; });
    } else if (const auto* slice = std::get_if<SliceOp>(&node.op)) {
      to = channels(node, 0, [&](int c) { return slice->start[0] + std::int64_t{c} * slice->step[0]; });
    } else {  // pools keep the channels, reshapes the order
      const Shape& from = graph_.nodes[static_cast<std::size_t>(node.inputs[0])].shape;
      const bool reshaped = std::holds_alternative<ReshapeOp>(node.op);
      to = channels(
          node, 0, [&](int c) { return reshaped ? c * node.shape.plane() / from.plane() : std::int64_t{c}; });
    }
    return {};
  }

  const Graph& graph_;
  const std::vector<bool>& wanted_;
  std::vector<std::vector<int>> readers_;
  std::vector<double> quantiles_ = normalQuantiles();
  std::vector<Samples> samples_;  // by node, as long as somebody reads them
};

}  // namespace

Result<DataFreeStatistics> statisticsFromBatchNorms(const Graph& graph, const std::vector<bool>& wanted) {
  return Follower(graph, wanted).run();
}

void correctDataFree(const Program& program, const Step& step, std::span<const float> weights,
                     const ChannelMoments& input, QConvOp* op) {
  const Step& source = program.steps[step.inputs[0]];
  const auto& conv = std::get<ConvOp>(program.graph.nodes[step.node].op);
  const int filters = step.shape.channels;
  const int channels = source.shape.channels / op->groups;
  const double in_scale = source.grid.scale;
  std::vector<std::int32_t> integers(weights.size() / static_cast<std::size_t>(filters));
  for (int k = 0; k < filters; ++k) {
    filterIntegers(*op, k, channels, integers);
    const int first = k / (filters / op->groups) * channels;
    const float* real = weights.data() + static_cast<std::size_t>(k) * integers.size();
    double mean = 0;
    double quantized_mean = 0;
    double variance = 0;
    double quantized_variance = 0;
    for (std::size_t i = 0; i < integers.size(); ++i) {
      const auto channel = static_cast<std::size_t>(first) + i % static_cast<std::size_t>(channels);
      const double quantized = double{op->filter_scales[k]} * integers[i];
      mean += real[i] * input.mean[channel];
      quantized_mean += quantized * input.mean[channel];
      variance += double{real[i]} * real[i] * input.variance[channel];
      quantized_variance += quantized * quantized * input.variance[channel];
    }
    const double gain =
        quantized_variance > 0 ? std::clamp(std::sqrt(variance / quantized_variance), 0.5, 2.0) : 1.0;
    op->filter_scales[k] = static_cast<float>(op->filter_scales[k] * gain);
    const double unit = op->filter_scales[k] * in_scale;
    const double bias = conv.bias[k] + mean - gain * quantized_mean;
    setFilter(op, k, bias / unit, padSum(*op, k, filters, channels),
              step.accumulators ? 0.0 : unit / step.grid.scale);
  }
}

}  // namespace trefoil
