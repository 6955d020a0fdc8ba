// What quantize() owes its caller: a true report, the same bytes twice, progress, and errors instead of harm.
#include "quantize/quantize.h"

#include <doctest/doctest.h>

#include <numeric>
#include <string>
#include <vector>

#include "format/format.h"
#include "quantize_runs.h"

namespace {

using namespace trefoil;           // NOLINT
using namespace trefoil::testing;  // NOLINT

}  // namespace

TEST_SUITE("quantize") {
  TEST_CASE("the report counts what the formulas say") {
    QuantizeInput input = quantizeInput(buildCase(netCase("relu")), 10);
    input.source_bytes = 12345;
    const Quantized quantized = quantizeOrFail(std::move(input));
    const Report& report = quantized.report;
    REQUIRE(report.layers.size() == 3);
    CHECK(report.calibration_images == 10);
    CHECK(report.source_bytes == 12345);
    CHECK(report.file_bytes == writeModel(quantized.model)->size());
    const LayerReport& layer = report.layers[1];  // 8 -> 12 channels, 3x3, stride 2
    CHECK(layer.kind == "ternary");
    CHECK(layer.shape == Shape{12, 6, 6});
    CHECK(layer.weights == 12 * 8 * 9);
    CHECK(layer.macs == 12 * 8 * 9 * 36);
    CHECK(layer.group_size == 4);
    CHECK(layer.bits_per_weight == doctest::Approx(4));
    CHECK(layer.multiplications_removed == doctest::Approx(.75));
    CHECK(layer.zero_share == doctest::Approx(.37).epsilon(.2));
    CHECK(layer.float_bytes == (12 * 8 * 9 + 12) * 4);
    CHECK(layer.file_bytes == (12 * 8 * 9 + 4) / 5 + 12 * 8 * 9 / 4 + 12 * 13);
    CHECK(layer.weight_sqnr_db == doctest::Approx(10).epsilon(.15));
    CHECK(layer.output_sqnr_db > 5);
    const auto total = [](const auto& bins) {
      return std::accumulate(bins.begin(), bins.end(), std::int64_t{0});
    };
    CHECK(layer.histogram.limit > 0);
    CHECK(total(layer.histogram.real) == layer.weights);
    CHECK(total(layer.histogram.quantized) == layer.weights);
    // The zeros of the codes, and the few scales that are as small as half a bin.
    constexpr auto kMiddle = static_cast<std::size_t>(WeightHistogram::kBins / 2);
    const auto zeros = static_cast<std::int64_t>(layer.zero_share * static_cast<double>(layer.weights));
    CHECK(layer.histogram.quantized[kMiddle] >= zeros);
    CHECK(layer.histogram.quantized[kMiddle] < zeros + layer.weights / 20);
    CHECK(layer.histogram.real[kMiddle] < zeros);
    CHECK(layer.histogram.real.front() + layer.histogram.real.back() > 0);
    CHECK(report.total.histogram.limit == 0);
    CHECK(report.layers[0].kind == "int8");
    CHECK(report.layers[0].bits_per_weight == 8);
    CHECK(report.layers[0].multiplications_removed == 0);
    CHECK(report.layers[0].weight_sqnr_db > 35);
    CHECK(report.layers[0].output_sqnr_db > 30);
    CHECK(report.total.weights == 8 * 27 + 12 * 72 + 60);
    CHECK(report.total.macs == 8 * 27 * 144 + 12 * 72 * 36 + 60);
    CHECK(report.total.multiplications_removed ==
          doctest::Approx(.75 * static_cast<double>(layer.macs) / static_cast<double>(report.total.macs)));
    const std::string json = reportJson(report);
    CHECK(json.starts_with(
        R"({"layers":[{"name":"node1","kind":"int8","shape":[8,12,12],"weights":216,"macs":31104,)"
        R"("groupSize":0,"scaleLevels":0,"planes":0,"inputBits":8,"floatBytes":896,)"));
    CHECK(json.ends_with(R"("sourceBytes":12345,"fileBytes":)" + std::to_string(report.file_bytes) +
                         R"(,"calibrationImages":10})"));
  }

  TEST_CASE("error compensation: the same bytes twice, progress that rises, an end at every call") {
    int calls = 0;
    std::vector<double> fractions;
    const auto run = [&](int stop) {
      QuantizeInput input = quantizeInput(buildCase(netCase("groups")), 4);
      input.recipe.method = Method::kCompensated;
      calls = 0;
      fractions.clear();
      return quantize(std::move(input), [&](std::string_view, double fraction, std::string_view) {
        fractions.push_back(fraction);
        return ++calls != stop;
      });
    };
    const auto first = run(-1);
    REQUIRE(first.ok());
    CHECK(std::is_sorted(fractions.begin(), fractions.end()));
    CHECK(fractions.back() <= 1);
    const int all = calls;
    const auto second = run(-1);
    REQUIRE(second.ok());
    CHECK(first->model == second->model);
    for (int stop = 1; stop <= all; stop += 7) {
      const auto stopped = run(stop);
      REQUIRE(!stopped.ok());
      CHECK(stopped.error().code == ErrorCode::kAborted);
      CHECK(calls == stop);
    }
  }

  TEST_CASE("the same input gives the same bytes") {
    const auto bytes = [] {
      QuantizeInput input = quantizeInput(buildCase(netCase("squeeze and excite")));
      input.labels = {"a", "b", "c", "d", "e"};
      input.source_hash = "abc";
      const auto written = writeModel(quantizeOrFail(std::move(input)).model);
      REQUIRE(written.ok());
      return *written;
    };
    const auto first = bytes();
    CHECK(first.size() > 100);
    CHECK(first == bytes());
  }

  TEST_CASE("progress rises, names its phases, and cancels at every call") {
    double latest = 0;
    int calls = 0;
    std::vector<std::string> phases;
    const auto whole = quantize(quantizeInput(buildCase(netCase("relu")), 4),
                                [&](std::string_view phase, double fraction, std::string_view) {
                                  CHECK(fraction >= latest);
                                  CHECK(fraction <= 1);
                                  latest = fraction;
                                  ++calls;
                                  if (phases.empty() || phases.back() != phase) phases.emplace_back(phase);
                                  return true;
                                });
    REQUIRE(whole.ok());
    CHECK(latest == doctest::Approx(1));
    CHECK(phases == std::vector<std::string>{"calibrate", "quantize", "correct"});
    for (int stop = 1; stop <= calls; ++stop) {
      int seen = 0;
      const auto result = quantize(quantizeInput(buildCase(netCase("relu")), 4),
                                   [&](std::string_view, double, std::string_view) { return ++seen < stop; });
      REQUIRE(!result.ok());
      CHECK(result.error().code == ErrorCode::kAborted);
      CHECK(seen == stop);
    }
  }

  TEST_CASE("input that makes no sense is refused") {
    const auto refused = [](ErrorCode code, std::string_view text, auto change) {
      QuantizeInput input = quantizeInput(buildCase(netCase("relu")), 2);
      change(&input);
      const Error error = errorOf(std::move(input));
      CAPTURE(error.message);
      CHECK(error.code == code);
      CHECK(mentions(error, text));
    };
    refused(ErrorCode::kBadImage, "calibration images", [](QuantizeInput* in) { in->images.clear(); });
    refused(ErrorCode::kBadImage, "3 x 12 x 12", [](QuantizeInput* in) { in->images[1].pop_back(); });
    refused(ErrorCode::kBadOption, "4 to 8", [](QuantizeInput* in) { in->recipe.activation_bits = 2; });
    refused(ErrorCode::kBadOption, "5 classes", [](QuantizeInput* in) { in->labels = {"a", "b"}; });
    refused(ErrorCode::kBadOption, "std", [](QuantizeInput* in) { in->preprocess.std[1] = 0; });
    refused(ErrorCode::kBadOption, "mean", [](QuantizeInput* in) { in->preprocess.mean[0] = NAN; });
    refused(ErrorCode::kUnsupportedOp, "channels",
            [](QuantizeInput* in) { in->graph = buildCase(netCase("relu"), {4, 12, 12}); });
    refused(ErrorCode::kUnsupportedOp, "softmax", [](QuantizeInput* in) {
      NetBuilder b({3, 12, 12});
      const int scores = b.classifier(stem(b), 5);
      b.layer(b.add(SoftmaxOp{}, {scores}, {5, 1, 1}), 5, 1);
      in->graph = b.graph;
    });
    refused(ErrorCode::kOverflow, "calibration image 0", [](QuantizeInput* in) {
      for (float& w : std::get<ConvOp>(in->graph.nodes[1].op).weights) w = 3e38F;
    });
  }

  TEST_CASE("sums beyond 32 bits are refused with the layer's name") {
    NetBuilder b({3, 110, 110});
    const int flat = b.reshape(b.relu(b.conv(0, 3)), {36300, 1, 1});
    const int wide = b.conv(b.relu(b.conv(flat, 4)), 2);
    for (float& w : std::get<ConvOp>(b.graph.nodes[wide - 2].op).weights) w = 1;
    b.graph.nodes[wide - 2].name = "wide";
    QuantizeInput input = quantizeInput(b.graph, 1);
    const Error error = errorOf(input);
    CHECK(error.code == ErrorCode::kOverflow);
    CHECK(mentions(error, "'wide'"));
    input.recipe.layers.emplace_back();
    input.recipe.layers.back().layer = "wide";
    input.recipe.layers.back().weights = WeightKind::kInt8;
    CHECK(quantize(std::move(input)).ok());
  }

  TEST_CASE("dead, huge, tiny and bias-only filters do no harm") {
    NetBuilder b({3, 12, 12}, 9);
    const int x = b.relu(b.layer(0, 12, 3));
    const int middle = b.layer(x, 12, 3);
    b.classifier(b.relu(middle), 5);
    auto& first = std::get<ConvOp>(b.graph.nodes[1].op);
    auto& second = std::get<ConvOp>(b.graph.nodes[middle].op);
    const auto scaleFilter = [](ConvOp* op, std::size_t k, float factor) {
      const std::size_t size = op->weights.size() / op->bias.size();
      for (std::size_t i = 0; i < size; ++i) op->weights[k * size + i] *= factor;
    };
    scaleFilter(&first, 0, 0);  // never fires
    first.bias[0] = -1;
    scaleFilter(&first, 1, 0);  // always the same
    first.bias[1] = .7F;
    scaleFilter(&second, 0, 0);
    for (std::size_t tap = 0; tap < 9; ++tap) second.weights[tap] = 1e9F;  // of the channel that never fires
    scaleFilter(&second, 1, 1e-25F);
    second.bias[1] = 1;
    scaleFilter(&second, 2, 1e-40F);
    second.bias[2] = 0;
    scaleFilter(&second, 3, 0);
    second.bias[3] = -2;
    for (const bool affine : {false, true}) {
      QuantizeInput input = quantizeInput(b.graph);
      input.recipe = fineRecipe();
      input.recipe.affine_correction = affine;
      const Preprocess preprocess = input.preprocess;
      const Quantized quantized = quantizeOrFail(std::move(input));
      CAPTURE(affine);
      CHECK(outputSnr(b.graph, quantized.model, preprocess) > 36);
    }
  }

  TEST_CASE("a network without weights or without values") {
    NetBuilder pool_only({3, 12, 12});
    pool_only.averageAll(0);
    const Quantized pooled = quantizeOrFail(quantizeInput(pool_only.graph));
    CHECK(outputSnr(pool_only.graph, pooled.model, quantizeInput(pool_only.graph).preprocess) > 30);

    NetBuilder silent({3, 12, 12});
    const int conv = silent.layer(0, 8, 3);
    auto& op = std::get<ConvOp>(silent.graph.nodes[conv].op);
    std::fill(op.weights.begin(), op.weights.end(), 0.F);
    std::fill(op.bias.begin(), op.bias.end(), -1.F);
    silent.classifier(silent.relu(conv), 5);
    CHECK(quantize(quantizeInput(silent.graph)).ok());
  }
}
