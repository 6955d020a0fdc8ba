// What the recipe's choices do: kinds of weights, bits, clips, methods, scales, planes.
#include "quantize/quantize.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "quantize_runs.h"

namespace {

using namespace trefoil;           // NOLINT
using namespace trefoil::testing;  // NOLINT

}  // namespace

TEST_SUITE("quantize") {
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
    input.recipe.residual_bits = 5;
    REQUIRE(addLayerOption("after:activation-bits=6", &input.recipe).ok());
    const Preprocess preprocess = input.preprocess;
    const Quantized quantized = quantizeOrFail(std::move(input));
    CHECK(nodeNamed(quantized.model, "inner").grid.bits == 4);
    CHECK(std::get<QConvOp>(nodeNamed(quantized.model, "inner").op).output.high == 15);
    CHECK(nodeNamed(quantized.model, "branch").grid.bits == 7);  // only the sum reads it: two more
    CHECK(nodeNamed(quantized.model, "sum").grid.bits == 5);
    CHECK(quantized.model.nodes[1].grid.bits == 5);  // the shortcut, which the branch reads too
    CHECK(nodeNamed(quantized.model, "after").grid.bits == 6);
    CHECK(nodeNamed(quantized.model, "average").grid.bits == 8);
    CHECK(outputSnr(b.graph, quantized.model, preprocess) > 8);
  }

  TEST_CASE("activation bits: linear bottlenecks, and what only depthwise layers read, keep those of sums") {
    NetBuilder b({3, 12, 12});
    const auto named = [&](int node, const char* name) {
      b.graph.nodes[node].name = name;
      return node;
    };
    const int wide = b.relu(named(b.layer(stem(b), 16, 1), "wide"));
    const int depthwise = b.relu(named(b.layer(wide, 16, 3, 1, 16), "depthwise"));
    const int linear = named(b.layer(depthwise, 8, 1), "linear");
    b.classifier(b.relu(named(b.layer(linear, 16, 3), "after")), 5);
    const auto bits = [&](int activations, int residual, const char* option = nullptr) {
      QuantizeInput input = quantizeInput(b.graph);
      input.recipe.activation_bits = activations;
      input.recipe.residual_bits = residual;
      if (option != nullptr) REQUIRE(addLayerOption(option, &input.recipe).ok());
      const Quantized quantized = quantizeOrFail(std::move(input));
      std::string text;
      for (const char* name : {"wide", "depthwise", "linear", "after"})
        text += std::to_string(nodeNamed(quantized.model, name).grid.bits);
      return text;
    };
    CHECK(bits(4, 8) == "8484");
    CHECK(bits(4, 4) == "4444");
    CHECK(bits(5, 6) == "6565");
    CHECK(bits(8, 8) == "8888");
    CHECK(bits(4, 8, "linear:activation-bits=4") == "8444");
    CHECK(bits(4, 8, "wide:activation-bits=5") == "5484");
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
}
