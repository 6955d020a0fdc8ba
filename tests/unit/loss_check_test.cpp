// A loss of top-1 that a recipe asks for, held against really quantized networks.
#include "quantize/loss_check.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "graph/float_eval.h"
#include "quantize_cases.h"
#include "runtime/session.h"

namespace {

using namespace trefoil;           // NOLINT
using namespace trefoil::testing;  // NOLINT

// Answers that differ from picture to picture, and are sure enough to be lost.
QuantizeInput sureInput(double wish, int images) {
  NetBuilder b({3, 12, 12}, 5);
  const int narrow = b.relu(b.layer(stem(b), 8, 3));
  const int wide = b.relu(b.layer(narrow, 96, 3, 2));
  b.classifier(b.relu(b.layer(wide, 16, 1)), 5);
  QuantizeInput input = quantizeInput(std::move(b.graph), images);
  input.recipe = {};
  input.recipe.aim = Aim::kTop1Loss;
  input.recipe.target = wish;
  ConvOp* classifier = nullptr;
  for (Node& node : input.graph.nodes) {
    if (auto* conv = std::get_if<ConvOp>(&node.op)) classifier = conv;
  }
  for (float& w : classifier->weights) w *= 40;
  std::vector<double> sums(classifier->bias.size());
  for (const auto& image : input.images) {
    const auto scores = evaluate(input.graph, normalize(image, 3, input.preprocess));
    REQUIRE(scores.ok());
    for (std::size_t k = 0; k < sums.size(); ++k) sums[k] += (*scores)[k];
  }
  for (std::size_t k = 0; k < sums.size(); ++k) classifier->bias[k] -= static_cast<float>(sums[k] / images);
  return input;
}

// The same network and images, with the forms that a report tells of and nothing to choose.
QuantizeInput withForms(QuantizeInput input, const Report& report) {
  input.recipe = {};
  for (const LayerReport& layer : report.layers) {
    LayerRecipe form;
    form.layer = layer.name;
    form.weights = layer.kind == "int8" ? WeightKind::kInt8 : WeightKind::kTernary;
    if (layer.kind != "int8") {
      form.group_size = layer.group_size;
      form.scale_levels = layer.scale_levels;
      form.planes = layer.planes;
    }
    input.recipe.layers.push_back(form);
  }
  return input;
}

bool warns(const Report& report, const std::string& of) {
  return std::any_of(report.warnings.begin(), report.warnings.end(),
                     [&](const std::string& warning) { return warning.find(of) != std::string::npos; });
}

std::vector<double> wishesOf(LossSearch search, double (*measured)(double predicted)) {
  std::vector<double> wishes;
  while (const auto wish = search.next()) {
    wishes.push_back(*wish);
    search.add({*wish, measured(*wish)});
    REQUIRE(wishes.size() <= LossSearch::kMostTries);
  }
  return wishes;
}

}  // namespace

TEST_SUITE("loss check") {
  TEST_CASE("what is measured is the runtime's loss on images that were not calibrated with") {
    const QuantizeInput input = sureInput(.5, 64);
    const auto checked = quantize(input);
    REQUIRE(checked.ok());
    REQUIRE(checked->report.loss_check.has_value());
    const LossCheck& check = *checked->report.loss_check;
    CHECK(check.images == 16);
    CHECK(check.wished == .5);
    CHECK(warns(checked->report, "16 held-out"));

    QuantizeInput rest = withForms(input, checked->report);
    rest.images.clear();
    for (std::size_t i = 0; i < input.images.size(); ++i) {
      if (i % 4 != 3) rest.images.push_back(input.images[i]);
    }
    auto trial = quantize(std::move(rest));
    REQUIRE(trial.ok());
    auto session = Session::create(std::move(trial->model));
    REQUIRE(session.ok());
    double loss = 0, agreement = 0;
    for (std::size_t i = 3; i < input.images.size(); i += 4) {
      const auto real = evaluate(input.graph, normalize(input.images[i], 3, input.preprocess));
      const auto output = (*session)->run(input.images[i]);
      REQUIRE(output.ok());
      const std::vector<float> answer = (*session)->logits(*output);
      const std::vector<float> chances = Session::softmax(*real);
      const auto wanted = std::max_element(real->begin(), real->end()) - real->begin();
      const auto got = std::max_element(answer.begin(), answer.end()) - answer.begin();
      loss +=
          100.0 / 16 * (chances[static_cast<std::size_t>(wanted)] - chances[static_cast<std::size_t>(got)]);
      agreement += wanted == got ? 1.0 / 16 : 0;
    }
    CHECK(check.measured == doctest::Approx(loss).epsilon(1e-4));
    CHECK(check.agreement == doctest::Approx(agreement));
    // In the end all images calibrate.
    CHECK(checked->report.calibration_images == 64);
    const auto all = quantize(withForms(input, checked->report));
    REQUIRE(all.ok());
    CHECK(all->report.total.output_sqnr_db == checked->report.total.output_sqnr_db);
  }

  TEST_CASE("a choice that loses too much is given up for a better one, and the report owns up") {
    int stepped = 0, missed = 0;
    for (const double wish : {.01, .2, 1., 2.}) {
      for (const int images : {24, 64}) {
        CAPTURE(wish);
        CAPTURE(images);
        const auto quantized = quantize(sureInput(wish, images));
        REQUIRE(quantized.ok());
        const LossCheck& check = quantized->report.loss_check.value();
        REQUIRE(!check.tries.empty());
        CHECK(check.tries.size() <= LossSearch::kMostTries);
        CHECK(check.tries[0].predicted <= wish);
        for (std::size_t i = 1; i < check.tries.size(); ++i)
          CHECK(check.tries[i].predicted < check.tries[i - 1].predicted);
        const auto chosen = std::find_if(quantized->report.frontier.begin(), quantized->report.frontier.end(),
                                         [](const FrontierPoint& point) { return point.chosen; });
        REQUIRE(chosen != quantized->report.frontier.end());
        CHECK(chosen->top1_loss == check.predicted);
        CHECK(warns(quantized->report, "was not met") == (check.measured > wish));
        if (check.tries[0].measured > wish && check.measured <= wish) ++stepped;
        if (check.measured > wish) {
          ++missed;  // not even the best there is would do
          CHECK(chosen == quantized->report.frontier.end() - 1);
        }
      }
    }
    CHECK(stepped > 0);
    CHECK(missed > 0);
  }

  TEST_CASE("with many images a choice that loses less than asked for is given up for a cheaper one") {
    const auto quantized = quantize(sureInput(2, 160));
    REQUIRE(quantized.ok());
    const LossCheck& check = quantized->report.loss_check.value();
    CHECK(check.images == 40);
    REQUIRE(check.tries.size() > 1);
    CHECK(check.predicted > check.tries[0].predicted);
    CHECK(check.predicted > 2);
    CHECK(check.measured <= 2);
    CHECK(quantized->report.warnings.empty());
  }

  TEST_CASE("too few images to hold some out: predicted, and said so") {
    const auto quantized = quantize(sureInput(.5, 7));
    REQUIRE(quantized.ok());
    CHECK(!quantized->report.loss_check.has_value());
    CHECK(warns(quantized->report, "only predicted"));
    CHECK(quantize(sureInput(.5, 8))->report.loss_check.value().images == 2);
  }

  TEST_CASE("progress never falls, and any of it may be the last") {
    double latest = 0;
    int calls = 0;
    const auto count = [&](std::string_view, double share, std::string_view) {
      CHECK(share >= latest);
      CHECK(share <= 1);
      latest = share;
      ++calls;
      return true;
    };
    REQUIRE(quantize(sureInput(1, 24), count).ok());
    CHECK(latest == doctest::Approx(1));
    for (const double share : {.1, .3, .5, .7, .9, .99}) {
      int left = static_cast<int>(share * calls);
      const auto ended =
          quantize(sureInput(1, 24), [&](std::string_view, double, std::string_view) { return --left > 0; });
      REQUIRE(!ended.ok());
      CHECK(ended.error().code == ErrorCode::kAborted);
    }
  }

  TEST_CASE("the search narrows down from what was measured") {
    using Wishes = std::vector<double>;
    // As predicted: nothing to look for.
    CHECK(wishesOf({1, true}, [](double x) { return x; }) == Wishes{1});
    // Twice as predicted: scaled, then met.
    const Wishes half = wishesOf({1, true}, [](double x) { return 2 * x; });
    REQUIRE(half.size() >= 2);
    CHECK(half[1] == doctest::Approx(.5));
    // Never met: the last try is the best there is.
    const Wishes never = wishesOf({1, true}, [](double) { return 5.0; });
    CHECK(never == Wishes{1, .25, 0});
    // Half as predicted: cheaper, unless there are too few images to be led astray by.
    CHECK(wishesOf({1, true}, [](double x) { return x / 2; }) == Wishes{1, 2});
    CHECK(wishesOf({1, false}, [](double x) { return x / 2; }) == Wishes{1});
    CHECK(wishesOf({1, true}, [](double) { return 0.0; }) == Wishes{1, 4, 16});
    // Met and not met: between both.
    const Wishes between = wishesOf({1, true}, [](double x) { return x > 1.5 ? 9 : x / 4; });
    CHECK(between == Wishes{1, 4, 2});

    LossSearch search(1, true);
    search.add({1, 3});
    search.add({.4, .9});
    CHECK(search.met());
    CHECK(search.best() == 1);
    LossSearch hopeless(1, true);
    hopeless.add({1, 3});
    hopeless.add({0, 2});
    CHECK(!hopeless.met());
    CHECK(hopeless.best() == 1);
    CHECK(!hopeless.next().has_value());
  }

  TEST_CASE("an answer costs what the float network gave for its own") {
    const std::vector<std::vector<float>> real = {{2, 1, 0}, {0, 3, 0}};
    CHECK(measureAnswers(real, real).loss == 0);
    CHECK(measureAnswers(real, real).agreement == 1);
    const AnswerLoss one = measureAnswers(real, {{0, 1, 0}, {0, 9, 8}});
    const double sum = std::exp(2) + std::exp(1) + 1;
    CHECK(one.loss == doctest::Approx(50 * (std::exp(2) - std::exp(1)) / sum));
    CHECK(one.agreement == .5);
    CHECK(one.error == doctest::Approx(one.loss));  // of a loss and none
    const auto split = splitHeldOut(9);
    CHECK(split.first == std::vector<std::size_t>{0, 1, 2, 4, 5, 6, 8});
    CHECK(split.second == std::vector<std::size_t>{3, 7});
  }
}
