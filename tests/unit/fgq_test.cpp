#include "quantize/fgq.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace {

using trefoil::assignCodes;
using trefoil::assignTwoPlanes;
using trefoil::fitGroup;
using trefoil::fitGroupTwoPlanes;
using trefoil::fitGroupTwoSided;
using trefoil::GroupFit;
using trefoil::twoPlaneError;
using trefoil::TwoScales;

// Standard normal values that are the same with every standard library.
class Gauss {
 public:
  explicit Gauss(std::uint32_t seed) : engine_(seed) {}
  float operator()() {
    const double u = (engine_() + 0.5) / 4294967296.0;
    const double v = (engine_() + 0.5) / 4294967296.0;
    return static_cast<float>(std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * v));
  }

 private:
  std::mt19937 engine_;
};

std::vector<float> gaussGroup(Gauss* gauss, std::size_t size) {
  std::vector<float> group(size);
  for (float& w : group) w = (*gauss)();
  return group;
}

double squaredError(const std::vector<float>& weights, const std::vector<int>& codes, double scale,
                    double negative_scale) {
  double error = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double q = codes[i] > 0 ? scale : codes[i] < 0 ? -negative_scale : 0;
    error += (weights[i] - q) * (weights[i] - q);
  }
  return error;
}

// The mean of the |w| with this code: the best scale for given codes, 0 where it would have to be negative.
double bestScale(const std::vector<float>& weights, const std::vector<int>& codes, int sign, bool both) {
  double sum = 0;
  int count = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (codes[i] == sign || (both && codes[i] == -sign)) {
      sum += codes[i] * weights[i];
      ++count;
    }
  }
  return count == 0 ? 0 : std::max(0.0, sum / count);
}

// The least error over all 3^n patterns of codes.
double leastError(const std::vector<float>& weights, bool two_sided) {
  std::vector<int> codes(weights.size(), -1);
  double best = 1e300;
  while (true) {
    const double plus = bestScale(weights, codes, 1, !two_sided);
    const double minus = two_sided ? bestScale(weights, codes, -1, false) : plus;
    best = std::min(best, squaredError(weights, codes, plus, minus));
    std::size_t i = 0;
    while (i < codes.size() && ++codes[i] == 2) codes[i++] = -1;
    if (i == codes.size()) return best;
  }
}

std::vector<int> codesFor(const std::vector<float>& weights, double scale, double negative_scale) {
  std::vector<std::int8_t> codes(weights.size(), 99);
  assignCodes(weights, scale, negative_scale, codes);
  return {codes.begin(), codes.end()};
}

// Mean squared error relative to the norm over many groups of standard normal weights.
double relativeError(std::size_t size, bool two_sided) {
  Gauss gauss(7);
  double error = 0;
  double norm = 0;
  for (int i = 0; i < 200000 / static_cast<int>(size); ++i) {
    const auto group = gaussGroup(&gauss, size);
    error += (two_sided ? fitGroupTwoSided(group) : fitGroup(group)).squared_error;
    for (const float w : group) norm += double{w} * w;
  }
  return error / norm;
}

}  // namespace

TEST_SUITE("fgq") {
  TEST_CASE("no pattern of codes beats the fit") {
    Gauss gauss(1);
    for (std::size_t size = 1; size <= 8; ++size) {
      for (int trial = 0; trial < (size < 7 ? 40 : 6); ++trial) {
        const auto group = gaussGroup(&gauss, size);
        CAPTURE(size);
        CAPTURE(trial);
        CHECK(fitGroup(group).squared_error == doctest::Approx(leastError(group, false)).epsilon(1e-9));
        CHECK(fitGroupTwoSided(group).squared_error ==
              doctest::Approx(leastError(group, true)).epsilon(1e-9));
      }
    }
  }

  TEST_CASE("the fit's scales and codes have the error it states") {
    Gauss gauss(2);
    for (const std::size_t size : {1, 3, 4, 16, 64, 65, 500}) {
      CAPTURE(size);
      const auto group = gaussGroup(&gauss, size);
      for (const GroupFit& fit : {fitGroup(group), fitGroupTwoSided(group)}) {
        const auto codes = codesFor(group, fit.scale, fit.negative_scale);
        const double error = squaredError(group, codes, fit.scale, fit.negative_scale);
        CHECK(error == doctest::Approx(fit.squared_error).epsilon(1e-9));
      }
      CHECK(fitGroupTwoSided(group).squared_error <= fitGroup(group).squared_error + 1e-9);
    }
  }

  TEST_CASE("groups without a choice") {
    CHECK(fitGroup(std::vector<float>{}).scale == 0);
    CHECK(fitGroup(std::vector<float>{0, 0, 0}).scale == 0);
    CHECK(fitGroup(std::vector<float>{0, 0, 0}).squared_error == 0);
    const GroupFit same = fitGroup(std::vector<float>{2, -2, 2, 0});
    CHECK(same.scale == 2);
    CHECK(same.squared_error == 0);
    const GroupFit sides = fitGroupTwoSided(std::vector<float>{3, -1, -1, 3});
    CHECK(sides.scale == 3);
    CHECK(sides.negative_scale == 1);
    CHECK(sides.squared_error == 0);
    CHECK(fitGroupTwoSided(std::vector<float>{-1, -1}).scale == 0);
  }

  TEST_CASE("two planes: never worse than one, and near the best of all codes") {
    Gauss gauss(5);
    double worst = 0;
    for (int i = 0; i < 200; ++i) {
      const auto group = gaussGroup(&gauss, i % 2 == 0 ? 4 : 64);
      const TwoScales scales = fitGroupTwoPlanes(group);
      CHECK(scales.first >= scales.second);
      CHECK(scales.second >= 0);
      const double error = twoPlaneError(group, scales);
      CHECK(error <= fitGroup(group).squared_error * (1 + 1e-12));
      std::vector<std::int8_t> first(group.size()), second(group.size());
      assignTwoPlanes(group, scales, first, second);
      double stated = 0;
      for (std::size_t j = 0; j < group.size(); ++j) {
        const double difference = group[j] - scales.first * first[j] - scales.second * second[j];
        stated += difference * difference;
      }
      CHECK(stated == doctest::Approx(error));
      if (group.size() != 4) continue;
      double best = 1e300;  // a fine grid of scales stands for all of them
      for (int a = 1; a <= 80; ++a) {
        for (int b = 0; b <= a; ++b) best = std::min(best, twoPlaneError(group, {a * .04, b * .04}));
      }
      worst = std::max(worst, error - best);
    }
    CHECK(worst < .25);
  }

  TEST_CASE("two planes of 64: the Gaussian error is about .028") {
    Gauss gauss(9);
    double error = 0;
    double norm = 0;
    for (int i = 0; i < 300; ++i) {
      const auto group = gaussGroup(&gauss, 64);
      error += twoPlaneError(group, fitGroupTwoPlanes(group));
      for (const float w : group) norm += double{w} * w;
    }
    CHECK(error / norm == doctest::Approx(.028).epsilon(.05));
  }

  TEST_CASE("expected error for Gaussian weights") {
    CHECK(relativeError(2, false) == doctest::Approx(.050).epsilon(.03));
    CHECK(relativeError(2, true) == doctest::Approx(.026).epsilon(.03));
    CHECK(relativeError(4, false) == doctest::Approx(.101).epsilon(.02));
    CHECK(relativeError(4, true) == doctest::Approx(.062).epsilon(.02));
    CHECK(relativeError(64, false) == doctest::Approx(.185).epsilon(.01));
    CHECK(relativeError(64, true) == doctest::Approx(.179).epsilon(.01));
  }

  TEST_CASE("codes are the best for any scales") {
    Gauss gauss(3);
    for (int trial = 0; trial < 200; ++trial) {
      const auto group = gaussGroup(&gauss, 16);
      const double plus = std::fabs(gauss());
      const double minus = std::fabs(gauss());
      const auto codes = codesFor(group, plus, minus);
      for (std::size_t i = 0; i < group.size(); ++i) {
        const auto error = [&](int code) { return squaredError({group[i]}, {code}, plus, minus); };
        CHECK(error(codes[i]) <= std::min({error(-1), error(0), error(1)}));
      }
    }
  }

  TEST_CASE("ties and zero scales give code 0") {
    CHECK(codesFor({1, -1, 0}, 2, 2) == std::vector<int>{0, 0, 0});
    CHECK(codesFor({1.001F, -1.001F, 0}, 2, 2) == std::vector<int>{1, -1, 0});
    CHECK(codesFor({5, -5}, 0, 0) == std::vector<int>{0, 0});
    CHECK(codesFor({5, -5}, 1, 0) == std::vector<int>{1, 0});
  }
}
