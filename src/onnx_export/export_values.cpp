// Operations on single values, and those that move values.
#include <algorithm>
#include <cmath>
#include <utility>

#include "onnx_export/exporter.h"

namespace trefoil {

Result<void> OnnxExporter::exportAdd(const QNode& node, const QAddOp& op) {
  Names terms;
  for (std::size_t i = 0; i < 2; ++i) {
    const double ratio =
        std::ldexp(op.multipliers[i], -op.shift) * scaleOf(node) / scaleOf(inputNode(node, i));
    terms.push_back(scaled("x" + std::to_string(i), real(node, i), ratio));
  }
  quantize(node, add("Add", terms, name("y")), op.low, op.high);
  return {};
}

Result<void> OnnxExporter::exportMul(const QNode& node, const QMulOp& op) {
  std::string y = add("Mul", {real(node, 0), real(node, 1)}, name("y"));
  const double unit = scaleOf(inputNode(node, 0)) * scaleOf(inputNode(node, 1));
  y = scaled("y", std::move(y), realOf(op.output.factors[0]) * scaleOf(node) / unit);
  quantize(node, std::move(y), op.output.low, op.output.high);
  return {};
}

Result<void> OnnxExporter::exportRescale(const QNode& node, const QRescaleOp& op) {
  const double factor = realOf(op.output.factors[0]) * scaleOf(node) / scaleOf(inputNode(node));
  quantize(node, scaled("x0", real(node), factor), op.output.low, op.output.high);
  return {};
}

Result<void> OnnxExporter::exportConcat(const QNode& node) {
  Names parts;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) parts.push_back(realAs(node, i));
  quantize(node, add("Concat", parts, name("y"), {attribute("axis", 1)}));
  return {};
}

// Looked up among real values: exact.
Result<void> OnnxExporter::exportLookup(const QNode& node, const QLookupOp& lookup) {
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
Result<void> OnnxExporter::exportLrn(const QNode& node, const QLrnOp& lrn) {
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

Result<void> OnnxExporter::exportPad(const QNode& node, const QPadOp& pad) {
  const std::string pads = list(
      "pads", {0, pad.before[0], pad.before[1], pad.before[2], 0, pad.after[0], pad.after[1], pad.after[2]});
  const std::string value = scalar("value", scaleOf(node) * (pad.value - node.grid.zero_point));
  quantize(node, add("Pad", {realAs(node, 0), pads, value}, name("y")));
  return {};
}

Result<void> OnnxExporter::exportSlice(const QNode& node, const QSliceOp& slice) {
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

Result<void> OnnxExporter::exportReshape(const QNode& node) {
  quantize(node, add("Reshape", {realAs(node, 0), list("shape", dimsOf(node.shape))}, name("y")));
  return {};
}

}  // namespace trefoil
