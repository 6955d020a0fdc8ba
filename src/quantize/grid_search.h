// The grid of one activation tensor, chosen on its histogram.
#pragma once

#include <functional>
#include <limits>
#include <vector>

#include "format/quant_model.h"
#include "quantize/calibration.h"
#include "quantize/recipe.h"

namespace trefoil {

// Equal values that a grid is to hold.
struct GridSample {
  double value = 0;    // as the float network has it
  double arrives = 0;  // what rounding before the grid has made of it
  double count = 0;    // how many there are
};

struct GridRequest {
  int bits = 8;
  ClipRule rule = ClipRule::kMse;
  double percentile = 99.99;
  // Values beyond these bounds may as well be cut off (what follows does not tell them apart).
  double lowest = -std::numeric_limits<double>::infinity();
  double highest = std::numeric_limits<double>::infinity();
  // What is left of a small error at a value behind the function that reads it, as a factor; empty: all of
  // it.
  std::function<double(double)> slope = {};
  // The values where some were rounded before, with the scales of the grids that did it; empty: those of the
  // histogram, as they are. A grid of the same scale rounds nothing a second time.
  std::vector<GridSample> samples = {};
  std::vector<float> scales_before = {};
};

// A histogram's values but its exact zeros; nothing has rounded them.
std::vector<GridSample> samplesOf(const Histogram& histogram);

// Zero is always a point of the grid: zero point 0 where nothing is negative, an integer in the range else.
Grid searchGrid(const Histogram& histogram, const GridRequest& request);

// Mean squared error of the values on the grid.
double gridError(const std::vector<GridSample>& samples, const Grid& grid);

// The nearest point of the grid within [low, high] (points, not values).
int quantizeValue(double value, const Grid& grid, int low, int high);

}  // namespace trefoil
