// Codes and scales of one group of a filter's weights in the metric of error compensation: the q that brings
// (w - q) M (w - q)' near its least, M being what is left of the layer's Hessian.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/ternary.h"

namespace trefoil {

// The scales that a group may take: step times an integer of 0..255, or of the filter's levels if it has any.
struct ScaleGrid {
  double step = 1;
  std::vector<int> levels;  // by falling size; empty: free
};

struct GroupCodes {
  int scales[2] = {0, 0};             // integers, one a plane
  std::vector<std::int8_t> codes[2];  // one vector a plane
  double error = 0;                   // of (w - q) M (w - q)', less w M w'
};

class GroupSearch {
 public:
  // planes: 1 or 2.
  explicit GroupSearch(int planes) : planes_(planes) {}

  // The metric of a group of n weights, row-major and symmetric. What all filters share is computed here.
  void setMetric(int n, std::span<const float> metric);
  // The same as M = R R' with R upper triangular, which opens sequential rounding as a start.
  void setFactor(int n, std::span<const float> factor);

  // force: M w', n values. weights: w itself; both change where other groups' errors are to be made up for.
  // Up to 8 weights in one plane: the best of all patterns, for free scales before their rounding. Else a
  // local minimum from several starts; needs setFactor().
  void search(std::span<const float> force, std::span<const float> weights, const ScaleGrid& grid,
              GroupCodes* result);

  // Makes `result` better if it can, from where it is.
  void improve(std::span<const float> force, const ScaleGrid& grid, GroupCodes* result);

 private:
  struct Pair {
    double first = 0, second = 0;
  };
  bool enumerates() const;
  void enumerate(const float* force, const ScaleGrid& grid, GroupCodes* result);
  void tabulate(const float* force);
  void start(std::span<const float> weights, Pair scales);
  void nearest(double value, Pair scales, std::size_t i);
  double descend(const float* force, Pair scales, int sweeps);
  Pair refit(const float* force, Pair scales) const;
  void descendFree(const float* force, const ScaleGrid& grid, Pair scales, GroupCodes* result);
  Pair bestStart(std::span<const float> weights, const std::vector<Pair>& candidates);
  void keep(double error, int first, int second, GroupCodes* result) const;
  void products(const std::vector<std::int8_t>& codes, std::vector<float>* out) const;

  int planes_;
  std::size_t n_ = 0;
  std::vector<float> metric_, factor_;
  std::vector<float> patterns_;  // t M t' of each pattern, where they are enumerated
  std::vector<float> dots_;      // t M w'
  std::vector<std::int8_t> codes_[2];
  std::vector<float> values_, residual_, force_left_;
};

}  // namespace trefoil
