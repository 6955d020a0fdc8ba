#include "onnx_export/export_onnx.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <utility>
#include <variant>

#include "onnx_export/exporter.h"

namespace trefoil {
namespace {

constexpr int kOpset = 21;  // 16-bit weights in DequantizeLinear

}  // namespace

double OnnxExporter::realOf(FixedPoint factor) { return std::ldexp(factor.multiplier, -factor.shift); }

Result<std::vector<std::byte>> OnnxExporter::run() {
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

Error OnnxExporter::fail(const std::string& message) const {
  return makeError(ErrorCode::kUnsupportedOp, "node " + std::to_string(index_) + " ('" +
                                                  model_.nodes[index_].name + "') " + message +
                                                  ", which the ONNX graph can't say");
}

std::string OnnxExporter::name(std::string_view part) const {
  std::string text = "L" + std::to_string(index_) + "/";
  const std::string& own = model_.nodes[index_].name;
  if (!own.empty()) text += own + "/";
  return text += part;
}

std::string OnnxExporter::add(std::string_view op, const Names& inputs, std::string output,
                              const std::vector<OnnxAttribute>& attributes) {
  out_.addNode(op, inputs, output, attributes);
  return output;
}

std::string OnnxExporter::scalar(std::string_view part, double value) {
  const float values[] = {static_cast<float>(value)};
  return constant(part, {}, std::span<const float>(values));
}

std::string OnnxExporter::list(std::string_view part, const std::vector<std::int64_t>& values) {
  return constant(part, {static_cast<std::int64_t>(values.size())}, std::span<const std::int64_t>(values));
}

std::string OnnxExporter::levels(const QNode& node, std::size_t i) const {
  return levels_[static_cast<std::size_t>(node.inputs[i])];
}

std::string OnnxExporter::real(const QNode& node, std::size_t i) {
  const QNode& source = inputNode(node, i);
  return dequantize("x" + std::to_string(i), levels(node, i), source.grid);
}

std::string OnnxExporter::realAs(const QNode& node, std::size_t i) {
  return dequantize("x" + std::to_string(i), levels(node, i), node.grid);
}

std::string OnnxExporter::dequantize(const std::string& part, const std::string& from, const Grid& grid) {
  const std::uint8_t zero[] = {static_cast<std::uint8_t>(grid.zero_point)};
  return add("DequantizeLinear",
             {from, scalar(part + "_scale", grid.scale),
              constant(part + "_zero", {}, std::span<const std::uint8_t>(zero))},
             name(part));
}

std::string OnnxExporter::integersOf(const QNode& node) {
  constexpr std::int64_t kInt32 = 6;
  return add("Cast", {levels(node)}, name("index"), {attribute("to", kInt32)});
}

std::string OnnxExporter::scaled(const std::string& part, std::string x, double factor) {
  if (std::fabs(factor - 1) < kSameFactor) return x;
  return add("Mul", {std::move(x), scalar(part + "_factor", factor)}, name(part + "_scaled"));
}

void OnnxExporter::quantize(const QNode& node, std::string x, int low, int high) {
  const Grid& grid = node.grid;
  if (low > 0 || high < 255) {
    const auto bound = [&](int level) { return double{grid.scale} * (level - grid.zero_point); };
    x = add("Clip", {std::move(x), scalar("low", bound(low)), scalar("high", bound(high))}, name("clipped"));
  }
  const std::uint8_t zero[] = {static_cast<std::uint8_t>(grid.zero_point)};
  levels_.push_back(add(
      "QuantizeLinear",
      {std::move(x), scalar("scale", grid.scale), constant("zero", {}, std::span<const std::uint8_t>(zero))},
      name("q")));
  if (index_ + 1 == model_.nodes.size()) finishLevels(node);
}

void OnnxExporter::finishLogits(const QNode& node, std::string x, double unit) {
  std::vector<float> factors(model_.logit_scales.size());
  std::transform(model_.logit_scales.begin(), model_.logit_scales.end(), factors.begin(),
                 [&](float scale) { return static_cast<float>(double{scale} / unit); });
  const Dims shape = dimsOf(node.shape);
  if (std::any_of(factors.begin(), factors.end(), [](float f) { return f != 1; })) {
    x = add("Mul", {std::move(x), constant("logit_factors", shape, std::span<const float>(factors))},
            name("logits"));
  }
  if (std::any_of(model_.logit_offsets.begin(), model_.logit_offsets.end(), [](float o) { return o != 0; })) {
    const std::span<const float> offsets(model_.logit_offsets);
    x = add("Add", {std::move(x), constant("logit_offsets", shape, offsets)}, name("shifted"));
  }
  result_ = std::move(x);
}

void OnnxExporter::finishLevels(const QNode& node) {
  finishLogits(node, dequantize("result", levels_.back(), node.grid), scaleOf(node));
}

Result<void> OnnxExporter::exportNode(const QNode& node, bool accumulators) {
  struct Visitor {
    OnnxExporter& self;
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
Result<void> OnnxExporter::exportInput(const QNode& node) {
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

Result<std::vector<std::byte>> exportOnnx(const QuantModel& model) {
  try {
    return OnnxExporter(model).run();
  } catch (const std::bad_alloc&) {
    return makeError(ErrorCode::kOutOfMemory, "no memory for the ONNX file; dispose of other models first");
  }
}

}  // namespace trefoil
