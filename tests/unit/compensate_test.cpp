#include "quantize/compensate.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <numeric>
#include <set>
#include <vector>

#include "../helpers/random.h"
#include "quantize/factor.h"
#include "quantize/group_search.h"
#include "quantize/plain_filter.h"

namespace {

using namespace trefoil;           // NOLINT
using namespace trefoil::testing;  // NOLINT

float gauss(Random* random) {
  float sum = 0;
  for (int i = 0; i < 12; ++i) sum += static_cast<float>(random->integer(0, 1000)) / 1000;
  return sum - 6;
}

std::vector<float> gaussVector(Random* random, std::size_t count) {
  std::vector<float> values(count);
  for (float& v : values) v = gauss(random);
  return values;
}

// Covariance of correlated inputs, as neighbouring pixels and channels are.
std::vector<float> covariance(Random* random, int n) {
  const auto size = static_cast<std::size_t>(n);
  const std::vector<float> mix = gaussVector(random, size * size);
  std::vector<float> h(size * size);
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t j = 0; j < size; ++j) {
      double sum = i == j ? 0.5 : 0;
      for (std::size_t k = 0; k < size; ++k)
        sum += double{mix[i * size + k]} * mix[j * size + k] / (1.0 + static_cast<double>(k * k) / 16);
      h[i * size + j] = static_cast<float>(sum);
    }
  }
  return h;
}

double quadratic(const std::vector<float>& h, const std::vector<double>& e) {
  double sum = 0;
  for (std::size_t i = 0; i < e.size(); ++i) {
    for (std::size_t j = 0; j < e.size(); ++j) sum += e[i] * h[i * e.size() + j] * e[j];
  }
  return sum;
}

const auto go_on = [](double) { return true; };

// A random group with its metric, factor and force.
struct GroupCase {
  GroupCase(Random* random, int n)
      : metric(covariance(random, n)), weights(gaussVector(random, metric.size())) {
    weights.resize(static_cast<std::size_t>(n));
    factor = metric;
    REQUIRE(factorize(n, 1e-9F, factor.data(), go_on));
    for (std::size_t i = 0; i < weights.size(); ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < weights.size(); ++j)
        sum += double{metric[i * weights.size() + j]} * weights[j];
      force.push_back(static_cast<float>(sum));
    }
  }
  // Of the codes, less that of no codes at all: what GroupCodes states.
  double error(const GroupCodes& codes, double step, int planes) const {
    std::vector<double> e(weights.begin(), weights.end());
    const double all = quadratic(metric, e);
    for (int p = 0; p < planes; ++p) {
      for (std::size_t i = 0; i < e.size(); ++i) e[i] -= step * codes.scales[p] * codes.codes[p][i];
    }
    return quadratic(metric, e) - all;
  }
  std::vector<float> metric, weights, factor, force;
};

// Over all codes; with the best scale for each, or the best level.
double leastError(const GroupCase& c, const ScaleGrid& grid) {
  const std::size_t n = c.weights.size();
  std::vector<int> codes(n, -1);
  double best = 0;
  while (true) {
    double quad = 0;
    double dot = 0;
    for (std::size_t i = 0; i < n; ++i) {
      dot += codes[i] * double{c.force[i]};
      for (std::size_t j = 0; j < n; ++j) quad += codes[i] * codes[j] * double{c.metric[i * n + j]};
    }
    if (quad > 0 && dot > 0 && grid.levels.empty()) best = std::min(best, -dot * dot / quad);
    for (const int level : grid.levels) {
      const double scale = grid.step * level;
      best = std::min(best, scale * (scale * quad - 2 * dot));
    }
    std::size_t i = 0;
    while (i < n && ++codes[i] == 2) codes[i++] = -1;
    if (i == n) return best;
  }
}

// One convolution of 3 x 3 with random weights, and moments of its inputs and outputs.
struct LayerCase {
  LayerCase(Random* random, int filters_in, int channels_in) : filters(filters_in), channels(channels_in) {
    size = channels * 9;
    weights = gaussVector(random, static_cast<std::size_t>(filters * size));
    h = covariance(random, size);
  }
  LayerMoments moments(const std::vector<std::size_t>& starts) const {
    LayerMoments m;
    m.size = size;
    m.places = places;
    m.images = images;
    std::vector<double> variances;
    for (int i = 0; i < size; ++i) variances.push_back(h[static_cast<std::size_t>(i) * size + i]);
    m.order = compensationOrder(variances, starts);
    m.inputs.resize(h.size());
    m.outputs.assign(static_cast<std::size_t>(filters * size), 0.0F);
    for (int i = 0; i < size; ++i) {
      for (int j = 0; j < size; ++j) m.inputs[i * size + j] = h[m.order[i] * size + m.order[j]];
    }
    const std::vector<float>& results_of = asked.empty() ? weights : asked;
    for (int k = 0; k < filters; ++k) {
      for (int j = 0; j < size; ++j) {
        double sum = 0;
        for (int i = 0; i < size; ++i) sum += double{results_of[k * size + i]} * h[i * size + m.order[j]];
        m.outputs[k * size + j] = static_cast<float>(sum);
      }
    }
    return m;
  }
  QConvOp plain(const LayerChoice& choice) const {
    QConvOp op;
    op.window.kernel_h = op.window.kernel_w = 3;
    const std::vector<StepBounds> bounds(filters, StepBounds{0, 1e30});
    quantizeWeights(weights, filters, channels, choice, bounds, &op);
    return op;
  }
  QConvOp compensated(const LayerChoice& choice, std::vector<double>* stated = nullptr) const {
    QConvOp op = plain(choice);
    std::vector<std::size_t> starts(static_cast<std::size_t>(size) + 1);
    std::iota(starts.begin(), starts.end(), std::size_t{0});
    if (choice.weights == WeightKind::kTernary) starts = groupStarts(channels, 9, choice.group_size);
    const std::vector<StepBounds> bounds(filters, StepBounds{0, 1e30});
    REQUIRE(compensate(weights, {0, filters, channels}, choice, bounds, moments(starts), go_on, &op, stated));
    return op;
  }
  // Expected squared error of filter k's results, with the damping.
  double error(const QConvOp& op, int k) const {
    std::vector<std::int32_t> integers(size);
    filterIntegers(op, k, channels, integers);
    std::vector<double> e;
    double trace = 0;
    for (int i = 0; i < size; ++i) {
      e.push_back(weights[k * size + i] - double{op.filter_scales[k]} * integers[i]);
      trace += h[i * size + i];
    }
    double sum = quadratic(h, e);
    for (const double x : e) sum += 0.05 * trace / size * x * x;
    return sum;
  }
  double error(const QConvOp& op) const {
    double sum = 0;
    for (int k = 0; k < filters; ++k) sum += error(op, k);
    return sum;
  }

  int filters, channels, size = 0;
  std::int64_t places = 100000;
  int images = 100000;
  std::vector<float> weights, h;
  std::vector<float> asked;  // whose results the moments tell of; empty: the weights'
};

LayerChoice ternaryChoice(int group_size, int levels, int planes) {
  LayerChoice choice;
  choice.method = Method::kCompensated;
  choice.group_size = group_size;
  choice.scale_levels = levels;
  choice.planes = planes;
  return choice;
}

}  // namespace

TEST_SUITE("compensate") {
  TEST_CASE("the factor's product is the matrix, and solving undoes it") {
    Random random(1);
    for (const int n : {1, 2, 7, 64, 65, 200}) {
      CAPTURE(n);
      const auto size = static_cast<std::size_t>(n);
      const std::vector<float> h = covariance(&random, n);
      std::vector<float> r = h;
      for (std::size_t i = 0; i < size; ++i) {
        for (std::size_t j = 0; j < i; ++j) r[i * size + j] = 1e9F;  // must not be read
      }
      double last = 0;
      REQUIRE(factorize(n, 1e-9F, r.data(), [&](double done) {
        CHECK(done > last);
        last = done;
        return true;
      }));
      double worst = 0;
      for (std::size_t i = 0; i < size; ++i) {
        for (std::size_t j = 0; j < size; ++j) {
          double sum = 0;
          for (std::size_t k = 0; k < size; ++k) sum += double{r[i * size + k]} * r[j * size + k];
          worst = std::max(worst, std::fabs(sum - h[i * size + j]));
          if (j < i) CHECK(r[i * size + j] == 0);
        }
      }
      CHECK(worst < 1e-3);
      const std::vector<float> x = gaussVector(&random, 3 * size);
      std::vector<float> b(3 * size);
      for (std::size_t row = 0; row < 3; ++row) {
        for (std::size_t j = 0; j < size; ++j) {
          double sum = 0;
          for (std::size_t k = 0; k < size; ++k) sum += double{x[row * size + k]} * r[j * size + k];
          b[row * size + j] = static_cast<float>(sum);
        }
      }
      solveTransposed(n, r.data(), 3, b.data());
      for (std::size_t i = 0; i < b.size(); ++i) CHECK(b[i] == doctest::Approx(x[i]).epsilon(2e-3));
    }
    std::vector<float> singular = {1, 1, 1, 1};
    CHECK(factorize(2, 1e-4F, singular.data(), go_on));
    CHECK(std::isfinite(singular[0]));
    std::vector<float> h = covariance(&random, 4);
    CHECK(!factorize(4, 1e-9F, h.data(), [](double) { return false; }));
  }

  TEST_CASE("small groups: the best of all patterns") {
    Random random(2);
    for (const int n : {1, 2, 3, 4, 5, 6, 8}) {
      for (int round = 0; round < 10; ++round) {
        CAPTURE(n);
        const GroupCase c(&random, n);
        GroupSearch search(1);
        search.setFactor(n, c.factor);
        for (const auto& levels : {std::vector<int>{}, {30000, 15000}, {40000, 20000, 10000, 5000}}) {
          // A fine step, so that rounding a free scale does not count; it is beyond 255 only here.
          const ScaleGrid grid{levels.empty() ? 0.02 : 1e-4, levels};
          GroupCodes codes;
          search.search(c.force, c.weights, grid, &codes);
          const double best = leastError(c, grid);
          CHECK(codes.error == doctest::Approx(c.error(codes, grid.step, 1)).epsilon(2e-3));
          CHECK(codes.error <= best + std::fabs(best) * 1e-3 + 1e-3);
        }
      }
    }
  }

  TEST_CASE("large groups: never worse than the plain codes, two planes never worse than one") {
    Random random(3);
    for (const int n : {9, 16, 64}) {
      for (const auto& levels : {std::vector<int>{}, {200, 120, 60}}) {
        CAPTURE(n);
        const GroupCase c(&random, n);
        const ScaleGrid grid{0.01, levels};
        double errors[2];
        for (int planes = 1; planes <= 2; ++planes) {
          GroupSearch search(planes);
          search.setFactor(n, c.factor);
          GroupCodes codes;
          search.search(c.force, c.weights, grid, &codes);
          CHECK(codes.error == doctest::Approx(c.error(codes, grid.step, planes)).epsilon(2e-3));
          const double before = codes.error;
          search.improve(c.force, grid, &codes);
          CHECK(codes.error <= before + std::fabs(before) * 1e-5);
          CHECK(codes.error == doctest::Approx(c.error(codes, grid.step, planes)).epsilon(2e-3));
          errors[planes - 1] = codes.error;
          if (planes == 2 || !levels.empty()) continue;
          GroupCodes plain;
          plain.scales[0] = static_cast<int>(fitGroup(c.weights).scale / grid.step + 0.5);
          plain.codes[0].resize(c.weights.size());
          assignCodes(c.weights, plain.scales[0] * grid.step, plain.scales[0] * grid.step, plain.codes[0]);
          CHECK(codes.error < c.error(plain, grid.step, 1));
        }
        CHECK(errors[1] < errors[0]);
      }
    }
  }

  TEST_CASE("a layer's results err less than with plain codes, and by what is stated") {
    Random random(4);
    const LayerCase layer(&random, 3, 16);
    for (const int group_size : {1, 2, 4, 5, 8, 16, kWholeFilter}) {
      for (const int levels : {kFreeScales, 2, 4}) {
        for (const int planes : {1, 2}) {
          CAPTURE(group_size);
          CAPTURE(levels);
          CAPTURE(planes);
          const LayerChoice choice = ternaryChoice(group_size, levels, planes);
          std::vector<double> stated;
          const QConvOp op = layer.compensated(choice, &stated);
          REQUIRE(stated.size() == 3);
          for (int k = 0; k < 3; ++k) CHECK(layer.error(op, k) == doctest::Approx(stated[k]).epsilon(1e-2));
          const double plain = layer.error(layer.plain(choice));
          CHECK(layer.error(op) < (group_size == kWholeFilter && levels != kFreeScales ? 1.0 : 0.8) * plain);
          if (levels == kFreeScales) continue;
          for (int k = 0; k < 3; ++k) {
            std::set<int> scales;
            for (const TernaryPlane& plane : op.ternary.planes) {
              const std::size_t count = plane.scales.size() / 3;
              for (std::size_t i = k * count; i < (k + 1) * count; ++i) scales.insert(plane.scales[i]);
            }
            CHECK(static_cast<int>(scales.size()) <= levels);
          }
        }
      }
    }
  }

  TEST_CASE("two planes err less than one, smaller groups less than larger") {
    Random random(5);
    const LayerCase layer(&random, 4, 16);
    const auto error = [&](int group_size, int levels, int planes) {
      return layer.error(layer.compensated(ternaryChoice(group_size, levels, planes)));
    };
    for (const int group_size : {4, 16}) {
      CHECK(error(group_size, kFreeScales, 2) < 0.5 * error(group_size, kFreeScales, 1));
      CHECK(error(group_size, 4, 2) < 0.6 * error(group_size, 4, 1));
    }
    CHECK(error(4, kFreeScales, 1) < error(16, kFreeScales, 1));
    CHECK(error(4, 4, 1) < error(4, 2, 1));
  }

  TEST_CASE("with few samples the weights stay by themselves") {
    Random random(9);
    LayerCase layer(&random, 3, 16);
    const LayerChoice choice = ternaryChoice(4, kFreeScales, 1);
    double before = 0;
    for (const int places : {100000, 72, 8, 1}) {
      layer.places = places;
      const QConvOp op = layer.compensated(choice);
      const WeightError weights = weightError(layer.weights, op, 3, 16);
      if (before > 0) CHECK(weights.noise < before);
      before = weights.noise;
    }
    const WeightError plain = weightError(layer.weights, layer.plain(choice), 3, 16);
    CHECK(before < 1.3 * plain.noise);
  }

  TEST_CASE("what earlier layers changed is made up for as far as there are images to tell how") {
    Random random(10);
    LayerCase layer(&random, 3, 16);
    layer.asked = layer.weights;
    for (float& w : layer.asked) w += 0.5F * gauss(&random);
    LayerChoice choice;
    choice.weights = WeightKind::kInt8;
    choice.method = Method::kCompensated;
    double before = -1;
    for (const int images : {1, 4, 18, 100000}) {  // of 8 independent places each; a filter has 144 inputs
      layer.images = images;
      const double away = weightError(layer.weights, layer.compensated(choice), 3, 16).noise;
      CAPTURE(images);
      CHECK(away > 1.2 * before);
      before = away;
    }
    layer.images = 1;
    layer.places = 1;
    CHECK(weightError(layer.weights, layer.compensated(choice), 3, 16).noise < 0.02 * before);
    layer.images = layer.places = 100000;
    CHECK(weightError(layer.asked, layer.compensated(choice), 3, 16).noise < 0.3 * before);
  }

  TEST_CASE("int8 rounding is compensated too") {
    Random random(6);
    const LayerCase layer(&random, 3, 8);
    LayerChoice choice;
    choice.weights = WeightKind::kInt8;
    choice.method = Method::kCompensated;
    std::vector<double> stated;
    const QConvOp op = layer.compensated(choice, &stated);
    CHECK(layer.error(op) < 0.7 * layer.error(layer.plain(choice)));
    for (int k = 0; k < 3; ++k) CHECK(layer.error(op, k) == doctest::Approx(stated[k]).epsilon(0.1));
  }

  TEST_CASE("the same codes twice; an end where it is not wanted") {
    Random random(7);
    const LayerCase layer(&random, 3, 8);
    const LayerChoice choice = ternaryChoice(4, 4, 1);
    CHECK(layer.compensated(choice) == layer.compensated(choice));
    const std::vector<StepBounds> bounds(3, StepBounds{0, 1e30});
    for (int calls = 0;; ++calls) {
      QConvOp op = layer.plain(choice);
      int left = calls;
      if (compensate(
              layer.weights, {0, 3, 8}, choice, bounds, layer.moments(groupStarts(8, 9, 4)),
              [&](double) { return left-- > 0; }, &op)) {
        CHECK(calls > 5);
        break;
      }
      REQUIRE(calls < 1000);
    }
  }

  TEST_CASE("no variance at all, and filters of zeros") {
    Random random(8);
    LayerCase layer(&random, 3, 8);
    std::fill(layer.h.begin(), layer.h.end(), 0.0F);
    std::fill(layer.weights.begin(), layer.weights.begin() + layer.size, 0.0F);
    for (const int levels : {kFreeScales, 4}) {
      const LayerChoice choice = ternaryChoice(4, levels, 1);
      const QConvOp op = layer.compensated(choice);
      for (const float scale : op.filter_scales) CHECK((std::isfinite(scale) && scale > 0));
      for (int i = 0; i < layer.size; ++i) CHECK(op.ternary.planes[0].codes[i] == 0);
      const WeightError error = weightError(layer.weights, op, 3, 8);
      CHECK(error.noise < 0.2 * error.signal);
    }
  }
}
