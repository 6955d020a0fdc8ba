#include "quantize/codebook.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "../helpers/random.h"

namespace {

using namespace trefoil;           // NOLINT
using namespace trefoil::testing;  // NOLINT

double distance(const std::vector<double>& values, const std::vector<double>& weights,
                const std::vector<double>& levels) {
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    double least = 1e300;
    for (const double level : levels) least = std::min(least, (values[i] - level) * (values[i] - level));
    sum += least * weights[i];
  }
  return sum;
}

}  // namespace

TEST_SUITE("codebook") {
  TEST_CASE("as many levels as values: no error") {
    const std::vector<double> values = {3, 1, 3, 2, 1, 0};
    const std::vector<double> weights = {1, 1, 2, 1, 1, 5};
    const auto levels = fitLevels(values, weights, 3, LevelKind::kFitted);
    CHECK(levels == std::vector<double>{3, 2, 1});
    CHECK(fitLevels(values, weights, 8, LevelKind::kFitted).size() == 3);
  }

  TEST_CASE("two levels: the best split of all") {
    Random random(3);
    for (int round = 0; round < 50; ++round) {
      std::vector<double> values, weights;
      for (int i = 0; i < 12; ++i) {
        values.push_back(random.integer(1, 1000));
        weights.push_back(random.integer(1, 4));
      }
      const auto levels = fitLevels(values, weights, 2, LevelKind::kFitted);
      REQUIRE(levels.size() == 2);
      CHECK(levels[0] > levels[1]);
      std::vector<double> sorted = values;
      std::sort(sorted.begin(), sorted.end());
      double best = 1e300;
      for (std::size_t split = 1; split < sorted.size(); ++split) {
        double sums[2] = {0, 0}, counts[2] = {0, 0};
        for (std::size_t i = 0; i < values.size(); ++i) {
          const int side = values[i] >= sorted[split] ? 1 : 0;
          sums[side] += values[i] * weights[i];
          counts[side] += weights[i];
        }
        if (counts[0] == 0 || counts[1] == 0) continue;
        best = std::min(best, distance(values, weights, {sums[0] / counts[0], sums[1] / counts[1]}));
      }
      CHECK(distance(values, weights, levels) <= best * (1 + 1e-9));
    }
  }

  TEST_CASE("geometric rows") {
    const std::vector<double> values = {8, 4, 2, 1, 8.1, 3.9};
    const std::vector<double> weights(6, 1.0);
    const auto halves = fitLevels(values, weights, 4, LevelKind::kPowersOf2);
    REQUIRE(halves.size() == 4);
    for (int i = 0; i < 3; ++i) CHECK(halves[i] / halves[i + 1] == doctest::Approx(2));
    CHECK(halves[0] == doctest::Approx(8).epsilon(.02));
    const auto roots = fitLevels(values, weights, 8, LevelKind::kPowersOfSqrt2);
    REQUIRE(roots.size() == 8);
    for (int i = 0; i < 7; ++i) CHECK(roots[i] / roots[i + 1] == doctest::Approx(std::sqrt(2.0)));
    CHECK(largestLevelInteger(8, LevelKind::kPowersOf2) == 128);
    CHECK(largestLevelInteger(4, LevelKind::kPowersOf2) == 248);
    CHECK(largestLevelInteger(4, LevelKind::kFitted) == 255);
  }

  TEST_CASE("nothing to fit") {
    CHECK(fitLevels({}, {}, 4, LevelKind::kFitted).empty());
    const std::vector<double> zeros(3, 0.0);
    for (const LevelKind kind : {LevelKind::kFitted, LevelKind::kPowersOf2}) {
      CHECK(fitLevels(zeros, zeros, 4, kind).empty());
    }
  }
}
