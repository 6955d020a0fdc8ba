// Options of layers against every combination of them.
#include "quantize/frontier.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "graph_builder.h"

namespace {

using namespace trefoil;  // NOLINT
using trefoil::testing::SmallRandom;

std::vector<std::vector<Option>> randomLayers(SmallRandom& random) {
  std::vector<std::vector<Option>> layers(static_cast<std::size_t>(random.between(1, 5)));
  for (auto& options : layers) {
    options.resize(static_cast<std::size_t>(random.between(1, 4)));
    for (Option& option : options)
      option = {static_cast<double>(random.below(20)), static_cast<double>(random.below(20))};
  }
  return layers;
}

void forEachSelection(const std::vector<std::vector<Option>>& layers,
                      const std::function<void(const Selection&)>& use, const Selection& chosen = {}) {
  if (chosen.options.size() == layers.size()) return use(chosen);
  const auto& options = layers[chosen.options.size()];
  for (std::size_t i = 0; i < options.size(); ++i) {
    Selection next = chosen;
    next.options.push_back(static_cast<int>(i));
    next.loss += options[i].loss;
    next.cost += options[i].cost;
    forEachSelection(layers, use, std::move(next));
  }
}

void checkSums(const std::vector<std::vector<Option>>& layers, const Selection& selection) {
  double loss = 0;
  double cost = 0;
  REQUIRE(selection.options.size() == layers.size());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    loss += layers[i][static_cast<std::size_t>(selection.options[i])].loss;
    cost += layers[i][static_cast<std::size_t>(selection.options[i])].cost;
  }
  CHECK(selection.loss == doctest::Approx(loss));
  CHECK(selection.cost == doctest::Approx(cost));
}

}  // namespace

TEST_SUITE("frontier") {
  TEST_CASE("no selection betters a point of the frontier") {
    SmallRandom random(3);
    for (int round = 0; round < 100; ++round) {
      CAPTURE(round);
      const auto layers = randomLayers(random);
      const auto points = selectionFrontier(layers);
      for (std::size_t i = 0; i < points.size(); ++i) {
        checkSums(layers, points[i]);
        if (i > 0) CHECK(points[i].cost > points[i - 1].cost);
        if (i > 0) CHECK(points[i].loss < points[i - 1].loss);
      }
      forEachSelection(layers, [&](const Selection& other) {
        CHECK(points.front().cost <= other.cost);
        CHECK(points.back().loss <= other.loss);
        for (const Selection& point : points) CHECK((other.cost > point.cost || other.loss >= point.loss));
        // Below the hull there is nothing: not between two points, either.
        for (std::size_t i = 1; i < points.size(); ++i) {
          const Selection& a = points[i - 1];
          const Selection& b = points[i];
          CHECK((other.loss - a.loss) * (b.cost - a.cost) >= (b.loss - a.loss) * (other.cost - a.cost));
        }
      });
    }
  }

  TEST_CASE("a budget is kept, and used at least as well as the frontier does") {
    SmallRandom random(4);
    for (int round = 0; round < 100; ++round) {
      const auto layers = randomLayers(random);
      const auto points = selectionFrontier(layers);
      for (const double budget : {points.front().cost, points.front().cost + 7, points.back().cost + 1}) {
        const Selection selection = selectWithin(layers, budget);
        checkSums(layers, selection);
        CHECK(selection.cost <= budget);
        for (const Selection& point : points) CHECK((point.cost > budget || point.loss >= selection.loss));
      }
      CHECK(selectWithin(layers, points.front().cost - 1).options.empty());
    }
  }
}
