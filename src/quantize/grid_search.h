// The grid of one activation tensor, chosen on its histogram.
#pragma once

#include <functional>
#include <limits>

#include "format/quant_model.h"
#include "quantize/calibration.h"
#include "quantize/recipe.h"

namespace trefoil {

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
};

// Zero is always a point of the grid: zero point 0 where nothing is negative, an integer in the range else.
Grid searchGrid(const Histogram& histogram, const GridRequest& request);

// Mean squared error of the histogram's values on the grid.
double gridError(const std::vector<Histogram::Bin>& bins, const Grid& grid);

// The nearest point of the grid within [low, high] (points, not values).
int quantizeValue(double value, const Grid& grid, int low, int high);

}  // namespace trefoil
