// Grids of activations, chosen on histograms.
#include "quantize/grid_search.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "quantize_runs.h"

namespace {

using namespace trefoil;           // NOLINT
using namespace trefoil::testing;  // NOLINT

Histogram uniform(double low, double high) {
  std::vector<float> values;
  for (int i = 0; i < 4000; ++i) values.push_back(static_cast<float>(low + (high - low) * (i + 0.5) / 4000));
  Histogram histogram;
  histogram.add(values);
  return histogram;
}

// Mean squared error of what a function of slope `below` under zero, and 1 above it, makes of the grid's
// points.
double errorBehind(const Histogram& histogram, const Grid& grid, double below) {
  std::vector<GridSample> samples = samplesOf(histogram);
  for (GridSample& sample : samples) {
    if (sample.value < 0) sample.count *= below * below;
  }
  return gridError(samples, grid);
}

}  // namespace

TEST_SUITE("grid search") {
  TEST_CASE("a grid without slopes spans both signs alike") {
    const Grid grid = searchGrid(uniform(-1, 1), {8});
    CHECK(grid.zero_point > 120);
    CHECK(grid.zero_point < 135);
    CHECK(grid.scale == doctest::Approx(2.0 / 255).epsilon(0.02));
  }

  TEST_CASE("levels go where the function that follows is steep") {
    const Histogram histogram = uniform(-1, 1);
    GridRequest request{8};
    const Grid even = searchGrid(histogram, request);
    const double below = 0.01;
    request.slope = [=](double x) { return x < 0 ? below : 1.0; };
    const Grid grid = searchGrid(histogram, request);
    CHECK(grid.scale < 0.95 * even.scale);
    CHECK(errorBehind(histogram, grid, below) < 0.9 * errorBehind(histogram, even, below));
  }

  TEST_CASE("in front of a leaky ReLU negative values get the fewer levels the less it leaves of them") {
    const auto zeroPoint = [](float alpha) {
      NetBuilder b({3, 12, 12});
      const int conv = b.layer(stem(b), 8, 3);
      b.graph.nodes[conv].name = "input of leaky";
      const int leaky = b.activation(conv, Activation::kLeakyRelu);
      std::get<ActivationOp>(b.graph.nodes[leaky].op).alpha = alpha;
      b.classifier(leaky, 5);
      const Quantized quantized = quantizeOrFail(quantizeInput(b.graph));
      return nodeNamed(quantized.model, "input of leaky").grid.zero_point;
    };
    CHECK(zeroPoint(0.001F) < zeroPoint(0.999F) - 40);
  }

  TEST_CASE("values that were rounded before are not rounded to other points if that errs more") {
    // A leaky ReLU behind a grid of which the fewer negative values take half.
    Histogram inputs = uniform(-1, 1);
    Histogram results = uniform(-0.1, 1);
    for (int i = 0; i < 6; ++i) {
      inputs.merge(uniform(0, 1));
      results.merge(uniform(0, 1));
    }
    const Grid before = searchGrid(inputs, {8});
    GridRequest request{8};
    const Grid unaware = searchGrid(results, request);
    for (GridSample sample : samplesOf(inputs)) {
      const auto leaky = [](double x) { return x < 0 ? 0.1 * x : x; };
      const int point = quantizeValue(sample.value, before, 0, before.max());
      sample.arrives = leaky(double{before.scale} * (point - before.zero_point));
      sample.value = leaky(sample.value);
      request.samples.push_back(sample);
    }
    request.scales_before = {before.scale};
    const Grid grid = searchGrid(results, request);
    CHECK(unaware.scale < 0.7 * before.scale);
    CHECK(grid.scale == before.scale);
    CHECK(gridError(request.samples, grid) < 0.9 * gridError(request.samples, unaware));
  }

  TEST_CASE("a leaky ReLU's results keep the positive points of its input") {
    NetBuilder b({3, 12, 12});
    const int conv = b.layer(stem(b), 8, 3);
    b.graph.nodes[conv].name = "input of leaky";
    for (float& bias : std::get<ConvOp>(b.graph.nodes[conv].op).bias) bias += 0.5F;  // fewer negative values
    const int leaky = b.activation(conv, Activation::kLeakyRelu);
    b.graph.nodes[leaky].name = "leaky";
    std::get<ActivationOp>(b.graph.nodes[leaky].op).alpha = 0.1F;
    b.classifier(leaky, 5);
    const Quantized quantized = quantizeOrFail(quantizeInput(b.graph));
    CHECK(nodeNamed(quantized.model, "leaky").grid.scale ==
          nodeNamed(quantized.model, "input of leaky").grid.scale);
  }
}
