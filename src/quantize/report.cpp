#include "quantize/report.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "format/scale_table.h"
#include "quantize/json.h"

namespace trefoil {
namespace {

// What JSON can hold stands for "no noise at all".
constexpr double kCleanDb = 200;

double decibels(double signal, double noise) {
  if (std::isnan(signal)) return signal;  // not measured
  if (signal <= 0) return 0;
  if (noise <= 0) return kCleanDb;
  return std::clamp(10 * std::log10(signal / noise), -kCleanDb, kCleanDb);
}

std::size_t countZeros(const QConvOp& op) {
  const auto zeros = [](std::span<const std::int8_t> values) {
    return static_cast<std::size_t>(std::count(values.begin(), values.end(), std::int8_t{0}));
  };
  if (op.ternary.planes.empty()) return zeros(op.int8);
  std::size_t total = 0;
  for (const TernaryPlane& plane : op.ternary.planes) total += zeros(plane.codes);
  return total / op.ternary.planes.size();
}

void writeLayer(const LayerReport& layer, JsonWriter* json) {
  const auto bytes = [](std::size_t n) { return static_cast<std::int64_t>(n); };
  json->beginObject();
  json->key("name").value(layer.name);
  json->key("kind").value(layer.kind);
  json->key("shape").beginArray();
  json->value(layer.shape.channels).value(layer.shape.height).value(layer.shape.width).endArray();
  json->key("weights").value(layer.weights);
  json->key("macs").value(layer.macs);
  json->key("groupSize").value(layer.group_size);
  json->key("scaleLevels").value(layer.scale_levels);
  json->key("planes").value(layer.planes);
  json->key("inputBits").value(layer.input_bits);
  json->key("floatBytes").value(bytes(layer.float_bytes));
  json->key("fileBytes").value(bytes(layer.file_bytes));
  json->key("bitsPerWeight").value(layer.bits_per_weight);
  json->key("zeroShare").value(layer.zero_share);
  json->key("multiplicationsRemoved").value(layer.multiplications_removed);
  json->key("weightSqnrDb").value(layer.weight_sqnr_db);
  json->key("outputSqnrDb").value(layer.output_sqnr_db);
  if (layer.histogram.limit > 0) {
    json->key("histogram").beginObject();
    json->key("limit").value(layer.histogram.limit);
    json->key("float").beginArray();
    for (const std::int64_t count : layer.histogram.real) json->value(count);
    json->endArray().key("quantized").beginArray();
    for (const std::int64_t count : layer.histogram.quantized) json->value(count);
    json->endArray().endObject();
  }
  json->endObject();
}

void writeLossCheck(const LossCheck& check, JsonWriter* json) {
  json->beginObject();
  json->key("wished").value(check.wished).key("predicted").value(check.predicted);
  json->key("measured").value(check.measured);
  json->key("standardError").value(check.standard_error).key("agreement").value(check.agreement);
  json->key("images").value(check.images);
  json->key("tries").beginArray();
  for (const LossTry& tried : check.tries) {
    json->beginObject();
    json->key("predicted").value(tried.predicted).key("measured").value(tried.measured);
    json->endObject();
  }
  json->endArray().endObject();
}

}  // namespace

void WeightHistogram::add(double before, double after) {
  if (limit <= 0) return;
  const auto bin = [this](double value) {
    const double place = (value / limit + 1) / 2 * kBins;
    return static_cast<std::size_t>(std::clamp(place, 0.0, double{kBins - 1}));
  };
  ++real[bin(before)];
  ++quantized[bin(after)];
}

LayerReport reportLayer(const Program& program, const Step& step, const LayerChoice& choice,
                        const QConvOp& op, const WeightError& weights, const OutputError& output) {
  LayerReport layer;
  const auto filters = static_cast<std::size_t>(step.shape.channels);
  layer.name = step.name;
  layer.shape = step.shape;
  layer.macs = countMacs(program.graph, step.node);
  layer.input_bits = program.steps[step.inputs[0]].grid.bits;
  // Bias, factor (multiplier and shift) and real scale of each filter.
  layer.file_bytes = filters * (4 + 4 + 1 + 4);
  if (op.ternary.planes.empty()) {
    layer.kind = "int8";
    layer.weights = static_cast<std::int64_t>(op.int8.size());
    layer.file_bytes += op.int8.size();
    layer.bits_per_weight = 8;
  } else {
    layer.kind = "ternary";
    layer.group_size = op.ternary.group_size;
    layer.scale_levels = choice.scale_levels;
    layer.planes = choice.planes;
    std::size_t scale_bits = 0;
    std::size_t multiplications = 0;
    for (const TernaryPlane& plane : op.ternary.planes) {
      layer.weights = static_cast<std::int64_t>(plane.codes.size());
      layer.file_bytes += (plane.codes.size() + 4) / 5;
      for (const auto* scales : {&plane.scales, &plane.negative_scales}) {
        const ScaleTable table = packScales(*scales, filters);
        layer.file_bytes += table.bytes();
        scale_bits += scales->size() * static_cast<std::size_t>(table.bitsPerScale());
        // One for each scale, of its group's sum; with levels, sums of equal scale are added up first.
        multiplications += table.values.size();
      }
    }
    const double count = static_cast<double>(layer.weights);
    layer.bits_per_weight =
        2.0 * static_cast<double>(op.ternary.planes.size()) + static_cast<double>(scale_bits) / count;
    layer.multiplications_removed = 1 - static_cast<double>(multiplications) / count;
  }
  layer.float_bytes = (static_cast<std::size_t>(layer.weights) + filters) * sizeof(float);
  layer.zero_share = static_cast<double>(countZeros(op)) / static_cast<double>(layer.weights);
  layer.weight_sqnr_db = decibels(weights.signal, weights.noise);
  layer.output_sqnr_db = decibels(output.signal, output.noise);
  layer.histogram = weights.histogram;
  return layer;
}

void sumLayers(Report* report) {
  LayerReport& total = report->total;
  total = {};
  total.name = "total";
  double by_macs = 0;
  for (const LayerReport& layer : report->layers) {
    const auto weights = static_cast<double>(layer.weights);
    total.weights += layer.weights;
    total.macs += layer.macs;
    total.float_bytes += layer.float_bytes;
    total.file_bytes += layer.file_bytes;
    total.bits_per_weight += layer.bits_per_weight * weights;
    total.zero_share += layer.zero_share * weights;
    total.weight_sqnr_db += layer.weight_sqnr_db * weights;
    total.output_sqnr_db += layer.output_sqnr_db * weights;
    by_macs += layer.multiplications_removed * static_cast<double>(layer.macs);
    total.shape = layer.shape;
  }
  if (total.weights > 0) {
    const auto weights = static_cast<double>(total.weights);
    total.bits_per_weight /= weights;
    total.zero_share /= weights;
    total.weight_sqnr_db /= weights;
    total.output_sqnr_db /= weights;
  }
  if (total.macs > 0) total.multiplications_removed = by_macs / static_cast<double>(total.macs);
}

std::string reportJson(const Report& report) {
  JsonWriter json;
  json.beginObject();
  json.key("layers").beginArray();
  for (const LayerReport& layer : report.layers) writeLayer(layer, &json);
  json.endArray();
  json.key("total");
  writeLayer(report.total, &json);
  json.key("sourceBytes").value(static_cast<std::int64_t>(report.source_bytes));
  json.key("fileBytes").value(static_cast<std::int64_t>(report.file_bytes));
  json.key("calibrationImages").value(report.calibration_images);
  if (!report.frontier.empty()) {
    json.key("frontier").beginArray();
    for (const FrontierPoint& point : report.frontier) {
      json.beginObject();
      json.key("bytes").value(point.bytes).key("top1Loss").value(point.top1_loss);
      json.key("milliseconds").value(point.milliseconds);
      json.key("chosen").value(point.chosen);
      json.endObject();
    }
    json.endArray();
  }
  if (report.loss_check) {
    json.key("lossCheck");
    writeLossCheck(*report.loss_check, &json);
  }
  if (!report.warnings.empty()) {
    json.key("warnings").beginArray();
    for (const std::string& warning : report.warnings) json.value(warning);
    json.endArray();
  }
  return json.endObject().text();
}

}  // namespace trefoil
