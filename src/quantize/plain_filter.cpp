#include "quantize/plain_filter.h"

#include <algorithm>
#include <cmath>

#include "quantize/codebook.h"

namespace trefoil {
namespace {

constexpr int kMaxScale = 255;
constexpr int kLevelRounds = 8;

int scaleInteger(double scale, double step) {
  return static_cast<int>(std::min<double>(std::floor(scale / step + 0.5), kMaxScale));
}

// The level of which the group's best codes err least; where all codes are 0, the last one.
double bestLevel(std::span<const float> group, std::span<const double> levels) {
  double best = levels.back();
  double least = 0;  // of the error less the weights' squares
  for (const double level : levels) {
    double error = 0;
    for (const float w : group) error += std::min(0.0, level * (level - 2 * std::fabs(double{w})));
    if (error >= least) continue;
    least = error;
    best = level;
  }
  return best;
}

TwoScales bestLevels(std::span<const float> group, std::span<const double> levels) {
  TwoScales best{levels.back(), levels.back()};
  double least = twoPlaneError(group, best);
  for (std::size_t i = 0; i < levels.size(); ++i) {
    for (std::size_t j = i; j < levels.size(); ++j) {
      const TwoScales scales{levels[i], levels[j]};
      const double error = twoPlaneError(group, scales);
      if (error >= least) continue;
      least = error;
      best = scales;
    }
  }
  return best;
}

}  // namespace

std::vector<std::size_t> groupStarts(int channels, int taps, int group_size) {
  std::vector<std::size_t> starts;
  const std::size_t total = static_cast<std::size_t>(channels) * taps;
  if (group_size == kWholeFilter) return {0, total};
  for (int tap = 0; tap < taps; ++tap) {
    for (int c = 0; c < channels; c += group_size)
      starts.push_back(static_cast<std::size_t>(tap) * channels + c);
  }
  starts.push_back(total);
  return starts;
}

PlainFilter::PlainFilter(const LayerChoice& choice, std::vector<std::size_t> starts)
    : choice_(choice), starts_(std::move(starts)), groups_(starts_.size() - 1) {}

void PlainFilter::fit(std::span<const float> filter) {
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const auto group = filter.subspan(starts_[g], starts_[g + 1] - starts_[g]);
    GroupScales& scales = groups_[g];
    scales = {};
    if (choice_.planes == 2) {
      const TwoScales fit = fitGroupTwoPlanes(group);
      scales.scale[0] = fit.first;
      scales.scale[1] = fit.second;
    } else {
      const GroupFit fit = choice_.method == Method::kFgqTwoSided ? fitGroupTwoSided(group) : fitGroup(group);
      scales.scale[0] = fit.scale;
      scales.scale[1] = fit.negative_scale;
    }
    for (const float w : group) {
      scales.weight[0] += std::fabs(w) > scales.scale[0] / 2 ? 1 : 0;
      scales.weight[1] += std::fabs(w) > scales.scale[1] / 2 ? 1 : 0;
    }
  }
  levels_.clear();
  if (choice_.scale_levels == kFreeScales) return;
  std::vector<double> values;
  std::vector<double> weights;
  for (const GroupScales& scales : groups_) {
    for (int p = 0; p < choice_.planes; ++p) {
      values.push_back(scales.scale[p]);
      weights.push_back(scales.weight[p]);
    }
  }
  levels_ = fitLevels(values, weights, choice_.scale_levels, choice_.level_kind);
  if (choice_.level_kind == LevelKind::kFitted && choice_.planes == 1 && !levels_.empty())
    refineLevels(filter);
}

// Lloyd's algorithm once more, on the weights themselves: codes follow the levels, levels the codes.
void PlainFilter::refineLevels(std::span<const float> filter) {
  for (int round = 0; round < kLevelRounds; ++round) {
    std::vector<double> sums(levels_.size());
    std::vector<double> counts(levels_.size());
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      const auto group = filter.subspan(starts_[g], starts_[g + 1] - starts_[g]);
      const double level = bestLevel(group, levels_);
      const auto l =
          static_cast<std::size_t>(std::find(levels_.begin(), levels_.end(), level) - levels_.begin());
      for (const float w : group) {
        if (std::fabs(double{w}) <= level / 2) continue;
        sums[l] += std::fabs(double{w});
        counts[l] += 1;
      }
    }
    for (std::size_t l = 0; l < levels_.size(); ++l) {
      if (counts[l] > 0) levels_[l] = sums[l] / counts[l];
    }
  }
}

double PlainFilter::largestScale() const {
  double largest = 0;
  if (!levels_.empty()) return *std::max_element(levels_.begin(), levels_.end());
  for (const GroupScales& scales : groups_) largest = std::max({largest, scales.scale[0], scales.scale[1]});
  return largest;
}

int PlainFilter::largestInteger() const {
  return levels_.empty() ? kMaxScale : largestLevelInteger(choice_.scale_levels, choice_.level_kind);
}

void PlainFilter::append(std::span<const float> filter, double step, std::span<TernaryPlane> planes) const {
  const std::size_t base = planes[0].codes.size();
  for (TernaryPlane& plane : planes) plane.codes.resize(base + filter.size());
  std::vector<double> levels;
  for (const double level : levels_) levels.push_back(step * scaleInteger(level, step));
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const auto group = filter.subspan(starts_[g], starts_[g + 1] - starts_[g]);
    const auto codes = [&](TernaryPlane& plane) {
      return std::span(plane.codes).subspan(base + starts_[g], group.size());
    };
    int integers[2];
    for (int i = 0; i < 2; ++i) integers[i] = scaleInteger(groups_[g].scale[i], step);
    if (planes.size() == 2) {
      if (!levels.empty()) {
        const TwoScales best = bestLevels(group, levels);
        integers[0] = scaleInteger(best.first, step);
        integers[1] = scaleInteger(best.second, step);
      }
      // The codes are chosen again: rounding has moved the thresholds a little.
      assignTwoPlanes(group, {step * integers[0], step * integers[1]}, codes(planes[0]), codes(planes[1]));
      for (int p = 0; p < 2; ++p) planes[p].scales.push_back(static_cast<std::uint8_t>(integers[p]));
      continue;
    }
    if (!levels.empty()) integers[0] = integers[1] = scaleInteger(bestLevel(group, levels), step);
    assignCodes(group, step * integers[0], step * integers[1], codes(planes[0]));
    planes[0].scales.push_back(static_cast<std::uint8_t>(integers[0]));
    if (choice_.method == Method::kFgqTwoSided)
      planes[0].negative_scales.push_back(static_cast<std::uint8_t>(integers[1]));
  }
}

}  // namespace trefoil
