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

// The scales of two ternary planes, first >= second >= 0.
struct TwoScales {
  double first = 0, second = 0;
};

// min over a1, a2, t1, t2 of |w - a1 t1 - a2 t2|^2, a local minimum from several starts: codes for the scales
// (the nearest of the nine sums), scales for the codes (2 x 2 least squares), in turn. Never worse than
// fitGroup(). (Ternary residual networks, Kundu et al. 2017, arXiv 1707.04679, solved jointly.)
TwoScales fitGroupTwoPlanes(std::span<const float> weights);

// The nearest of the nine sums of two planes, weight by weight, and the squared error with it. Ties go to the
// fewer codes.
void assignTwoPlanes(std::span<const float> weights, TwoScales scales, std::span<std::int8_t> first,
                     std::span<std::int8_t> second);
double twoPlaneError(std::span<const float> weights, TwoScales scales);

}  // namespace trefoil
