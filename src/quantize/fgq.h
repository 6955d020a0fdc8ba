// Fine-grained ternary quantization of one group (Mellempudi et al. 2017, arXiv 1705.01462), solved exactly.
#pragma once

#include <cstdint>
#include <span>

namespace trefoil {

struct GroupFit {
  double scale = 0;           // >= 0
  double negative_scale = 0;  // two-sided fits only; else equal to scale
  double squared_error = 0;   // sum over the group of (w - scale * code)^2
};

// min over a >= 0, t in {-1, 0, 1}^n of |w - a t|^2: with |w| sorted falling and S_k the sum of the k
// largest, the support is the k that maximises S_k^2 / k and a = S_k / k.
GroupFit fitGroup(std::span<const float> weights);

// The same scan on the positive and on the negative weights by themselves.
GroupFit fitGroupTwoSided(std::span<const float> weights);

// The best codes for scales already on their grid: t = sign(w) where |w| is nearer to its scale than to 0.
// Ties go to 0.
void assignCodes(std::span<const float> weights, double scale, double negative_scale,
                 std::span<std::int8_t> codes);

}  // namespace trefoil
