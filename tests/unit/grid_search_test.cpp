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
  std::vector<Histogram::Bin> bins = histogram.bins();
  for (Histogram::Bin& bin : bins) {
    if (bin.value < 0) bin.count *= below * below;
  }
  return gridError(bins, grid);
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
}
