#include "quantize/quantize.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "format/format.h"
#include "graph/float_eval.h"
#include "quantize_cases.h"
#include "runtime/session.h"

namespace {

using namespace trefoil;           // NOLINT
using namespace trefoil::testing;  // NOLINT

const NetCase& netCase(std::string_view name) {
  const auto& cases = netCases();
  const auto found =
      std::find_if(cases.begin(), cases.end(), [&](const NetCase& c) { return c.name == name; });
  REQUIRE(found != cases.end());
  return *found;
}

Quantized quantizeOrFail(QuantizeInput input) {
  auto result = quantize(std::move(input));
  if (!result.ok()) FAIL(result.error().message);
  return std::move(*result);
}

// Signal to noise of the integer network's logits on the first calibration pictures, in dB: on these nothing
// exceeds the grids. Softmax at the end of the float network is left out, as the integer one leaves it out.
double outputSnr(Graph graph, const QuantModel& model, const Preprocess& preprocess) {
  if (std::holds_alternative<SoftmaxOp>(graph.nodes.back().op)) graph.output = graph.nodes.back().inputs[0];
  auto session = Session::create(model);
  REQUIRE(session.ok());
  double signal = 0;
  double noise = 0;
  for (const auto& picture : pictures(12, graph.inputShape(), kSeed)) {
    const auto expected = evaluate(graph, normalize(picture, graph.inputShape().channels, preprocess));
    REQUIRE(expected.ok());
    const auto integers = (*session)->run(picture);
    REQUIRE(integers.ok());
    const auto logits = (*session)->logits(*integers);
    REQUIRE(logits.size() == expected->size());
    for (std::size_t i = 0; i < logits.size(); ++i) {
      signal += double{(*expected)[i]} * (*expected)[i];
      noise += (double{logits[i]} - (*expected)[i]) * (double{logits[i]} - (*expected)[i]);
    }
  }
  return 10 * std::log10(signal / noise);
}

// Every weight with its own sign and 8-bit scale: what is left is the error of the activations.
Recipe fineRecipe() {
  Recipe recipe;
  recipe.method = Method::kFgq;
  recipe.scale_levels = kFreeScales;
  recipe.group_size = 1;
  return recipe;
}

const QNode& nodeNamed(const QuantModel& model, std::string_view name) {
  for (const QNode& node : model.nodes) {
    if (node.name == name) return node;
  }
  FAIL("no node " << name);
  return model.nodes[0];
}

Error errorOf(QuantizeInput input) {
  auto result = quantize(std::move(input));
  REQUIRE(!result.ok());
  CAPTURE(result.error().message);
  return result.error();
}

bool mentions(const Error& error, std::string_view text) {
  return error.message.find(text) != std::string::npos;
}

}  // namespace

TEST_SUITE("quantize") {
  TEST_CASE("every lowering stays close to the float network") {
    for (const NetCase& net : netCases()) {
      CAPTURE(net.name);
      QuantizeInput input = quantizeInput(buildCase(net));
      input.recipe = fineRecipe();
      const Preprocess preprocess = input.preprocess;
      const Quantized quantized = quantizeOrFail(std::move(input));
      REQUIRE(validateModel(quantized.model).ok());
      std::set<std::string> operations;
      for (const QNode& node : quantized.model.nodes) operations.emplace(opName(node.op));
      operations.erase("input");
      CHECK(operations == std::set<std::string>(net.operations.begin(), net.operations.end()));
      CHECK(outputSnr(buildCase(net), quantized.model, preprocess) > 36);
    }
  }

  TEST_CASE("gray pictures") {
    QuantizeInput input = quantizeInput(buildCase(netCase("relu"), {1, 12, 12}));
    input.recipe = fineRecipe();
    const Preprocess preprocess = input.preprocess;
    const Quantized quantized = quantizeOrFail(std::move(input));
    CHECK(outputSnr(buildCase(netCase("relu"), {1, 12, 12}), quantized.model, preprocess) > 36);
  }

  TEST_CASE("means and deviations of all kinds are folded") {
    struct Range {
      float mean[3], std[3];
    };
    // Plain bytes, -1..1, and a mean that no pixel has.
    for (const Range& range : {Range{{0, 0, 0}, {1 / 255.F, 1 / 255.F, 1 / 255.F}},
                               Range{{.5F, .5F, .5F}, {.5F, .5F, .5F}}, Range{{-.2F, 0, 1}, {.1F, 1, 3}}}) {
      QuantizeInput input = quantizeInput(buildCase(netCase("linear bottleneck")));
      for (int c = 0; c < 3; ++c) {
        input.preprocess.mean[c] = range.mean[c];
        input.preprocess.std[c] = range.std[c];
      }
      input.recipe = fineRecipe();
      const Preprocess preprocess = input.preprocess;
      const Quantized quantized = quantizeOrFail(std::move(input));
      CAPTURE(range.mean[0]);
      CHECK(outputSnr(buildCase(netCase("linear bottleneck")), quantized.model, preprocess) > 36);
    }
  }

  TEST_CASE("the first convolution reads the pixels, padded with the mean") {
    const Quantized quantized = quantizeOrFail(quantizeInput(buildCase(netCase("relu"))));
    const QNode& input = quantized.model.nodes[0];
    CHECK(input.grid.bits == 8);
    CHECK(input.grid.zero_point == 0);
    const auto& conv = std::get<QConvOp>(quantized.model.nodes[1].op);
    CHECK(conv.pad_values == std::vector<std::uint8_t>{124, 116, 104});
    CHECK(quantized.model.metadata.mean[0] == .485F);
    CHECK(quantized.model.metadata.std[2] == .225F);
  }

  TEST_CASE("grids: unsigned after ReLU, an exact zero elsewhere") {
    const Quantized quantized = quantizeOrFail(quantizeInput(buildCase(netCase("linear bottleneck"))));
    int linear = 0;
    for (const QNode& node : quantized.model.nodes) {
      const auto* conv = std::get_if<QConvOp>(&node.op);
      if (conv == nullptr || &node == &quantized.model.nodes.back()) continue;
      if (node.grid.zero_point == 0) continue;
      ++linear;
      CHECK(node.grid.zero_point > 20);
      CHECK(conv->output.low == 0);
      CHECK(conv->output.high == 255);
    }
    CHECK(linear == 1);
  }

  TEST_CASE("a clip's bounds are the clamp's") {
    const Quantized quantized = quantizeOrFail(quantizeInput(buildCase(netCase("clip with two bounds"))));
    const QNode& node = quantized.model.nodes[2];
    const auto& conv = std::get<QConvOp>(node.op);
    CHECK((conv.output.low - node.grid.zero_point) * node.grid.scale == doctest::Approx(-.25).epsilon(.02));
    CHECK((conv.output.high - node.grid.zero_point) * node.grid.scale == doctest::Approx(.5).epsilon(.02));
  }

  TEST_CASE("the last layer yields accumulators unless something follows it") {
    const auto accumulators = [](std::string_view name) {
      return quantizeOrFail(quantizeInput(buildCase(netCase(name)))).model.output_accumulators;
    };
    CHECK(accumulators("relu"));
    CHECK(accumulators("ends in an average pool"));
    CHECK(accumulators("ends in a reshape and softmax"));
    CHECK(!accumulators("ends in a relu"));
  }

  TEST_CASE("default kinds of weights, and the recipe's exceptions") {
    NetBuilder b({3, 12, 12});
    int x = stem(b);
    b.graph.nodes[1].name = "first";
    x = b.layer(x, 8, 3, 1, 8);
    b.graph.nodes[x].name = "depthwise";
    x = b.layer(b.relu(x), 10, 1);
    b.graph.nodes[x].name = "middle";
    b.classifier(b.relu(x), 5);
    b.graph.nodes.back().name = "last";
    const auto kinds = [&](const Recipe& recipe) {
      QuantizeInput input = quantizeInput(b.graph);
      input.recipe = recipe;
      std::string text;
      for (const LayerReport& layer : quantizeOrFail(std::move(input)).report.layers) {
        text += layer.name + "=" + layer.kind + std::to_string(layer.group_size) + " ";
      }
      return text;
    };
    Recipe recipe;
    CHECK(kinds(recipe) == "first=int80 depthwise=int80 middle=ternary4 last=int80 ");
    recipe.group_size = 64;  // more than there are channels
    CHECK(kinds(recipe) == "first=int80 depthwise=int80 middle=ternary8 last=int80 ");
    REQUIRE(addLayerOption("last:weights=ternary,group-size=filter", &recipe).ok());
    REQUIRE(addLayerOption("depthwise:weights=ternary", &recipe).ok());
    REQUIRE(addLayerOption("first:weights=ternary,group-size=2,method=fgq-two-sided", &recipe).ok());
    REQUIRE(addLayerOption("middle:weights=int8", &recipe).ok());
    CHECK(kinds(recipe) == "first=ternary2 depthwise=ternary1 middle=int80 last=ternary0 ");
  }

  TEST_CASE("an unknown layer's error names those that are near") {
    QuantizeInput input = quantizeInput(buildCase(netCase("relu")));
    input.graph.nodes[1].name = "stage1/conv1";
    input.graph.nodes[3].name = "stage2/conv1";
    input.recipe.layers.emplace_back();
    input.recipe.layers.back().layer = "stage1/conv2";
    input.recipe.layers.back().weights = WeightKind::kInt8;
    const Error error = errorOf(std::move(input));
    CHECK(error.code == ErrorCode::kBadOption);
    CHECK(mentions(error, "'stage1/conv2'"));
    CHECK(mentions(error, "'stage1/conv1'"));
  }

  TEST_CASE("activation bits: network, residual stream, single layers") {
    NetBuilder b({3, 12, 12});
    const int x = stem(b);
    const int inner = b.relu(b.layer(x, 8, 3));
    b.graph.nodes[inner - 1].name = "inner";
    const int branch = b.layer(inner, 8, 3);
    b.graph.nodes[branch].name = "branch";
    const int sum = b.sum(branch, x);
    b.graph.nodes[sum].name = "sum";
    const int after = b.relu(b.layer(b.relu(sum), 8, 1));
    b.graph.nodes[after - 1].name = "after";
    b.classifier(after, 5);
    b.graph.nodes[b.graph.nodes.size() - 2].name = "average";
    QuantizeInput input = quantizeInput(b.graph);
    input.recipe.activation_bits = 4;
    input.recipe.residual_bits = 7;
    REQUIRE(addLayerOption("after:activation-bits=6", &input.recipe).ok());
    const Preprocess preprocess = input.preprocess;
    const Quantized quantized = quantizeOrFail(std::move(input));
    CHECK(nodeNamed(quantized.model, "inner").grid.bits == 4);
    CHECK(std::get<QConvOp>(nodeNamed(quantized.model, "inner").op).output.high == 15);
    CHECK(nodeNamed(quantized.model, "branch").grid.bits == 7);
    CHECK(nodeNamed(quantized.model, "sum").grid.bits == 7);
    CHECK(quantized.model.nodes[1].grid.bits == 7);  // the shortcut
    CHECK(nodeNamed(quantized.model, "after").grid.bits == 6);
    CHECK(nodeNamed(quantized.model, "average").grid.bits == 8);
    CHECK(outputSnr(b.graph, quantized.model, preprocess) > 8);
  }

  TEST_CASE("every clip rule works") {
    for (const ClipRule rule : {ClipRule::kMse, ClipRule::kMax, ClipRule::kPercentile}) {
      QuantizeInput input = quantizeInput(buildCase(netCase("residual with relu")));
      input.recipe = fineRecipe();
      input.recipe.clip = rule;
      const Preprocess preprocess = input.preprocess;
      const Quantized quantized = quantizeOrFail(std::move(input));
      CAPTURE(static_cast<int>(rule));
      CHECK(outputSnr(buildCase(netCase("residual with relu")), quantized.model, preprocess) > 36);
    }
  }

  TEST_CASE("error compensation: every lowering, and nearer to the float network than plain codes") {
    const auto snr = [](const NetCase& net, Method method) {
      QuantizeInput input = quantizeInput(buildCase(net), 32);
      input.recipe.method = method;
      input.recipe.scale_levels = 4;
      const Preprocess preprocess = input.preprocess;
      const Quantized quantized = quantizeOrFail(std::move(input));
      REQUIRE(validateModel(quantized.model).ok());
      return outputSnr(buildCase(net), quantized.model, preprocess);
    };
    double plain = 0;
    double compensated = 0;
    for (const NetCase& net : netCases()) {
      CAPTURE(net.name);
      const double p = snr(net, Method::kFgq);
      const double c = snr(net, Method::kCompensated);
      CHECK(c > p - 2);  // networks of a few weights
      plain += p;
      compensated += c;
    }
    CHECK(compensated / static_cast<double>(netCases().size()) >
          plain / static_cast<double>(netCases().size()) + 3);
  }

  TEST_CASE("filters too large for their covariance stay plain") {
    const auto layers = [](Method method) {
      NetBuilder b({3, 12, 12}, 21);
      const int x = b.relu(b.layer(0, 48, 3));
      const int flat = b.add(ReshapeOp{}, {x}, {48 * 144, 1, 1});
      b.layer(b.relu(b.layer(flat, 8, 1)), 10, 1);
      QuantizeInput input = quantizeInput(b.graph, 4);
      input.recipe.method = method;
      return quantizeOrFail(std::move(input)).model;
    };
    const QuantModel plain = layers(Method::kFgq);
    const QuantModel compensated = layers(Method::kCompensated);
    REQUIRE(plain.nodes.size() == compensated.nodes.size());
    const auto codes = [](const QuantModel& model, std::size_t i) {
      return std::get<QConvOp>(model.nodes[i].op).ternary.planes[0].codes;
    };
    CHECK(codes(plain, 3) == codes(compensated, 3));
    CHECK(std::get<QConvOp>(plain.nodes[1].op).int8 != std::get<QConvOp>(compensated.nodes[1].op).int8);
  }

  TEST_CASE("error compensation of single layers; without the affine correction too") {
    for (const bool affine : {true, false}) {
      const auto noise = [&](bool compensated) {
        NetBuilder b({3, 12, 12}, 21);
        int x = b.relu(b.layer(0, 32, 3));
        for (int i = 0; i < 3; ++i) x = b.relu(b.layer(x, 32, 3));
        b.classifier(x, 10);
        QuantizeInput input = quantizeInput(b.graph, 32);
        input.recipe.affine_correction = affine;
        if (compensated) {
          input.recipe.layers.emplace_back().layer = "node3";
          input.recipe.layers.back().method = Method::kCompensated;
        }
        return quantizeOrFail(std::move(input)).report.layers;
      };
      const auto plain = noise(false);
      const auto compensated = noise(true);
      CHECK(plain[0].output_sqnr_db == compensated[0].output_sqnr_db);
      CHECK(compensated[1].output_sqnr_db > plain[1].output_sqnr_db + 3);
      CHECK(compensated[1].weight_sqnr_db < plain[1].weight_sqnr_db);
    }
  }

  TEST_CASE("affine correction brings coarse ternary weights nearer to the float network") {
    const auto snr = [](int group_size, bool corrected) {
      NetBuilder b({3, 12, 12}, 21);
      int x = b.relu(b.layer(0, 32, 3));
      for (int i = 0; i < 4; ++i) x = b.relu(b.layer(x, 32, 3));
      b.classifier(x, 10);
      QuantizeInput input = quantizeInput(b.graph, 32);
      input.recipe.group_size = group_size;
      input.recipe.affine_correction = corrected;
      const Preprocess preprocess = input.preprocess;
      return outputSnr(b.graph, quantizeOrFail(std::move(input)).model, preprocess);
    };
    for (const int group_size : {4, 32, kWholeFilter}) {
      CAPTURE(group_size);
      CHECK(snr(group_size, true) > snr(group_size, false) + 3);
    }
  }

  TEST_CASE("both methods, two-sided scales are stored and better") {
    const auto run = [](Method method) {
      QuantizeInput input = quantizeInput(buildCase(netCase("relu")));
      input.recipe.method = method;
      return quantizeOrFail(std::move(input));
    };
    const Quantized one = run(Method::kFgq);
    const Quantized two = run(Method::kFgqTwoSided);
    CHECK(std::get<QConvOp>(one.model.nodes[2].op).ternary.planes[0].negative_scales.empty());
    CHECK(!std::get<QConvOp>(two.model.nodes[2].op).ternary.planes[0].negative_scales.empty());
    CHECK(two.report.layers[1].weight_sqnr_db > one.report.layers[1].weight_sqnr_db + 1);
  }

  TEST_CASE("codebooks: no filter has more scales than levels") {
    for (const LevelKind kind : {LevelKind::kFitted, LevelKind::kPowersOf2, LevelKind::kPowersOfSqrt2}) {
      for (const int levels : {2, 4, 8}) {
        for (const int planes : {1, 2}) {
          QuantizeInput input = quantizeInput(buildCase(netCase("relu")));
          input.recipe.group_size = 2;
          input.recipe.scale_levels = levels;
          input.recipe.level_kind = kind;
          input.recipe.planes = planes;
          CAPTURE(levels);
          CAPTURE(planes);
          const Quantized quantized = quantizeOrFail(std::move(input));
          const auto& op = std::get<QConvOp>(quantized.model.nodes[2].op);
          REQUIRE(static_cast<int>(op.ternary.planes.size()) == planes);
          std::size_t most = 0;
          for (std::size_t k = 0; k < 12; ++k) {
            std::set<int> scales;
            for (const TernaryPlane& plane : op.ternary.planes) {
              for (std::size_t i = k * 36; i < (k + 1) * 36; ++i) scales.insert(plane.scales[i]);
            }
            scales.erase(0);
            most = std::max(most, scales.size());
            if (kind == LevelKind::kPowersOf2) {
              for (const int scale : scales) CHECK(std::ldexp(scale, levels - 1) >= *scales.rbegin());
              for (const int scale : scales) CHECK((*scales.rbegin() % scale) == 0);
            }
          }
          CHECK(static_cast<int>(most) <= levels);
          CHECK(most > 1);
          const LayerReport& layer = quantized.report.layers[1];
          CHECK(layer.scale_levels == levels);
          CHECK(layer.planes == planes);
          CHECK(layer.bits_per_weight == doctest::Approx(planes * (2 + std::log2(levels) / 2)));
          CHECK(layer.multiplications_removed >= 1 - planes * levels / 72.0);
          CHECK(layer.weight_sqnr_db > (planes == 2 ? 13 : 9));
        }
      }
    }
  }

  TEST_CASE("two planes are nearer than one, and more levels nearer than fewer") {
    const auto sqnr = [](int group_size, int levels, int planes) {
      QuantizeInput input = quantizeInput(buildCase(netCase("relu")));
      input.recipe.group_size = group_size;
      input.recipe.scale_levels = levels;
      input.recipe.planes = planes;
      return quantizeOrFail(std::move(input)).report.layers[1].weight_sqnr_db;
    };
    for (const int group_size : {4, 8, kWholeFilter}) {
      CHECK(sqnr(group_size, kFreeScales, 2) > sqnr(group_size, kFreeScales, 1) + 4);
    }
    CHECK(sqnr(4, 2, 1) < sqnr(4, 4, 1));
    CHECK(sqnr(4, 4, 1) < sqnr(4, 8, 1));
    CHECK(sqnr(4, 8, 1) < sqnr(4, kFreeScales, 1) + 0.01);
    CHECK(sqnr(4, 4, 1) > sqnr(4, kFreeScales, 1) - 1);
  }

  TEST_CASE("the default: four levels, groups of 4, compensated; a two-sided layer has free scales") {
    QuantizeInput input = quantizeInput(buildCase(netCase("relu")));
    input.recipe = Recipe();
    const Report report = quantizeOrFail(input).report;
    CHECK(report.layers[1].scale_levels == 4);
    CHECK(report.layers[1].group_size == 4);
    CHECK(report.layers[1].bits_per_weight == doctest::Approx(2.5));
    input.recipe.layers.emplace_back().layer = "node3";
    input.recipe.layers.back().method = Method::kFgqTwoSided;
    const Quantized two_sided = quantizeOrFail(input);
    CHECK(two_sided.report.layers[1].scale_levels == kFreeScales);
    CHECK(!std::get<QConvOp>(two_sided.model.nodes[2].op).ternary.planes[0].negative_scales.empty());
  }

  TEST_CASE("options of one layer that do not go together") {
    QuantizeInput input = quantizeInput(buildCase(netCase("relu")));
    input.recipe.method = Method::kFgqTwoSided;
    input.recipe.layers.emplace_back().layer = "node3";
    input.recipe.layers.back().planes = 2;
    const Error error = errorOf(std::move(input));
    CHECK(error.code == ErrorCode::kBadOption);
    CHECK(mentions(error, "layer 'node3': method fgq-two-sided"));
  }

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
        R"("groupSize":0,"scaleLevels":0,"planes":0,"floatBytes":896,)"));
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

  TEST_CASE("metadata") {
    QuantizeInput input = quantizeInput(buildCase(netCase("relu")), 3);
    input.labels = {"a", "b", "c", "d", "e"};
    input.source_hash = "abc";
    input.source_bytes = 77;
    input.preprocess.resize = 256;
    const QuantModel model = quantizeOrFail(std::move(input)).model;
    CHECK(model.metadata.name == "relu");
    CHECK(model.metadata.labels.size() == 5);
    CHECK(model.metadata.resize == 256);
    CHECK(model.metadata.recipe == recipeJson(quantizeInput(buildCase(netCase("relu"))).recipe));
    CHECK(model.metadata.provenance ==
          R"({"calibrationImages":3,"correctionImages":3,"sourceBytes":77,"sourceHash":"abc"})");
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
