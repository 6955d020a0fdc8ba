#include "onnx_export/export_onnx.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>
#include <string>
#include <utility>

#include "onnx_export/onnx_writer.h"

namespace trefoil {
namespace {

using Dims = std::vector<std::int64_t>;
using Names = std::vector<std::string>;

constexpr int kOpset = 21;  // 16-bit weights in DequantizeLinear

// What fixed-point factors lose against real ones, and no more.
constexpr double kSameFactor = 1e-5;

double realOf(FixedPoint factor) { return std::ldexp(factor.multiplier, -factor.shift); }

Dims dimsOf(const Shape& shape) { return {1, shape.channels, shape.height, shape.width}; }

// Pads before and after an axis such that rounding down gives `out` positions.
std::int64_t padAfter(int in, int out, int kernel, int stride, int dilation, int before) {
  const std::int64_t reach = std::int64_t{out - 1} * stride + std::int64_t{kernel - 1} * dilation + 1;
  return std::max<std::int64_t>(0, reach - in - before);
}

std::vector<OnnxAttribute> windowAttributes(const Window& w, const Shape& in, const Shape& out) {
  std::vector<OnnxAttribute> attributes{
      attributeList("kernel_shape", {w.kernel_h, w.kernel_w}),
      attributeList("strides", {w.stride_h, w.stride_w}),
      attributeList("pads",
                    {w.pad_top, w.pad_left,
                     padAfter(in.height, out.height, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top),
                     padAfter(in.width, out.width, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left)})};
  // Left out where it says nothing: what engines make of averages between quantized tensors can't read it.
  if (w.dilation_h != 1 || w.dilation_w != 1) {
    attributes.push_back(attributeList("dilations", {w.dilation_h, w.dilation_w}));
  }
  return attributes;
}

// Integer weights in ONNX's order, [K][C / groups][R][S].
std::vector<std::int16_t> integerWeights(const QConvOp& conv, int filters, int channels) {
  const int taps = conv.window.kernel_h * conv.window.kernel_w;
  const int group_size = conv.ternary.group_size;
  const std::size_t per_filter = static_cast<std::size_t>(channels) * static_cast<std::size_t>(taps);
  const auto scales = static_cast<std::size_t>(scalesPerFilter(channels, taps, group_size));
  std::vector<std::int16_t> weights(static_cast<std::size_t>(filters) * per_filter);
  for (std::size_t k = 0; k < static_cast<std::size_t>(filters); ++k) {
    std::size_t from = k * per_filter;
    for (int tap = 0; tap < taps; ++tap) {
      for (int c = 0; c < channels; ++c, ++from) {
        int weight = conv.int8.empty() ? 0 : conv.int8[from];
        const std::size_t scale =
            k * scales + static_cast<std::size_t>(scaleIndex(c, tap, channels, group_size));
        for (const TernaryPlane& plane : conv.ternary.planes) {
          const int code = plane.codes[from];
          const auto& own = code < 0 && !plane.negative_scales.empty() ? plane.negative_scales : plane.scales;
          if (code != 0) weight += code * own[scale];
        }
        weights[k * per_filter + static_cast<std::size_t>(c) * static_cast<std::size_t>(taps) +
                static_cast<std::size_t>(tap)] = static_cast<std::int16_t>(weight);
      }
    }
  }
  return weights;
}

class Exporter {
 public:
  explicit Exporter(const QuantModel& model) : model_(model) {}

  Result<std::vector<std::byte>> run() {
    const QNode& input = model_.nodes.front();
    out_.addInput("image", dimsOf(input.shape));
    for (std::size_t i = 0; i < model_.nodes.size(); ++i) {
      index_ = i;
      const QNode& node = model_.nodes[i];
      const bool accumulators = model_.output_accumulators && i + 1 == model_.nodes.size();
      if (!accumulators && !(node.grid.scale > 0)) return fail("has a grid whose scale is not positive");
      if (auto result = exportNode(node, accumulators); !result) return result.error();
    }
    const auto classes = static_cast<std::int64_t>(model_.logit_scales.size());
    const Dims shape{1, classes};
    add("Reshape", {result_, constant("logits_shape", {2}, std::span<const std::int64_t>(shape))}, "logits");
    out_.addOutput("logits", shape);
    return out_.finish(model_.metadata.name.empty() ? "trefoil" : model_.metadata.name, kOpset);
  }

 private:
  Error fail(const std::string& message) const {
    return makeError(ErrorCode::kUnsupportedOp, "node " + std::to_string(index_) + " ('" +
                                                    model_.nodes[index_].name + "') " + message +
                                                    ", which the ONNX graph can't say");
  }

  // Names start with the node's place, since those in the model need not differ.
  std::string name(std::string_view part) const {
    std::string text = "L" + std::to_string(index_) + "/";
    const std::string& own = model_.nodes[index_].name;
    if (!own.empty()) text += own + "/";
    return text += part;
  }

  std::string add(std::string_view op, const Names& inputs, std::string output,
                  const std::vector<OnnxAttribute>& attributes = {}) {
    out_.addNode(op, inputs, output, attributes);
    return output;
  }

  template <typename T>
  std::string constant(std::string_view part, const Dims& shape, std::span<const T> values) {
    std::string label = name(part);
    out_.addConstant(label, shape, values);
    return label;
  }
  std::string scalar(std::string_view part, double value) {
    const float values[] = {static_cast<float>(value)};
    return constant(part, {}, std::span<const float>(values));
  }
  std::string list(std::string_view part, const std::vector<std::int64_t>& values) {
    return constant(part, {static_cast<std::int64_t>(values.size())}, std::span<const std::int64_t>(values));
  }
  // One value a channel, to be broadcast.
  template <typename T>
  std::string perChannel(std::string_view part, const std::vector<T>& values) {
    return constant(part, {1, static_cast<std::int64_t>(values.size()), 1, 1}, std::span<const T>(values));
  }

  const QNode& inputNode(const QNode& node, std::size_t i = 0) const {
    return model_.nodes[static_cast<std::size_t>(node.inputs[i])];
  }
  double scaleOf(const QNode& node) const { return double{node.grid.scale}; }

  // The u8 levels of an input, and their real values.
  std::string levels(const QNode& node, std::size_t i = 0) const {
    return levels_[static_cast<std::size_t>(node.inputs[i])];
  }
  std::string real(const QNode& node, std::size_t i = 0) {
    const QNode& source = inputNode(node, i);
    return dequantize("x" + std::to_string(i), levels(node, i), source.grid);
  }
  std::string dequantize(const std::string& part, const std::string& from, const Grid& grid) {
    const std::uint8_t zero[] = {static_cast<std::uint8_t>(grid.zero_point)};
    return add("DequantizeLinear",
               {from, scalar(part + "_scale", grid.scale),
                constant(part + "_zero", {}, std::span<const std::uint8_t>(zero))},
               name(part));
  }

  // x times a factor that should be 1 but for what fixed-point numbers round.
  std::string scaled(const std::string& part, std::string x, double factor) {
    if (std::fabs(factor - 1) < kSameFactor) return x;
    return add("Mul", {std::move(x), scalar(part + "_factor", factor)}, name(part + "_scaled"));
  }

  // Real values on the node's grid, clamped to levels low..high.
  void quantize(const QNode& node, std::string x, int low, int high) {
    const Grid& grid = node.grid;
    if (low > 0 || high < 255) {
      const auto bound = [&](int level) { return double{grid.scale} * (level - grid.zero_point); };
      x = add("Clip", {std::move(x), scalar("low", bound(low)), scalar("high", bound(high))},
              name("clipped"));
    }
    const std::uint8_t zero[] = {static_cast<std::uint8_t>(grid.zero_point)};
    levels_.push_back(add("QuantizeLinear",
                          {std::move(x), scalar("scale", grid.scale),
                           constant("zero", {}, std::span<const std::uint8_t>(zero))},
                          name("q")));
    if (index_ + 1 == model_.nodes.size()) finishLevels(node);
  }
  void quantize(const QNode& node, std::string x) { quantize(node, std::move(x), 0, node.grid.max()); }

  // logits = scale * L + offset, of real values that are `unit` * L.
  void finishLogits(const QNode& node, std::string x, double unit) {
    std::vector<float> factors(model_.logit_scales.size());
    std::transform(model_.logit_scales.begin(), model_.logit_scales.end(), factors.begin(),
                   [&](float scale) { return static_cast<float>(double{scale} / unit); });
    const Dims shape = dimsOf(node.shape);
    if (std::any_of(factors.begin(), factors.end(), [](float f) { return f != 1; })) {
      x = add("Mul", {std::move(x), constant("logit_factors", shape, std::span<const float>(factors))},
              name("logits"));
    }
    if (std::any_of(model_.logit_offsets.begin(), model_.logit_offsets.end(),
                    [](float o) { return o != 0; })) {
      const std::span<const float> offsets(model_.logit_offsets);
      x = add("Add", {std::move(x), constant("logit_offsets", shape, offsets)}, name("shifted"));
    }
    result_ = std::move(x);
  }
  void finishLevels(const QNode& node) {
    finishLogits(node, dequantize("result", levels_.back(), node.grid), scaleOf(node));
  }

  Result<void> exportNode(const QNode& node, bool accumulators) {
    struct Visitor {
      Exporter& self;
      const QNode& node;
      bool accumulators;
      Result<void> operator()(const QInputOp&) const { return self.exportInput(node); }
      Result<void> operator()(const QConvOp& conv) const { return self.exportConv(node, conv, accumulators); }
      Result<void> operator()(const QAddOp& add) const { return self.exportAdd(node, add); }
      Result<void> operator()(const QMulOp& mul) const { return self.exportMul(node, mul); }
      Result<void> operator()(const QRescaleOp& rescale) const { return self.exportRescale(node, rescale); }
      Result<void> operator()(const QConcatOp&) const { return self.exportConcat(node); }
      Result<void> operator()(const QPoolOp& pool) const { return self.exportPool(node, pool, accumulators); }
      Result<void> operator()(const QLookupOp& lookup) const { return self.exportLookup(node, lookup); }
      Result<void> operator()(const QLrnOp& lrn) const { return self.exportLrn(node, lrn); }
      Result<void> operator()(const QPadOp& pad) const { return self.exportPad(node, pad); }
      Result<void> operator()(const QSliceOp& slice) const { return self.exportSlice(node, slice); }
      Result<void> operator()(const QReshapeOp&) const { return self.exportReshape(node); }
    };
    return std::visit(Visitor{*this, node, accumulators}, node.op);
  }

  // Back to the pixels, p / 255.
  Result<void> exportInput(const QNode& node) {
    const auto channels = static_cast<std::size_t>(node.shape.channels);
    const Metadata& metadata = model_.metadata;
    const std::vector<float> mean(metadata.mean, metadata.mean + channels);
    const std::vector<float> std(metadata.std, metadata.std + channels);
    const std::string spread = add("Mul", {"image", perChannel("std", std)}, name("spread"));
    const std::string unit = add("Add", {spread, perChannel("mean", mean)}, name("unit"));
    const double factor = scaleOf(node) * 255;
    if (std::fabs(factor - 1) < kSameFactor) {
      quantize(node, unit);
    } else {
      quantize(node, scaled("pixels", unit, factor));
    }
    return {};
  }

  // x - pad, with what the subtraction changes in the bias, so that the padding is zero, as ONNX has it.
  Result<void> exportConv(const QNode& node, const QConvOp& conv, bool accumulators) {
    const QNode& source = inputNode(node);
    const int filters = node.shape.channels;
    const int channels = source.shape.channels / conv.groups;
    const std::vector<std::int16_t> weights = integerWeights(conv, filters, channels);
    const std::size_t per_filter = weights.size() / static_cast<std::size_t>(filters);
    const auto taps = per_filter / static_cast<std::size_t>(channels);

    std::vector<float> scales;
    std::vector<float> biases;
    for (int k = 0; k < filters; ++k) {
      const auto filter = static_cast<std::size_t>(k);
      const int first = k / (filters / conv.groups) * channels;
      std::int64_t padded = conv.bias[filter];
      for (std::size_t i = 0; i < per_filter; ++i) {
        const std::size_t channel = static_cast<std::size_t>(first) + i / taps;
        padded += std::int64_t{weights[filter * per_filter + i]} * conv.pad_values[channel];
      }
      // The real value of one unit of the accumulator.
      const double unit =
          accumulators ? scaleOf(source) : realOf(conv.output.factors[filter]) * scaleOf(node);
      scales.push_back(static_cast<float>(unit / scaleOf(source)));
      biases.push_back(static_cast<float>(unit * static_cast<double>(padded)));
    }

    const bool small =
        std::all_of(weights.begin(), weights.end(), [](int w) { return w >= -128 && w <= 127; });
    const Dims shape{filters, channels, conv.window.kernel_h, conv.window.kernel_w};
    std::string integers;
    if (small) {
      const std::vector<std::int8_t> bytes(weights.begin(), weights.end());
      integers = constant("w_q", shape, std::span<const std::int8_t>(bytes));
    } else {
      integers = constant("w_q", shape, std::span<const std::int16_t>(weights));
    }
    const std::string weight =
        add("DequantizeLinear", {integers, constant("w_scale", {filters}, std::span<const float>(scales))},
            name("w"), {attribute("axis", 0)});
    std::vector<OnnxAttribute> attributes = windowAttributes(conv.window, source.shape, node.shape);
    attributes.push_back(attribute("group", conv.groups));
    std::string x = real(node);
    if (std::any_of(conv.pad_values.begin(), conv.pad_values.end(),
                    [&](int pad) { return pad != source.grid.zero_point; })) {
      std::vector<float> pads;
      for (const int pad : conv.pad_values) {
        pads.push_back(source.grid.scale * static_cast<float>(pad - source.grid.zero_point));
      }
      x = add("Sub", {x, perChannel("pad", pads)}, name("centred"));
    }
    std::string y = add("Conv", {x, weight, constant("bias", {filters}, std::span<const float>(biases))},
                        name("y"), attributes);
    if (accumulators) {
      finishLogits(node, std::move(y), scaleOf(source));
    } else {
      quantize(node, std::move(y), conv.output.low, conv.output.high);
    }
    return {};
  }

  Result<void> exportAdd(const QNode& node, const QAddOp& op) {
    Names terms;
    for (std::size_t i = 0; i < 2; ++i) {
      const double ratio =
          std::ldexp(op.multipliers[i], -op.shift) * scaleOf(node) / scaleOf(inputNode(node, i));
      terms.push_back(scaled("x" + std::to_string(i), real(node, i), ratio));
    }
    quantize(node, add("Add", terms, name("y")), op.low, op.high);
    return {};
  }

  Result<void> exportMul(const QNode& node, const QMulOp& op) {
    std::string y = add("Mul", {real(node, 0), real(node, 1)}, name("y"));
    const double unit = scaleOf(inputNode(node, 0)) * scaleOf(inputNode(node, 1));
    y = scaled("y", std::move(y), realOf(op.output.factors[0]) * scaleOf(node) / unit);
    quantize(node, std::move(y), op.output.low, op.output.high);
    return {};
  }

  Result<void> exportRescale(const QNode& node, const QRescaleOp& op) {
    const double factor = realOf(op.output.factors[0]) * scaleOf(node) / scaleOf(inputNode(node));
    quantize(node, scaled("x0", real(node), factor), op.output.low, op.output.high);
    return {};
  }

  // What passes levels on has the input's grid by its bits and zero point; its scale is for people only.
  std::string realAs(const QNode& node, std::size_t i) {
    return dequantize("x" + std::to_string(i), levels(node, i), node.grid);
  }

  Result<void> exportConcat(const QNode& node) {
    Names parts;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) parts.push_back(realAs(node, i));
    quantize(node, add("Concat", parts, name("y"), {attribute("axis", 1)}));
    return {};
  }

  Result<void> exportPool(const QNode& node, const QPoolOp& pool, bool accumulators) {
    const QNode& source = inputNode(node);
    std::vector<OnnxAttribute> attributes = windowAttributes(pool.window, source.shape, node.shape);
    if (!pool.average) {
      quantize(node, add("MaxPool", {realAs(node, 0)}, name("y"), attributes));
      return {};
    }
    const std::int64_t area = std::int64_t{pool.window.kernel_h} * pool.window.kernel_w;
    const std::vector<FixedPoint>& factors = pool.output.factors;
    // The real factor of one pixel of the average: of all the window, or of its part inside the image.
    double factor = 1;
    const bool whole = accumulators || factors.size() == 1;
    if (!accumulators) {
      const auto count = static_cast<double>(whole ? area : static_cast<std::int64_t>(factors.size()));
      const double unit = scaleOf(node) / scaleOf(source);
      factor = realOf(factors.back()) * count * unit;
      const std::vector<bool> occurs = insideCounts(pool.window, source.shape, node.shape);
      for (std::size_t n = 1; !whole && n <= factors.size(); ++n) {
        const double own = realOf(factors[n - 1]) * static_cast<double>(n) * unit;
        if (occurs[n] && std::fabs(own - factor) > kSameFactor * factor) {
          return fail("averages with factors that are no averages");
        }
      }
    }
    attributes.push_back(attribute("count_include_pad", whole ? 1 : 0));
    std::string y = add("AveragePool", {real(node)}, name("y"), attributes);
    if (accumulators) {
      finishLogits(node, std::move(y), scaleOf(source) / static_cast<double>(area));
    } else {
      quantize(node, scaled("y", std::move(y), factor), pool.output.low, pool.output.high);
    }
    return {};
  }

  // Which numbers of pixels inside the image a window has at some position.
  static std::vector<bool> insideCounts(const Window& w, const Shape& in, const Shape& out) {
    const auto axis = [](int size, int positions, int kernel, int stride, int dilation, int pad) {
      std::vector<bool> seen(static_cast<std::size_t>(kernel) + 1);
      for (int o = 0; o < positions; ++o) {
        int inside = 0;
        for (int tap = 0; tap < kernel; ++tap) {
          const std::int64_t at = std::int64_t{o} * stride - pad + std::int64_t{tap} * dilation;
          inside += at >= 0 && at < size ? 1 : 0;
        }
        seen[static_cast<std::size_t>(inside)] = true;
      }
      return seen;
    };
    const auto rows = axis(in.height, out.height, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top);
    const auto columns = axis(in.width, out.width, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left);
    std::vector<bool> counts(rows.size() * columns.size());
    for (std::size_t r = 0; r < rows.size(); ++r) {
      for (std::size_t c = 0; c < columns.size(); ++c) {
        if (rows[r] && columns[c]) counts[r * c] = true;
      }
    }
    return counts;
  }

  std::string integersOf(const QNode& node) {
    constexpr std::int64_t kInt32 = 6;
    return add("Cast", {levels(node)}, name("index"), {attribute("to", kInt32)});
  }

  // Looked up among real values: exact.
  Result<void> exportLookup(const QNode& node, const QLookupOp& lookup) {
    std::vector<float> values;
    for (const int level : lookup.table) {
      values.push_back(node.grid.scale * static_cast<float>(level - node.grid.zero_point));
    }
    std::string index = integersOf(node);
    if (lookup.table.size() > 256) {
      std::vector<std::int32_t> starts;
      for (int c = 0; c < node.shape.channels; ++c) starts.push_back(256 * c);
      index = add("Add", {index, perChannel("starts", starts)}, name("own_index"));
    }
    const auto entries = static_cast<std::int64_t>(values.size());
    quantize(node,
             add("Gather", {constant("table", {entries}, std::span<const float>(values)), index}, name("y")));
    return {};
  }

  // The sum of squares by a convolution with ones, exact in float; the factor from the model's own table.
  Result<void> exportLrn(const QNode& node, const QLrnOp& lrn) {
    const QNode& source = inputNode(node);
    const int channels = node.shape.channels;
    if (std::int64_t{lrn.size} * 255 * 255 >= 1 << 24) return fail("adds up too many squares");
    const Grid units{source.grid.bits, source.grid.zero_point, 1};
    const std::string difference = dequantize("units", levels(node), units);
    const std::string squares = add("Mul", {difference, difference}, name("squares"));
    std::vector<float> band(static_cast<std::size_t>(channels) * static_cast<std::size_t>(channels));
    for (int c = 0; c < channels; ++c) {
      const int first = c - (lrn.size - 1) / 2;
      for (int other = std::max(0, first); other < std::min(channels, first + lrn.size); ++other) {
        band[static_cast<std::size_t>(c) * static_cast<std::size_t>(channels) +
             static_cast<std::size_t>(other)] = 1;
      }
    }
    const std::string sums =
        add("Conv", {squares, constant("band", {channels, channels, 1, 1}, std::span<const float>(band))},
            name("sums"));
    const std::string steps =
        add("Floor", {add("Mul", {sums, scalar("step", std::ldexp(1.0, -lrn.table_shift))}, name("steps"))},
            name("step_index"));
    const std::string capped =
        add("Min", {steps, scalar("last", static_cast<double>(lrn.table.size() - 1))}, name("capped"));
    constexpr std::int64_t kInt32 = 6;
    const std::string index = add("Cast", {capped}, name("index"), {attribute("to", kInt32)});
    std::vector<float> factors;
    for (const std::int32_t entry : lrn.table) {
      factors.push_back(static_cast<float>(std::ldexp(entry, -lrn.shift) * scaleOf(node) / scaleOf(source)));
    }
    const auto entries = static_cast<std::int64_t>(factors.size());
    const std::string factor =
        add("Gather", {constant("table", {entries}, std::span<const float>(factors)), index}, name("factor"));
    quantize(node, add("Mul", {real(node), factor}, name("y")));
    return {};
  }

  Result<void> exportPad(const QNode& node, const QPadOp& pad) {
    const std::string pads = list("pads", {0, pad.before[0], pad.before[1], pad.before[2], 0, pad.after[0],
                                           pad.after[1], pad.after[2]});
    const std::string value = scalar("value", scaleOf(node) * (pad.value - node.grid.zero_point));
    quantize(node, add("Pad", {realAs(node, 0), pads, value}, name("y")));
    return {};
  }

  Result<void> exportSlice(const QNode& node, const QSliceOp& slice) {
    const int sizes[] = {node.shape.channels, node.shape.height, node.shape.width};
    std::vector<std::int64_t> starts;
    std::vector<std::int64_t> ends;
    std::vector<std::int64_t> steps;
    for (int axis = 0; axis < 3; ++axis) {
      starts.push_back(slice.start[axis]);
      steps.push_back(slice.step[axis]);
      ends.push_back(slice.start[axis] + std::int64_t{sizes[axis] - 1} * slice.step[axis] + 1);
    }
    quantize(node, add("Slice",
                       {realAs(node, 0), list("starts", starts), list("ends", ends), list("axes", {1, 2, 3}),
                        list("steps", steps)},
                       name("y")));
    return {};
  }

  Result<void> exportReshape(const QNode& node) {
    quantize(node, add("Reshape", {realAs(node, 0), list("shape", dimsOf(node.shape))}, name("y")));
    return {};
  }

  const QuantModel& model_;
  OnnxWriter out_;
  std::size_t index_ = 0;
  Names levels_;  // by node
  std::string result_;
};

}  // namespace

Result<std::vector<std::byte>> exportOnnx(const QuantModel& model) {
  try {
    return Exporter(model).run();
  } catch (const std::bad_alloc&) {
    return makeError(ErrorCode::kOutOfMemory, "no memory for the ONNX file; dispose of other models first");
  }
}

}  // namespace trefoil
