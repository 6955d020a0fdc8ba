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
