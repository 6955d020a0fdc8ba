#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "quantize/sensitivity.h"

namespace trefoil {
namespace {

constexpr std::size_t kRivals = 5;
constexpr std::size_t kClasses = 10;  // that noise can make the best
constexpr int kDraws = 64;

// Indices of the largest logits, largest first; of equal ones the first.
std::vector<std::size_t> best(std::span<const float> logits, std::size_t count) {
  std::vector<std::size_t> order(logits.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  const std::size_t kept = std::min(count, order.size());
  std::partial_sort(
      order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept), order.end(),
      [&](std::size_t a, std::size_t b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; });
  order.resize(kept);
  return order;
}

// Nearly normal numbers of deviation 1 without a library's logarithm, whose last bits no standard fixes.
class Noise {
 public:
  double next() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) {
      state_ = state_ * 6364136223846793005U + 1442695040888963407U;
      sum += static_cast<double>(state_ >> 40) / (1 << 24);
    }
    return sum;
  }

 private:
  std::uint64_t state_ = 1;
};

}  // namespace

double answerVariance(std::span<const float> reference, std::span<const float> other) {
  const std::vector<std::size_t> order = best(reference, kRivals + 1);
  if (order.size() < 2) return 0;
  double sum = 0;
  for (std::size_t i = 1; i < order.size(); ++i) {
    const double change =
        (double{other[order[0]]} - reference[order[0]]) - (double{other[order[i]]} - reference[order[i]]);
    sum += change * change;
  }
  return sum / static_cast<double>(order.size() - 1);
}

double expectedLoss(const std::vector<std::vector<float>>& logits, double variance) {
  if (logits.empty() || variance <= 0) return 0;
  const double deviation = std::sqrt(variance / 2);  // of one logit; a difference has twice the variance
  Noise noise;
  double lost = 0;
  for (const std::vector<float>& scores : logits) {
    const std::vector<std::size_t> order = best(scores, kClasses);
    const double largest = scores[order[0]];
    double sum = 0;
    for (const float score : scores) sum += std::exp(score - largest);
    for (int draw = 0; draw < kDraws; ++draw) {
      std::size_t winner = 0;
      double highest = 0;
      for (std::size_t i = 0; i < order.size(); ++i) {
        const double score = scores[order[i]] + deviation * noise.next();
        if (i > 0 && score <= highest) continue;
        winner = i;
        highest = score;
      }
      lost += (1 - std::exp(scores[order[winner]] - largest)) / sum;
    }
  }
  return lost / static_cast<double>(logits.size() * kDraws);
}

}  // namespace trefoil
