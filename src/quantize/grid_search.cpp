#include "quantize/grid_search.h"

#include <algorithm>
#include <cmath>

namespace trefoil {
namespace {

constexpr int kCandidates = 100;
constexpr int kRefinements = 10;
constexpr double kLeastWeight = 1e-4;  // of values that a function hardly tells apart

// The grid that spans [low, high], which holds zero.
Grid makeGrid(double low, double high, int bits) {
  Grid grid;
  grid.bits = bits;
  const double span = high - low;
  // Below the first limit the scale would not be a normal float; there is nothing to resolve then either.
  grid.scale = span > 1e-30 ? static_cast<float>(span / grid.max()) : 1.0F;
  grid.zero_point = std::clamp(static_cast<int>(std::floor(-low / grid.scale + 0.5)), 0, grid.max());
  return grid;
}

// Tries bounds `share` of the whole way from zero, and keeps the best.
class Search {
 public:
  Search(const std::vector<GridSample>& samples, double low, double high, int bits)
      : samples_(samples), low_(low), high_(high), bits_(bits) {
    best_ = makeGrid(low, high, bits);
    best_error_ = gridError(samples_, best_);
  }

  void tryShares(double low_share, double high_share) {
    const Grid grid = makeGrid(low_ * low_share, high_ * high_share, bits_);
    if (!keepIfBetter(grid)) return;
    best_low_ = low_share;
    best_high_ = high_share;
  }

  // A grid of that scale, from the lower bound upwards.
  void tryScale(float scale) {
    Grid grid;
    grid.bits = bits_;
    grid.scale = scale;
    grid.zero_point = std::clamp(static_cast<int>(std::floor(-low_ / scale + 0.5)), 0, grid.max());
    keepIfBetter(grid);
  }

  // Candidates around the best share of one bound or of both at once.
  void refine(bool move_low, bool move_high, int candidates, double reach) {
    const double low_center = best_low_;
    const double high_center = best_high_;
    for (int i = -candidates; i <= candidates; ++i) {
      const double offset = reach * i / candidates;
      const double low_share = move_low ? low_center + offset : low_center;
      const double high_share = move_high ? high_center + offset : high_center;
      if (low_share < 0 || low_share > 1 || high_share <= 0 || high_share > 1) continue;
      tryShares(low_share, high_share);
    }
  }

  const Grid& best() const { return best_; }

 private:
  bool keepIfBetter(const Grid& grid) {
    const double error = gridError(samples_, grid);
    if (error >= best_error_) return false;
    best_error_ = error;
    best_ = grid;
    return true;
  }

  const std::vector<GridSample>& samples_;
  double low_, high_;
  int bits_;
  Grid best_;
  double best_error_ = 0;
  double best_low_ = 1, best_high_ = 1;
};

// The value that a share of all values (zeros included) does not exceed.
double percentileOf(const Histogram& histogram, const std::vector<Histogram::Bin>& bins, double percent) {
  const double wanted = static_cast<double>(histogram.count()) * percent / 100;
  double seen = 0;
  bool zeros_seen = false;
  for (const Histogram::Bin& bin : bins) {
    if (bin.value > 0 && !zeros_seen) {
      zeros_seen = true;
      seen += static_cast<double>(histogram.zeros());
      if (seen >= wanted) return 0;
    }
    seen += bin.count;
    if (seen >= wanted) return bin.value;
  }
  return histogram.max();
}

}  // namespace

int quantizeValue(double value, const Grid& grid, int low, int high) {
  const double q = std::floor(value / grid.scale + 0.5) + grid.zero_point;
  return static_cast<int>(std::clamp(q, static_cast<double>(low), static_cast<double>(high)));
}

std::vector<GridSample> samplesOf(const Histogram& histogram) {
  std::vector<GridSample> samples;
  for (const Histogram::Bin& bin : histogram.bins()) samples.push_back({bin.value, bin.value, bin.count});
  return samples;
}

double gridError(const std::vector<GridSample>& samples, const Grid& grid) {
  const double scale = grid.scale;
  const double inverse = 1 / scale;
  const double lowest = -grid.zero_point;
  const double highest = grid.max() - grid.zero_point;
  double error = 0;
  double count = 0;
  for (const GridSample& sample : samples) {
    const double point = std::clamp(std::floor(sample.arrives * inverse + 0.5), lowest, highest);
    const double difference = sample.value - point * scale;
    error += difference * difference * sample.count;
    count += sample.count;
  }
  return count == 0 ? 0 : error / count;
}

Grid searchGrid(const Histogram& histogram, const GridRequest& request) {
  const std::vector<Histogram::Bin> bins = histogram.bins();
  double low = std::max(histogram.min(), std::min(request.lowest, 0.0));
  double high = std::min(histogram.max(), std::max(request.highest, 0.0));
  if (request.rule == ClipRule::kPercentile) {
    high = std::min(high, std::max(0.0, percentileOf(histogram, bins, request.percentile)));
    low = std::max(low, std::min(0.0, percentileOf(histogram, bins, 100 - request.percentile)));
  }
  if (request.rule != ClipRule::kMse || low == high) return makeGrid(low, high, request.bits);
  std::vector<GridSample> samples = request.samples.empty() ? samplesOf(histogram) : request.samples;
  // Beyond the bounds all grids err alike in what matters; such values must not pull at the search.
  for (GridSample& sample : samples) {
    if (request.slope) sample.count *= std::max(std::pow(request.slope(sample.value), 2), kLeastWeight);
    sample.value = std::clamp(sample.value, low, high);
    sample.arrives = std::clamp(sample.arrives, low, high);
  }

  Search search(samples, low, high, request.bits);
  for (int i = 1; i < kCandidates; ++i) {
    const double share = static_cast<double>(i) / kCandidates;
    search.tryShares(share, share);
  }
  const double step = 1.0 / kCandidates;
  search.refine(true, true, kRefinements, step);
  if (low < 0 && high > 0) {
    // The two tails need not be cut at the same share of their length.
    for (int round = 0; round < 2; ++round) {
      search.refine(true, false, kCandidates / 4, 0.5 / (round + 1));
      search.refine(false, true, kCandidates / 4, 0.5 / (round + 1));
    }
  }
  for (const float scale : request.scales_before) search.tryScale(scale);
  return search.best();
}

}  // namespace trefoil
