#include "quantize/codebook.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

namespace trefoil {
namespace {

constexpr int kRounds = 20;
constexpr std::size_t kBins = 128;
constexpr int kTops = 120;

struct Weighted {
  double value, weight;
};

// Runs of nearest values around each level (all by falling size), replaced by their means.
bool moveLevels(const std::vector<Weighted>& falling, std::vector<double>* levels) {
  bool moved = false;
  std::size_t i = 0;
  for (std::size_t l = 0; l < levels->size(); ++l) {
    const bool last = l + 1 == levels->size();
    const double border = last ? -1 : ((*levels)[l] + (*levels)[l + 1]) / 2;
    double sum = 0;
    double weight = 0;
    for (; i < falling.size() && (last || falling[i].value > border); ++i) {
      sum += falling[i].value * falling[i].weight;
      weight += falling[i].weight;
    }
    if (weight == 0) continue;
    moved |= (*levels)[l] != sum / weight;
    (*levels)[l] = sum / weight;
  }
  return moved;
}

// Joins neighbours to at most kBins values; the joined ones lie closer together than levels ever do.
std::vector<Weighted> joinNeighbours(const std::vector<Weighted>& falling) {
  if (falling.size() <= kBins) return falling;
  std::vector<Weighted> bins;
  for (std::size_t b = 0; b < kBins; ++b) {
    Weighted bin{0, 0};
    for (std::size_t i = b * falling.size() / kBins; i < (b + 1) * falling.size() / kBins; ++i) {
      bin.value += falling[i].value * falling[i].weight;
      bin.weight += falling[i].weight;
    }
    bin.value /= bin.weight;
    bins.push_back(bin);
  }
  return bins;
}

// The least cost of cutting the first n values into runs, for one run more at a time.
class Cuts {
 public:
  explicit Cuts(const std::vector<Weighted>& falling) : weight_(1), sum_(1), square_(1) {
    for (const Weighted& w : falling) {
      weight_.push_back(weight_.back() + w.weight);
      sum_.push_back(sum_.back() + w.weight * w.value);
      square_.push_back(square_.back() + w.weight * w.value * w.value);
      costs_.push_back(cost(0, weight_.size() - 1));
    }
  }

  void addRun() {
    std::vector<double> next(costs_.size());
    std::vector<std::size_t> from(costs_.size());
    for (std::size_t n = 1; n <= next.size(); ++n) {
      next[n - 1] = costs_[n - 1];  // an empty run
      from[n - 1] = n;
      for (std::size_t cut = 1; cut < n; ++cut) {
        const double total = costs_[cut - 1] + cost(cut, n);
        if (total >= next[n - 1]) continue;
        next[n - 1] = total;
        from[n - 1] = cut;
      }
    }
    costs_ = std::move(next);
    from_.push_back(std::move(from));
  }

  std::vector<double> means() const {
    std::vector<double> rising;
    std::size_t end = costs_.size();
    for (std::size_t r = from_.size(); r-- > 0;) {
      const std::size_t cut = from_[r][end - 1];
      if (cut < end) rising.push_back(mean(cut, end));
      end = cut;
    }
    rising.push_back(mean(0, end));
    return {rising.rbegin(), rising.rend()};
  }

 private:
  double mean(std::size_t begin, std::size_t end) const {
    return (sum_[end] - sum_[begin]) / (weight_[end] - weight_[begin]);
  }
  double cost(std::size_t begin, std::size_t end) const {
    const double sum = sum_[end] - sum_[begin];
    return square_[end] - square_[begin] - sum * sum / (weight_[end] - weight_[begin]);
  }

  std::vector<double> weight_, sum_, square_;   // of the first n values
  std::vector<double> costs_;                   // [n - 1]: of the first n values
  std::vector<std::vector<std::size_t>> from_;  // by run added: where it begins
};

std::vector<double> bestLevels(const std::vector<Weighted>& falling, int count) {
  Cuts cuts(joinNeighbours(falling));
  for (int i = 1; i < count; ++i) cuts.addRun();
  std::vector<double> levels = cuts.means();
  for (int round = 0; round < kRounds && moveLevels(falling, &levels); ++round) {
  }
  return levels;
}

std::vector<double> geometricRow(double top, int count, double ratio) {
  std::vector<double> levels(static_cast<std::size_t>(count));
  for (double& level : levels) {
    level = top;
    top /= ratio;
  }
  return levels;
}

double distance(const std::vector<Weighted>& falling, const std::vector<double>& levels) {
  double sum = 0;
  std::size_t l = 0;
  for (const Weighted& w : falling) {
    while (l + 1 < levels.size() && std::fabs(levels[l + 1] - w.value) < std::fabs(levels[l] - w.value)) ++l;
    sum += (levels[l] - w.value) * (levels[l] - w.value) * w.weight;
  }
  return sum;
}

std::vector<double> bestRow(const std::vector<Weighted>& falling, int count, double ratio) {
  std::vector<double> best;
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kTops; ++i) {
    // From a little above the largest value (which then rounds up) to where everything is cut.
    std::vector<double> row = geometricRow(falling[0].value * 1.2 * (kTops - i) / kTops, count, ratio);
    const double error = distance(falling, row);
    if (error >= least) continue;
    least = error;
    best = std::move(row);
  }
  return best;
}

}  // namespace

std::vector<double> fitLevels(std::span<const double> values, std::span<const double> weights, int count,
                              LevelKind kind) {
  std::vector<Weighted> falling;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] > 0 && weights[i] > 0) falling.push_back({values[i], weights[i]});
  }
  std::stable_sort(falling.begin(), falling.end(),
                   [](const Weighted& a, const Weighted& b) { return a.value > b.value; });
  if (falling.empty()) return {};
  switch (kind) {
    case LevelKind::kFitted:
      return bestLevels(falling, count);
    case LevelKind::kPowersOf2:
      return bestRow(falling, count, 2);
    case LevelKind::kPowersOfSqrt2:
      return bestRow(falling, count, std::sqrt(2.0));
  }
  return {};
}

int largestLevelInteger(int count, LevelKind kind) {
  const int unit = kind == LevelKind::kPowersOf2 ? 1 << (count - 1) : 1;
  return 255 / unit * unit;
}

}  // namespace trefoil
