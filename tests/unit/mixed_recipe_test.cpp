// Layers' weights chosen under a budget, on networks small enough to be quantized many times.
#include "quantize/mixed_recipe.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "format/format.h"
#include "quantize_cases.h"

namespace {

using namespace trefoil;           // NOLINT
using namespace trefoil::testing;  // NOLINT

// The second layer has weights whose errors all later ones only pass on; wide is far wider than the others.
Graph network() {
  NetBuilder b({3, 12, 12}, 5);
  const int narrow = b.relu(b.layer(stem(b), 8, 3));
  const int wide = b.relu(b.layer(narrow, 96, 3, 2));
  b.classifier(b.relu(b.layer(wide, 16, 1)), 5);
  return std::move(b.graph);
}

QuantizeInput inputFor(Aim aim, double target) {
  QuantizeInput input = quantizeInput(network(), 24);
  const Graph graph = std::move(input.graph);
  input.recipe = {};
  input.recipe.aim = aim;
  input.recipe.target = target;
  input.graph = graph;
  return input;
}

std::string fileOf(const Quantized& quantized) {
  const auto file = writeModel(quantized.model, quantized.first ? &*quantized.first : nullptr);
  REQUIRE(file.ok());
  return {reinterpret_cast<const char*>(file->data()), file->size()};
}

// Pools between convolutions, and one grid that two of them read.
Graph pooledNetwork() {
  NetBuilder b({3, 12, 12}, 5);
  const int pooled = b.pool(stem(b), Pool::kMax, squareWindow(2, 2));
  const int left = b.relu(b.layer(pooled, 16, 3));
  const int right = b.relu(b.layer(pooled, 16, 1));
  const int joined = b.concat({left, right});
  const int sum = b.add(AddOp{}, {b.layer(joined, 16, 1), b.layer(joined, 16, 3)}, b.shape(left));
  b.classifier(b.relu(b.layer(b.relu(sum), 16, 1)), 5);
  return std::move(b.graph);
}

// Milliseconds of any form of any layer; `low` with an input of 4 bits.
QuantizeInput timedInput(double target, double high, double low) {
  QuantizeInput input = quantizeInput(pooledNetwork(), 24);
  input.recipe = {};
  input.recipe.aim = Aim::kMilliseconds;
  input.recipe.target = target;
  const std::size_t forms = mixedForms(Aim::kMilliseconds).size();
  for (const Node& node : input.graph.nodes) {
    if (!std::holds_alternative<ConvOp>(node.op)) continue;
    LayerTimes times{node.name, std::vector<double>(forms, high)};
    if (low > 0) times.milliseconds.insert(times.milliseconds.end(), forms, low);
    input.recipe.times.push_back(std::move(times));
  }
  return input;
}

int countLow(const Report& report) {
  return static_cast<int>(std::count_if(report.layers.begin(), report.layers.end(),
                                        [](const LayerReport& layer) { return layer.input_bits == 4; }));
}

double predictedLoss(const Report& report) {
  const auto chosen = std::find_if(report.frontier.begin(), report.frontier.end(),
                                   [](const FrontierPoint& point) { return point.chosen; });
  REQUIRE(chosen != report.frontier.end());
  return chosen->top1_loss;
}

}  // namespace

TEST_SUITE("mixed recipe") {
  TEST_CASE("a file keeps to its bytes, and more bytes lose less") {
    const auto large = quantize(inputFor(Aim::kBytes, 1e6));
    REQUIRE(large.ok());
    const Report& best = large->report;
    REQUIRE(best.frontier.size() > 3);
    CHECK(best.frontier.back().chosen);
    for (std::size_t i = 1; i < best.frontier.size(); ++i) {
      CHECK(best.frontier[i].bytes > best.frontier[i - 1].bytes);
      CHECK(best.frontier[i].top1_loss <= best.frontier[i - 1].top1_loss);
    }
    // Predictions are close to the file's real size.
    CHECK(static_cast<double>(best.file_bytes) == doctest::Approx(best.frontier.back().bytes).epsilon(.05));
    double before = predictedLoss(best);
    for (const double share : {.9, .75, .6}) {
      const double budget = share * static_cast<double>(best.file_bytes);
      CAPTURE(budget);
      const auto smaller = quantize(inputFor(Aim::kBytes, budget));
      REQUIRE(smaller.ok());
      CHECK(static_cast<double>(fileOf(*smaller).size()) <= budget);
      CHECK(smaller->report.file_bytes == fileOf(*smaller).size());
      CHECK(predictedLoss(smaller->report) >= before);
      before = predictedLoss(smaller->report);
    }
  }

  TEST_CASE("a file that can't be that small is refused with the smallest size, and that one is met") {
    const auto refused = quantize(inputFor(Aim::kBytes, 1000));
    REQUIRE(!refused.ok());
    CHECK(refused.error().code == ErrorCode::kBadOption);
    const std::string& message = refused.error().message;
    const std::string before = "the smallest file of this network is ";
    const std::size_t at = message.find(before);
    REQUIRE(at != std::string::npos);
    const double least = std::stod(message.substr(at + before.size()));
    const auto met = quantize(inputFor(Aim::kBytes, least + 512));
    INFO(message, met.ok() ? "" : met.error().message);
    REQUIRE(met.ok());
    CHECK(static_cast<double>(met->report.file_bytes) <= least + 512);
  }

  TEST_CASE("the same bytes each time") {
    const auto first = quantize(inputFor(Aim::kTop1Loss, .5));
    const auto second = quantize(inputFor(Aim::kTop1Loss, .5));
    REQUIRE(first.ok());
    REQUIRE(second.ok());
    CHECK(fileOf(*first) == fileOf(*second));
    CHECK(predictedLoss(first->report) <= .5);
  }

  TEST_CASE("activations get 4 bits where time asks for it, all that share a grid together") {
    // Seven layers: the first reads the image, the classifier an average, two a grid each, four two grids.
    const auto free = quantize(timedInput(7.5, 1, .5));
    REQUIRE(free.ok());
    CHECK(countLow(free->report) == 0);
    CHECK(free->report.frontier.front().milliseconds == doctest::Approx(5));
    double before = predictedLoss(free->report);
    for (const auto& [target, low] : {std::pair{6.5, 2}, {5.5, 4}}) {
      CAPTURE(target);
      const auto timed = quantize(timedInput(target, 1, .5));
      REQUIRE(timed.ok());
      CHECK(countLow(timed->report) == low);
      CHECK(predictedLoss(timed->report) > before);
      before = predictedLoss(timed->report);
      int grids = 0;
      for (const QNode& node : timed->model.nodes) {
        if (const auto* conv = std::get_if<QConvOp>(&node.op); conv == nullptr) continue;
        grids += timed->model.nodes[node.inputs[0]].grid.bits == 4 ? 1 : 0;
      }
      CHECK(grids == low);
      CHECK(timed->model.metadata.recipe.find(R"("activationBits":4,"layer")") != std::string::npos);
    }
    const auto refused = quantize(timedInput(4.9, 1, .5));
    REQUIRE(!refused.ok());
    CHECK(refused.error().message.find("takes 5.0") != std::string::npos);
    // Without times of that, and where it takes no less time, nothing gets fewer bits.
    CHECK(!quantize(timedInput(6.5, 1, 0)).ok());
    CHECK(countLow(quantize(timedInput(7.5, 1, 0))->report) == 0);
    CHECK(countLow(quantize(timedInput(7.1, 1, 1))->report) == 0);
    QuantizeInput given = timedInput(7.1, 1, .1);
    given.recipe.activation_bits = 4;  // by the recipe itself
    CHECK(quantize(std::move(given)).ok());
  }

  TEST_CASE("what the recipe says of a layer stays") {
    QuantizeInput input = inputFor(Aim::kBytes, 1e6);
    LayerRecipe fixed;
    fixed.layer = input.graph.nodes[5].name;
    REQUIRE(std::holds_alternative<ConvOp>(input.graph.nodes[5].op));
    fixed.group_size = 2;
    input.recipe.layers.push_back(fixed);
    const auto quantized = quantize(std::move(input));
    REQUIRE(quantized.ok());
    const auto layer = std::find_if(quantized->report.layers.begin(), quantized->report.layers.end(),
                                    [&](const LayerReport& entry) { return entry.name == fixed.layer; });
    REQUIRE(layer != quantized->report.layers.end());
    CHECK(layer->kind == "ternary");
    CHECK(layer->group_size == 2);
    CHECK(layer->planes == 1);
  }

  TEST_CASE("an aim goes with nothing that it chooses itself, and not without pictures") {
    QuantizeInput input = inputFor(Aim::kBytes, 1e6);
    input.recipe.group_size = 8;
    CHECK(!quantize(std::move(input)).ok());
    for (const double target : {0.0, -1.0, 1.0 / 0.0}) CHECK(!quantize(inputFor(Aim::kBytes, target)).ok());
    QuantizeInput blind = inputFor(Aim::kBytes, 1e6);
    blind.images.clear();
    const auto refused = quantize(std::move(blind));
    REQUIRE(!refused.ok());
    CHECK(refused.error().message.find("calibration") != std::string::npos);
  }

  TEST_CASE("noise costs accuracy where the best classes are near each other") {
    const std::vector<std::vector<float>> near = {{1, .9F, -3}}, far = {{9, 0, -3}};
    CHECK(expectedLoss(near, 0) == 0);
    CHECK(expectedLoss({}, 1) == 0);
    CHECK(expectedLoss(near, .01) > expectedLoss(far, .01));
    CHECK(expectedLoss(far, .01) == 0);
    CHECK(expectedLoss(far, 1e6) > .4);
    // Two classes, a difference d with noise of deviation s: the loss is tanh(d / 2) times P(s g > d).
    const double d = 1;
    const double wanted = std::tanh(d / 2) * .5 * std::erfc(d / std::sqrt(2.0) / 2);
    CHECK(expectedLoss(std::vector<std::vector<float>>(200, {1, 0}), 4) ==
          doctest::Approx(wanted).epsilon(.05));
  }

  TEST_CASE("noise is that of differences to the best class") {
    const std::vector<float> logits = {3, 1, 2};
    CHECK(answerVariance(logits, logits) == 0);
    CHECK(answerVariance(logits, std::vector<float>{4, 2, 3}) == 0);  // all move together
    CHECK(answerVariance(logits, std::vector<float>{4, 1, 2}) == 1);
    CHECK(answerVariance(logits, std::vector<float>{3, 1, 0}) == 2);  // of two rivals, one by 2
    CHECK(answerVariance(std::vector<float>{1}, std::vector<float>{2}) == 0);
  }
}
