#include "quantize/fgq.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <functional>
#include <vector>

namespace trefoil {
namespace {

// The best support among magnitudes sorted falling: its mean, and how much of the squared norm it explains.
struct Support {
  double scale = 0;
  double explained = 0;  // S_k^2 / k
  double norm = 0;       // sum of squares
};

Support bestSupport(std::span<const float> falling) {
  Support best;
  double sum = 0;
  for (std::size_t i = 0; i < falling.size(); ++i) {
    const double magnitude = falling[i];
    const double count = static_cast<double>(i + 1);
    sum += magnitude;
    best.norm += magnitude * magnitude;
    const double explained = sum * sum / count;
    if (explained > best.explained) {
      best.explained = explained;
      best.scale = sum / count;
    }
  }
  return best;
}

// Room for one group; groups of usual sizes need no memory from the heap.
class Magnitudes {
 public:
  explicit Magnitudes(std::size_t size) {
    if (size > small_.size()) large_.resize(size);
    data_ = size > small_.size() ? large_.data() : small_.data();
  }
  void push(float magnitude) { data_[count_++] = magnitude; }
  std::span<const float> sorted() {
    std::sort(data_, data_ + count_, std::greater<>());
    return {data_, count_};
  }

 private:
  std::array<float, 64> small_;
  std::vector<float> large_;
  float* data_ = nullptr;
  std::size_t count_ = 0;
};

constexpr int kTwoPlaneRounds = 12;

// Codes of the nearest sum to magnitude w >= 0.
struct CodePair {
  int first = 0, second = 0;
};

CodePair nearestSum(double w, TwoScales scales) {
  // By rising magnitude of the sum, fewest codes first where sums are equal.
  constexpr CodePair kPairs[] = {{0, 0}, {0, 1}, {1, 0}, {1, -1}, {1, 1}};
  CodePair best;
  double least = std::fabs(w);
  for (const CodePair& pair : kPairs) {
    const double distance = std::fabs(w - pair.first * scales.first - pair.second * scales.second);
    if (distance >= least) continue;
    least = distance;
    best = pair;
  }
  return best;
}

TwoScales ordered(double a, double b) { return {std::max({a, b, 0.0}), std::max(std::min(a, b), 0.0)}; }

// The best scales for the codes of the nearest sums.
TwoScales refitScales(std::span<const float> weights, TwoScales scales) {
  double n11 = 0, n12 = 0, n22 = 0, r1 = 0, r2 = 0;
  for (const float weight : weights) {
    const double w = std::fabs(double{weight});
    const CodePair codes = nearestSum(w, scales);
    n11 += codes.first * codes.first;
    n12 += codes.first * codes.second;
    n22 += codes.second * codes.second;
    r1 += codes.first * w;
    r2 += codes.second * w;
  }
  const double determinant = n11 * n22 - n12 * n12;
  if (determinant <= 0) return ordered(n11 > 0 ? r1 / n11 : 0, n22 > 0 && n11 == 0 ? r2 / n22 : 0);
  return ordered((r1 * n22 - r2 * n12) / determinant, (r2 * n11 - r1 * n12) / determinant);
}

}  // namespace

GroupFit fitGroup(std::span<const float> weights) {
  Magnitudes magnitudes(weights.size());
  for (const float w : weights) magnitudes.push(std::fabs(w));
  const Support best = bestSupport(magnitudes.sorted());
  return {best.scale, best.scale, std::max(0.0, best.norm - best.explained)};
}

GroupFit fitGroupTwoSided(std::span<const float> weights) {
  Magnitudes positive(weights.size());
  Magnitudes negative(weights.size());
  for (const float w : weights) {
    if (w > 0) positive.push(w);
    if (w < 0) negative.push(-w);
  }
  const Support plus = bestSupport(positive.sorted());
  const Support minus = bestSupport(negative.sorted());
  const double error = plus.norm - plus.explained + minus.norm - minus.explained;
  return {plus.scale, minus.scale, std::max(0.0, error)};
}

TwoScales fitGroupTwoPlanes(std::span<const float> weights) {
  const double single = fitGroup(weights).scale;
  TwoScales best{single, 0};
  double least = twoPlaneError(weights, best);
  for (const double outer : {0.6, 0.85, 1.1, 1.4}) {
    for (const double inner : {0.3, 0.5, 0.75}) {
      TwoScales scales{outer * single, outer * inner * single};
      double error = twoPlaneError(weights, scales);
      for (int round = 0; round < kTwoPlaneRounds; ++round) {
        const TwoScales next = refitScales(weights, scales);
        const double next_error = twoPlaneError(weights, next);
        if (next_error >= error) break;
        scales = next;
        error = next_error;
      }
      if (error >= least) continue;
      least = error;
      best = scales;
    }
  }
  return best;
}

void assignTwoPlanes(std::span<const float> weights, TwoScales scales, std::span<std::int8_t> first,
                     std::span<std::int8_t> second) {
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const CodePair codes = nearestSum(std::fabs(double{weights[i]}), scales);
    const int sign = weights[i] < 0 ? -1 : 1;
    first[i] = static_cast<std::int8_t>(sign * codes.first);
    second[i] = static_cast<std::int8_t>(sign * codes.second);
  }
}

double twoPlaneError(std::span<const float> weights, TwoScales scales) {
  double error = 0;
  for (const float weight : weights) {
    const double w = std::fabs(double{weight});
    const CodePair codes = nearestSum(w, scales);
    const double difference = w - codes.first * scales.first - codes.second * scales.second;
    error += difference * difference;
  }
  return error;
}

void assignCodes(std::span<const float> weights, double scale, double negative_scale,
                 std::span<std::int8_t> codes) {
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double w = weights[i];
    std::int8_t code = 0;
    if (scale > 0 && w > scale / 2) code = 1;
    if (negative_scale > 0 && w < -negative_scale / 2) code = -1;
    codes[i] = code;
  }
}

}  // namespace trefoil
