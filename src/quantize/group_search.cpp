#include "quantize/group_search.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/float_gemm.h"
#include "quantize/fgq.h"

namespace trefoil {
namespace {

constexpr std::size_t kMostEnumerated = 8;
constexpr int kMaxScale = 255;
constexpr int kSweeps = 4;
constexpr int kRefits = 3;
constexpr double kOuter[] = {0.55, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4, 1.6};
constexpr double kPlaneOuter[] = {0.6, 0.8, 1.0, 1.2, 1.5};
constexpr double kPlaneInner[] = {0.3, 0.45, 0.65};

int scaleInteger(double scale, double step) {
  return static_cast<int>(std::clamp(std::floor(scale / step + 0.5), 0.0, double{kMaxScale}));
}

// A pattern's number in base 3, lowest weight first: digits 0, 1, 2 are the codes 0, +1, -1. The last
// weight's code is never -1, as a pattern's negative has the same t M t'.
std::size_t patternCount(std::size_t n) {
  std::size_t count = 2;
  for (std::size_t i = 1; i < n; ++i) count *= 3;
  return count;
}

int codeOf(std::size_t digit) { return digit == 2 ? -1 : static_cast<int>(digit); }

}  // namespace

bool GroupSearch::enumerates() const { return planes_ == 1 && n_ <= kMostEnumerated; }

void GroupSearch::setMetric(int n, std::span<const float> metric) {
  n_ = static_cast<std::size_t>(n);
  metric_.assign(metric.begin(), metric.end());
  factor_.clear();
  for (auto& codes : codes_) codes.assign(n_, 0);
  values_.assign(n_, 0.0F);
  if (!enumerates()) return;
  // t M t' of every pattern, from those of one weight fewer and the products t M.
  patterns_.assign(patternCount(n_), 0.0F);
  dots_.assign(patternCount(n_), 0.0F);
  std::size_t count = 1;
  for (std::size_t i = 0; i < n_; ++i) {
    tabulate(metric_.data() + i * n_);
    const std::size_t digits = i + 1 < n_ ? 3 : 2;
    const float own = metric_[i * n_ + i];
    for (std::size_t d = 1; d < digits; ++d) {
      const auto code = static_cast<float>(codeOf(d));
      for (std::size_t p = 0; p < count; ++p)
        patterns_[d * count + p] = patterns_[p] + 2 * code * dots_[p] + own;
    }
    count *= digits;
  }
}

void GroupSearch::setFactor(int n, std::span<const float> factor) {
  const auto size = static_cast<std::size_t>(n);
  std::vector<float> metric(size * size, 0.0F);
  const MatrixRows transposed = [&](std::int64_t k, std::int64_t first, int count, float* buffer) {
    for (int j = 0; j < count; ++j) buffer[j] = factor[(static_cast<std::size_t>(first) + j) * size + k];
    return buffer;
  };
  multiplyAdd(n, n, n, factor.data(), transposed, metric.data());
  setMetric(n, metric);
  factor_.assign(factor.begin(), factor.end());
}

// dots_[p] = the sum over i of pattern p's code of weight i times force[i].
void GroupSearch::tabulate(const float* force) {
  std::size_t count = 1;
  dots_[0] = 0;
  for (std::size_t i = 0; i < n_; ++i) {
    float* dots = dots_.data();
    const float f = force[i];
    for (std::size_t p = 0; p < count; ++p) dots[count + p] = dots[p] + f;
    if (i + 1 == n_) return;
    for (std::size_t p = 0; p < count; ++p) dots[2 * count + p] = dots[p] - f;
    count *= 3;
  }
}

void GroupSearch::enumerate(const float* force, const ScaleGrid& grid, GroupCodes* result) {
  tabulate(force);
  std::size_t best = 0;
  int integer = grid.levels.empty() ? 0 : grid.levels.back();
  std::vector<int> levels = grid.levels;
  if (levels.empty()) {
    float most = 0;  // explained: (t M w')^2 / t M t'
    for (std::size_t p = 1; p < patterns_.size(); ++p) {
      const float explained = dots_[p] * dots_[p];
      if (explained <= most * patterns_[p]) continue;
      most = explained / patterns_[p];
      best = p;
    }
    if (best != 0) levels = {scaleInteger(std::fabs(dots_[best]) / patterns_[best], grid.step)};
  }
  float least = 0;
  best = 0;
  for (const int level : levels) {
    const auto scale = static_cast<float>(grid.step * level);
    for (std::size_t p = 1; p < patterns_.size(); ++p) {
      const float error = scale * (scale * patterns_[p] - 2 * std::fabs(dots_[p]));
      if (error >= least) continue;
      least = error;
      best = p;
      integer = level;
    }
  }
  if (result->error <= least && !result->codes[0].empty()) return;
  result->error = least;
  result->scales[0] = integer;
  const int sign = dots_[best] < 0 ? -1 : 1;
  result->codes[0].resize(n_);
  for (std::size_t i = 0; i < n_; ++i, best /= 3)
    result->codes[0][i] = static_cast<std::int8_t>(sign * codeOf(best % 3));
}

// The codes of weight i whose sum of scales is nearest to the value.
void GroupSearch::nearest(double value, Pair scales, std::size_t i) {
  const double magnitude = std::fabs(value);
  int first = 0;
  int second = 0;
  double least = magnitude;
  const auto attempt = [&](int a, int b) {
    const double distance = std::fabs(magnitude - a * scales.first - b * scales.second);
    if (distance >= least) return;
    least = distance;
    first = a;
    second = b;
  };
  attempt(1, 0);
  if (planes_ == 2) {
    attempt(0, 1);
    attempt(1, -1);
    attempt(1, 1);
  }
  const int sign = value < 0 ? -1 : 1;
  codes_[0][i] = static_cast<std::int8_t>(sign * first);
  codes_[1][i] = static_cast<std::int8_t>(sign * second);
  values_[i] = static_cast<float>(codes_[0][i] * scales.first + codes_[1][i] * scales.second);
}

// Rounds weight after weight, each making up for the errors of those before it.
void GroupSearch::start(std::span<const float> weights, Pair scales) {
  residual_.assign(n_, 0.0F);  // (w - q) R so far
  for (std::size_t i = 0; i < n_; ++i) {
    const float* row = factor_.data() + i * n_;
    nearest(weights[i] + residual_[i] / row[i], scales, i);
    const float error = weights[i] - values_[i];
    for (std::size_t j = i; j < n_; ++j) residual_[j] += error * row[j];
  }
}

// Coordinate descent on the codes from values_; leaves force_left_ = M (w - q)'. Returns the error.
double GroupSearch::descend(const float* force, Pair scales, int sweeps) {
  force_left_.assign(force, force + n_);
  for (std::size_t i = 0; i < n_; ++i) {
    if (values_[i] == 0) continue;
    const float* row = metric_.data() + i * n_;
    for (std::size_t j = 0; j < n_; ++j) force_left_[j] -= values_[i] * row[j];
  }
  for (int sweep = 0; sweep < sweeps; ++sweep) {
    bool changed = false;
    for (std::size_t i = 0; i < n_; ++i) {
      const float* row = metric_.data() + i * n_;
      const float before = values_[i];
      nearest(before + force_left_[i] / row[i], scales, i);
      const float difference = values_[i] - before;
      if (difference == 0) continue;
      changed = true;
      for (std::size_t j = 0; j < n_; ++j) force_left_[j] -= difference * row[j];
    }
    if (!changed) break;
  }
  double error = 0;
  for (std::size_t i = 0; i < n_; ++i) error -= double{values_[i]} * (double{force[i]} + force_left_[i]);
  return error;
}

void GroupSearch::products(const std::vector<std::int8_t>& codes, std::vector<float>* out) const {
  out->assign(n_, 0.0F);
  for (std::size_t i = 0; i < n_; ++i) {
    if (codes[i] == 0) continue;
    const float* row = metric_.data() + i * n_;
    const auto code = static_cast<float>(codes[i]);
    for (std::size_t j = 0; j < n_; ++j) (*out)[j] += code * row[j];
  }
}

// The best scales for the codes.
GroupSearch::Pair GroupSearch::refit(const float* force, Pair scales) const {
  double h11 = 0, h12 = 0, h22 = 0, r1 = 0, r2 = 0;
  std::vector<float> product;
  products(codes_[0], &product);
  for (std::size_t i = 0; i < n_; ++i) {
    h11 += codes_[0][i] * double{product[i]};
    h12 += codes_[1][i] * double{product[i]};
    r1 += codes_[0][i] * double{force[i]};
    r2 += codes_[1][i] * double{force[i]};
  }
  if (planes_ == 1) return {h11 > 0 ? std::max(r1 / h11, 0.0) : scales.first, 0};
  products(codes_[1], &product);
  for (std::size_t i = 0; i < n_; ++i) h22 += codes_[1][i] * double{product[i]};
  const double determinant = h11 * h22 - h12 * h12;
  if (!(determinant > 1e-9 * h11 * h22)) return scales;
  return {std::max((r1 * h22 - r2 * h12) / determinant, 0.0),
          std::max((r2 * h11 - r1 * h12) / determinant, 0.0)};
}

void GroupSearch::keep(double error, int first, int second, GroupCodes* result) const {
  if (error >= result->error && !result->codes[0].empty()) return;
  result->error = error;
  result->scales[0] = first;
  result->scales[1] = second;
  for (int p = 0; p < planes_; ++p) result->codes[p] = codes_[p];
}

// From values_ on: scales and codes in turn, then scales on their grid and codes once more.
void GroupSearch::descendFree(const float* force, const ScaleGrid& grid, Pair scales, GroupCodes* result) {
  for (int round = 0; round < kRefits; ++round) {
    scales = refit(force, scales);
    descend(force, scales, kSweeps);
  }
  const int first = scaleInteger(scales.first, grid.step);
  const int second = scaleInteger(scales.second, grid.step);
  const Pair rounded{grid.step * first, grid.step * second};
  for (std::size_t i = 0; i < n_; ++i) {
    values_[i] = static_cast<float>(codes_[0][i] * rounded.first + codes_[1][i] * rounded.second);
  }
  keep(descend(force, rounded, kSweeps), first, second, result);
}

// The scales to start from: of all candidates the one with which sequential rounding errs least.
GroupSearch::Pair GroupSearch::bestStart(std::span<const float> weights,
                                         const std::vector<Pair>& candidates) {
  Pair best;
  double least = std::numeric_limits<double>::infinity();
  for (const Pair& scales : candidates) {
    start(weights, scales);
    double error = 0;
    for (const float r : residual_) error += double{r} * r;
    if (error >= least) continue;
    least = error;
    best = scales;
  }
  start(weights, best);
  return best;
}

void GroupSearch::search(std::span<const float> force, std::span<const float> weights, const ScaleGrid& grid,
                         GroupCodes* result) {
  for (auto& codes : result->codes) codes.clear();
  if (enumerates()) {
    enumerate(force.data(), grid, result);
    return;
  }
  std::vector<Pair> candidates;
  if (!grid.levels.empty()) {
    for (std::size_t a = 0; a < grid.levels.size(); ++a) {
      if (planes_ == 1) candidates.push_back({grid.step * grid.levels[a], 0});
      for (std::size_t b = a; b < grid.levels.size() && planes_ == 2; ++b)
        candidates.push_back({grid.step * grid.levels[a], grid.step * grid.levels[b]});
    }
    const Pair best = bestStart(weights, candidates);
    keep(descend(force.data(), best, kSweeps), scaleInteger(best.first, grid.step),
         scaleInteger(best.second, grid.step), result);
    return;
  }
  const double single = fitGroup(weights).scale;
  if (planes_ == 1) {
    for (const double outer : kOuter) candidates.push_back({outer * single, 0});
  } else {
    if (n_ <= kMostEnumerated) {  // few weights: their own best scales, which two planes nearly reach
      const TwoScales plain = fitGroupTwoPlanes(weights);
      candidates.push_back({plain.first, plain.second});
    }
    for (const double outer : kPlaneOuter) {
      for (const double inner : kPlaneInner) candidates.push_back({outer * single, outer * inner * single});
    }
  }
  descendFree(force.data(), grid, bestStart(weights, candidates), result);
}

void GroupSearch::improve(std::span<const float> force, const ScaleGrid& grid, GroupCodes* result) {
  // What the present codes cost in this metric.
  Pair scales{grid.step * result->scales[0], grid.step * result->scales[1]};
  for (int p = 0; p < planes_; ++p) codes_[p] = result->codes[p];
  for (std::size_t i = 0; i < n_; ++i) {
    values_[i] = static_cast<float>(codes_[0][i] * scales.first + codes_[1][i] * scales.second);
  }
  result->error = descend(force.data(), scales, 0);
  if (enumerates()) {
    enumerate(force.data(), grid, result);
    return;
  }
  keep(descend(force.data(), scales, kSweeps), result->scales[0], result->scales[1], result);
  if (grid.levels.empty()) descendFree(force.data(), grid, scales, result);
}

}  // namespace trefoil
