// Operations that slide a window: convolutions and pools.
#include <algorithm>
#include <cmath>
#include <utility>

#include "onnx_export/exporter.h"

namespace trefoil {
namespace {

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

// Which numbers of pixels inside the image a window has at some position.
std::vector<bool> insideCounts(const Window& w, const Shape& in, const Shape& out) {
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

}  // namespace

// x - pad, with what the subtraction changes in the bias, so that the padding is zero, as ONNX has it.
Result<void> OnnxExporter::exportConv(const QNode& node, const QConvOp& conv, bool accumulators) {
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
    const double unit = accumulators ? scaleOf(source) : realOf(conv.output.factors[filter]) * scaleOf(node);
    scales.push_back(static_cast<float>(unit / scaleOf(source)));
    biases.push_back(static_cast<float>(unit * static_cast<double>(padded)));
  }

  const bool small = std::all_of(weights.begin(), weights.end(), [](int w) { return w >= -128 && w <= 127; });
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

Result<void> OnnxExporter::exportPool(const QNode& node, const QPoolOp& pool, bool accumulators) {
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

}  // namespace trefoil
