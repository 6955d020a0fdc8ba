#include "quantize/correct.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/float_eval.h"
#include "graph/float_ops.h"
#include "quantize/compensate_layer.h"
#include "quantize/float_values.h"
#include "quantize/grid_search.h"

namespace trefoil {
namespace {

constexpr std::int64_t kLiveBytes = std::int64_t{1} << 30;     // of all images' live activations
constexpr std::int64_t kCacheBytes = std::int64_t{256} << 20;  // of one layer's accumulators of all images
constexpr double kMinGain = 0.5;
constexpr double kMaxGain = 2;
constexpr double kMaxFactor = 1 - 1e-6;

std::vector<int> lastReaders(const Program& program) {
  std::vector<int> last(program.steps.size(), -1);
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    for (const int in : program.steps[i].inputs) last[in] = static_cast<int>(i);
  }
  return last;
}

// One convolution over the integers of its input: sums of w * (q - pad), without bias.
class IntegerConv {
 public:
  IntegerConv(const QConvOp& op, const Shape& in, const Shape& out) : op_(op), in_(in), out_(out) {
    const int channels = in.channels / op.groups;
    const int taps = op.window.kernel_h * op.window.kernel_w;
    conv_.window = op.window;
    conv_.groups = op.groups;
    conv_.bias.assign(out.channels, 0.0F);
    conv_.weights.resize(static_cast<std::size_t>(out.channels) * channels * taps);
    std::vector<std::int32_t> integers(static_cast<std::size_t>(channels) * taps);
    float* filter = conv_.weights.data();
    for (int k = 0; k < out.channels; ++k, filter += integers.size()) {
      filterIntegers(op, k, channels, integers);
      for (int tap = 0; tap < taps; ++tap) {
        for (int c = 0; c < channels; ++c) {
          filter[static_cast<std::size_t>(c) * taps + tap] =
              static_cast<float>(integers[static_cast<std::size_t>(tap) * channels + c]);
        }
      }
    }
    centred_.resize(static_cast<std::size_t>(in.size()));
  }

  void run(std::span<const std::uint8_t> input, std::span<float> sums) {
    const auto plane = static_cast<std::size_t>(in_.plane());
    for (std::size_t i = 0, c = 0; c < op_.pad_values.size(); ++c) {
      const int pad = op_.pad_values[c];
      for (std::size_t end = i + plane; i < end; ++i) centred_[i] = static_cast<float>(input[i] - pad);
    }
    evaluateIntegerConv(conv_, in_, out_, centred_.data(), sums.data());
  }

 private:
  const QConvOp& op_;
  Shape in_, out_;
  ConvOp conv_;
  std::vector<float> centred_;
};

class Corrector {
 public:
  Corrector(const Program& program, const std::vector<LayerChoice>& choices,
            const std::vector<std::vector<std::uint8_t>>& images, const Preprocess& preprocess,
            const Calibration& calibration, const CorrectionOptions& options,
            const std::function<bool(double, std::string_view)>& done, std::vector<QNode>* nodes)
      : program_(program),
        choices_(choices),
        images_(images),
        preprocess_(preprocess),
        float_values_(program, options.images),
        calibration_(calibration),
        options_(options),
        done_(done),
        nodes_(*nodes) {
    values_.resize(program.steps.size());
    kept_.resize(program.steps.size());
    for (const Step& step : program.steps) {
      total_ += cost(step) * options.images * (options.compensated ? 2 : 1);
      if (compensates(step)) total_ += compensationWork(program_, step, options.images);
    }
  }

  bool run() {
    const std::vector<int> last = lastReaders(program_);
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      const Step& step = program_.steps[i];
      values_[i].resize(step.accumulators ? 0
                                          : static_cast<std::size_t>(step.shape.size()) * options_.images);
      if (!runStep(static_cast<int>(i))) return false;
      if (step.kind == StepKind::kConv && !step.accumulators) {
        const auto measured = static_cast<std::ptrdiff_t>(step.shape.size() * options_.measured);
        kept_[i].assign(values_[i].begin(), values_[i].begin() + measured);
      }
      for (const int in : step.inputs) {
        if (last[in] != static_cast<int>(i)) continue;
        std::vector<std::uint8_t>().swap(values_[in]);
        float_values_.release(in);
      }
    }
    return true;
  }

  std::vector<float> logits(int image) {
    const Step& last = program_.steps.back();
    const auto size = static_cast<std::size_t>(last.shape.size());
    if (last.accumulators) {
      const auto first = logits_.begin() + static_cast<std::ptrdiff_t>(size * image);
      return {first, first + static_cast<std::ptrdiff_t>(size)};
    }
    std::vector<float> reals;
    for (const std::uint8_t q : value(static_cast<int>(program_.steps.size()) - 1, image))
      reals.push_back(last.grid.scale * static_cast<float>(q - last.grid.zero_point));
    return reals;
  }

  // Compares what was kept with the float network.
  bool measure(std::vector<OutputError>* errors) {
    errors->resize(program_.steps.size());
    std::vector<int> step_of(program_.graph.nodes.size(), -1);
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      if (program_.steps[i].kind == StepKind::kConv) step_of[program_.steps[i].result] = static_cast<int>(i);
    }
    for (int image = 0; image < options_.measured; ++image) {
      const NodeObserver observe = [&](int node, std::span<const float> values) {
        if (step_of[node] >= 0) compare(step_of[node], image, values, &(*errors)[step_of[node]]);
      };
      const auto scores =
          evaluate(program_.graph,
                   normalize(images_[image], program_.graph.inputShape().channels, preprocess_), observe);
      if (!scores || !done_(1, "")) return false;
    }
    return true;
  }

 private:
  // Work of one image, roughly: an element of a result counts as much as a few products.
  double cost(const Step& step) const {
    const double elements = static_cast<double>(step.shape.size());
    return 16 * elements +
           (step.kind == StepKind::kConv ? static_cast<double>(countMacs(program_.graph, step.node)) : 0);
  }

  bool compensates(const Step& step) const {
    return step.kind == StepKind::kConv && choices_[step.node].method == Method::kCompensated &&
           canCompensate(program_, step);
  }

  // One image of one step is done.
  bool advance(const Step& step) { return advance(step, cost(step)); }
  bool advance(const Step& step, double work) {
    finished_ += work;
    return done_(total_ > 0 ? std::min(1.0, finished_ / total_) : 1.0, step.name);
  }

  std::span<std::uint8_t> value(int step, int image) {
    const auto size = static_cast<std::size_t>(program_.steps[step].shape.size());
    return std::span(values_[step]).subspan(size * image, size);
  }

  bool runStep(int index) {
    const Step& step = program_.steps[index];
    if (step.kind == StepKind::kConv)
      return (!options_.compensated || compensateConv(index)) && runConv(index);
    for (int image = 0; image < options_.images && options_.compensated; ++image) {
      if (step.kind == StepKind::kInput) {
        float_values_.setInput(index, image, images_[image], preprocess_);
      } else {
        float_values_.run(index, image);
      }
      if (!advance(step)) return false;
    }
    for (int image = 0; image < options_.images; ++image) {
      if (step.kind == StepKind::kInput) {
        std::copy(images_[image].begin(), images_[image].end(), value(index, image).begin());
      } else if (step.kind == StepKind::kLookup) {
        lookUp(index, image);
      } else {
        evaluateReals(index, image);
      }
      if (!advance(step)) return false;
    }
    return true;
  }

  void lookUp(int index, int image) {
    const auto& table = std::get<QLookupOp>(nodes_[index].op).table;
    const auto in = value(program_.steps[index].inputs[0], image);
    const auto out = value(index, image);
    const auto plane = static_cast<std::size_t>(program_.steps[index].shape.plane());
    const bool by_channel = table.size() > 256;
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = table[(by_channel ? i / plane * 256 : 0) + in[i]];
  }

  // Everything without weights: reals of the inputs' grids, the float operation, the result's grid. Within
  // one point of the integer runtime, and equal where values only move.
  void evaluateReals(int index, int image) {
    const Step& step = program_.steps[index];
    std::vector<std::vector<float>> inputs;
    for (const int in : step.inputs) {
      const Grid& grid = program_.steps[in].grid;
      const std::span<const std::uint8_t> points = value(in, image);
      std::vector<float> reals(points.size());
      for (std::size_t i = 0; i < points.size(); ++i)
        reals[i] = grid.scale * static_cast<float>(points[i] - grid.zero_point);
      inputs.push_back(std::move(reals));
    }
    std::vector<float> result(static_cast<std::size_t>(step.shape.size()));
    if (step.kind == StepKind::kRescale) {
      result = std::move(inputs[0]);
    } else {
      evaluateNode(program_.graph, step.node, {inputs.begin(), inputs.end()}, result);
    }
    if (step.accumulators) {
      logits_.insert(logits_.end(), result.begin(), result.end());
      return;
    }
    const ClampPoints points = clampPoints(step);
    const auto out = value(index, image);
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = static_cast<std::uint8_t>(quantizeValue(result[i], step.grid, points.low, points.high));
    }
  }

  // The float network's results, and from them and the quantized inputs the layer's weights if they are to be
  // compensated.
  bool compensateConv(int index) {
    const Step& step = program_.steps[index];
    const Step& source = program_.steps[step.inputs[0]];
    auto& op = std::get<QConvOp>(nodes_[index].op);
    LayerCompensation layer(program_, step, choices_[step.node], preprocess_, options_.images);
    for (int image = 0; image < options_.images; ++image) {
      float_values_.run(index, image, [&](std::span<const float> values) {
        if (compensates(step)) layer.addResults(image, values);
      });
      if (!advance(step)) return false;
    }
    if (!compensates(step)) return true;
    const SampleInputs inputs{op.window, source.shape, op.pad_values, values_[step.inputs[0]]};
    return layer.run(inputs, [&](double work) { return advance(step, work); }, &op);
  }

  bool runConv(int index) {
    const Step& step = program_.steps[index];
    const Step& source = program_.steps[step.inputs[0]];
    auto& op = std::get<QConvOp>(nodes_[index].op);
    const auto size = static_cast<std::size_t>(step.shape.size());
    IntegerConv conv(op, source.shape, step.shape);
    // Two passes over the images: statistics, results. Sums are kept in between where they fit, else made
    // again.
    const bool cached = options_.affine && step.shape.size() * options_.images * 4 <= kCacheBytes;
    std::vector<float> sums(cached ? size * options_.images : size);
    const auto sums_of = [&](int image) { return std::span(sums).subspan(cached ? size * image : 0, size); };
    if (options_.affine) {
      std::vector<Moments> moments(step.shape.channels);
      const auto plane = static_cast<std::size_t>(step.shape.plane());
      for (int image = 0; image < options_.images; ++image) {
        conv.run(value(step.inputs[0], image), sums_of(image));
        for (std::size_t k = 0; k < moments.size(); ++k)
          moments[k].add(sums_of(image).subspan(k * plane, plane));
        if (!advance(step)) return false;
      }
      matchMoments(step, source, moments, &op);
    }
    std::vector<std::int64_t> biases;
    for (int k = 0; k < step.shape.channels; ++k) {
      biases.push_back(op.bias[k] + padSum(op, k, step.shape.channels, source.shape.channels / op.groups));
    }
    for (int image = 0; image < options_.images; ++image) {
      if (!cached) conv.run(value(step.inputs[0], image), sums_of(image));
      finishConv(index, image, sums_of(image), biases);
      if (!options_.affine && !advance(step)) return false;
      if (!done_(std::min(1.0, finished_ / std::max(total_, 1.0)), step.name)) return false;
    }
    return true;
  }

  void matchMoments(const Step& step, const Step& source, const std::vector<Moments>& moments,
                    QConvOp* op) const {
    const int filters = step.shape.channels;
    const int channels = source.shape.channels / op->groups;
    for (int k = 0; k < filters; ++k) {
      const Moments& wanted = calibration_.filters[step.node][k];
      double unit = double{op->filter_scales[k]} * source.grid.scale;
      const double deviation = unit * moments[k].deviation();
      double gain = 1;
      if (deviation > 0 && wanted.deviation() > 0)
        gain = std::clamp(wanted.deviation() / deviation, kMinGain, kMaxGain);
      if (!step.accumulators) gain = std::min(gain, std::max(kMaxFactor * step.grid.scale / unit, kMinGain));
      op->filter_scales[k] = static_cast<float>(op->filter_scales[k] * gain);
      unit = double{op->filter_scales[k]} * source.grid.scale;
      const double offset = wanted.mean() / unit - moments[k].mean();
      setFilter(op, k, offset, padSum(*op, k, filters, channels),
                step.accumulators ? 0.0 : unit / step.grid.scale);
    }
  }

  void finishConv(int index, int image, std::span<const float> sums,
                  const std::vector<std::int64_t>& biases) {
    const Step& step = program_.steps[index];
    const Step& source = program_.steps[step.inputs[0]];
    const auto& op = std::get<QConvOp>(nodes_[index].op);
    const auto plane = static_cast<std::size_t>(step.shape.plane());
    const std::span<std::uint8_t> out = step.accumulators ? std::span<std::uint8_t>() : value(index, image);
    for (std::size_t k = 0; k < biases.size(); ++k) {
      const std::int64_t bias = biases[k];
      const double unit = double{op.filter_scales[k]} * source.grid.scale;
      const FixedPoint factor = step.accumulators ? FixedPoint{} : op.output.factors[k];
      const int low = op.output.low;
      const int high = op.output.high;
      for (std::size_t i = k * plane; i < (k + 1) * plane; ++i) {
        // Sums of integers are integers, in floats too.
        const auto accumulator = static_cast<std::int32_t>(std::clamp<std::int64_t>(
            static_cast<std::int64_t>(sums[i]) + bias, std::numeric_limits<std::int32_t>::min(),
            std::numeric_limits<std::int32_t>::max()));
        if (!step.accumulators) {
          out[i] = requantize(accumulator, factor, step.grid.zero_point, low, high);
        } else {
          logits_.push_back(static_cast<float>(unit * accumulator));
        }
      }
    }
  }

  void compare(int index, int image, std::span<const float> values, OutputError* error) const {
    const Step& step = program_.steps[index];
    const std::size_t base = values.size() * image;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double q = step.accumulators
                           ? logits_[base + i]
                           : double{step.grid.scale} * (kept_[index][base + i] - step.grid.zero_point);
      const double difference = values[i] - q;
      error->signal += double{values[i]} * values[i];
      error->noise += difference * difference;
    }
  }

  const Program& program_;
  const std::vector<LayerChoice>& choices_;  // by node
  const std::vector<std::vector<std::uint8_t>>& images_;
  const Preprocess& preprocess_;
  FloatValues float_values_;  // where layers are compensated
  const Calibration& calibration_;
  const CorrectionOptions& options_;
  const std::function<bool(double, std::string_view)>& done_;
  std::vector<QNode>& nodes_;
  std::vector<std::vector<std::uint8_t>> values_;  // by step, all images; empty once nothing reads them
  std::vector<std::vector<std::uint8_t>> kept_;    // by step, the measured images
  std::vector<float> logits_;                      // of all images, where the last step has accumulators
  double total_ = 0, finished_ = 0;
};

}  // namespace

int imagesWithinMemory(const Program& program, int images, bool compensated) {
  const std::vector<int> last = lastReaders(program);
  std::int64_t live = 0;
  std::int64_t peak = 1;
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    live += program.steps[i].shape.size();
    peak = std::max(peak, live);
    std::vector<int> read = program.steps[i].inputs;
    std::sort(read.begin(), read.end());
    read.erase(std::unique(read.begin(), read.end()), read.end());
    for (const int in : read) {
      if (last[in] == static_cast<int>(i)) live -= program.steps[in].shape.size();
    }
  }
  return static_cast<int>(std::clamp<std::int64_t>(kLiveBytes / (peak * (compensated ? 5 : 1)), 1, images));
}

Result<std::vector<OutputError>> correct(const Program& program, const std::vector<LayerChoice>& choices,
                                         const std::vector<std::vector<std::uint8_t>>& images,
                                         const Preprocess& preprocess, const Calibration& calibration,
                                         const CorrectionOptions& options,
                                         const std::function<bool(double, std::string_view)>& done,
                                         std::vector<QNode>* nodes) {
  Corrector corrector(program, choices, images, preprocess, calibration, options, done, nodes);
  std::vector<OutputError> errors;
  if (!corrector.run() || !corrector.measure(&errors)) {
    return makeError(ErrorCode::kAborted, "cancelled while correcting");
  }
  return errors;
}

Result<std::vector<std::vector<float>>> quantizedLogits(
    const Program& program, const std::vector<LayerChoice>& choices,
    const std::vector<std::vector<std::uint8_t>>& images, const Preprocess& preprocess,
    const std::function<bool(double, std::string_view)>& done, std::vector<QNode>* nodes) {
  const Calibration none;
  std::vector<std::vector<float>> logits;
  const int count = static_cast<int>(images.size());
  CorrectionOptions options;
  options.affine = false;
  while (static_cast<int>(logits.size()) < count) {
    const auto first = static_cast<std::ptrdiff_t>(logits.size());
    options.images = imagesWithinMemory(program, count - static_cast<int>(logits.size()), false);
    const std::vector<std::vector<std::uint8_t>> some(images.begin() + first,
                                                      images.begin() + first + options.images);
    const std::function<bool(double, std::string_view)> tell = [&](double share, std::string_view layer) {
      return done((static_cast<double>(first) + share * options.images) / count, layer);
    };
    Corrector corrector(program, choices, some, preprocess, none, options, tell, nodes);
    if (!corrector.run()) return makeError(ErrorCode::kAborted, "cancelled while measuring");
    for (int image = 0; image < options.images; ++image) logits.push_back(corrector.logits(image));
  }
  return logits;
}

}  // namespace trefoil
