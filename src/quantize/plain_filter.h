// Ternary codes and scales of whole filters by least squares on the weights alone.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/ternary.h"
#include "quantize/fgq.h"
#include "quantize/layer_choice.h"

namespace trefoil {

// First index of each group in a filter in the order [R][S][C], and the filter's end.
std::vector<std::size_t> groupStarts(int channels, int taps, int group_size);

// Scales of one group before they meet their grid; weight: how much a change of the scale costs.
struct GroupScales {
  double scale[2] = {0, 0};  // of each plane, or of each sign
  double weight[2] = {0, 0};
};

class PlainFilter {
 public:
  PlainFilter(const LayerChoice& choice, std::vector<std::size_t> starts);

  // Real scales, to which the filter's step is then chosen; levels() is its codebook (empty: free scales).
  void fit(std::span<const float> filter);
  double largestScale() const;
  int largestInteger() const;  // what the largest scale is to become
  const std::vector<double>& levels() const { return levels_; }
  const std::vector<GroupScales>& groups() const { return groups_; }

  // Appends the codes, and the scales as multiples of `step` up to 255, to one plane each.
  void append(std::span<const float> filter, double step, std::span<TernaryPlane> planes) const;

 private:
  void refineLevels(std::span<const float> filter);

  const LayerChoice choice_;
  std::vector<std::size_t> starts_;
  std::vector<GroupScales> groups_;
  std::vector<double> levels_;
};

}  // namespace trefoil
