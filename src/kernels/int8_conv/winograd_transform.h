// The three transforms of minimal filtering F(4, taps), for 3 and 4 taps, without fractions.
//
// With points a = 0, 1, -1, 2, -2, with 4 taps 3, and infinity, inputs d and taps g:
//   4 outputs = At [(G g) * (Bt d)],  Bt: coefficients of Lagrange's polynomials, G and At: powers of a.
// The polynomials' denominators are brought to a common one, and what is left of them multiplies G, so that
// all outputs come 24 (120) times too large. Up to there everything is modulo 2^32. Then 3 (15) is divided
// out by its inverse modulo 2^32, which is exact whatever was lost above the 32nd bit, and 8 by a shift. So
// only an output times 8 must fit 32 bits.
#pragma once

#include <cstdint>

#include "kernels/simd_util.h"

namespace trefoil::winograd {

inline constexpr int kOutputs = 4;
inline constexpr int kMostPoints = 7;
inline constexpr int kShift = 3;

constexpr int points(int taps) { return taps + kOutputs - 1; }

// Eight positions' inputs of 0..255, in 16-bit lanes, to the products' left factors, which stay below 10,240.
// With 3 taps the seventh input is not used.
//
// Polynomials stand for sums of inputs, x^k for input k: all rows of Bt but the one of point 3 hold either
// (x^2 - 1) or (x^2 - 4), with 4 taps both times (x - 3).
TREFOIL_INLINE void inputs(const v128_t (&d)[kMostPoints], int taps, v128_t (&to)[kMostPoints]) {
  v128_t by1[5], by4[5];
  TREFOIL_UNROLL
  for (int k = 0; k < 5; ++k) {
    by1[k] = wasm_i16x8_sub(d[k + 2], d[k]);
    by4[k] = wasm_i16x8_sub(d[k + 2], wasm_i16x8_shl(d[k], 2));
  }
  if (taps == 4) {
    to[5] = wasm_i16x8_sub(by1[3], wasm_i16x8_shl(by1[1], 2));
    TREFOIL_UNROLL
    for (int k = 0; k < 4; ++k) {
      by1[k] = wasm_i16x8_sub(by1[k + 1], wasm_i16x8_mul(by1[k], wasm_i16x8_splat(3)));
      by4[k] = wasm_i16x8_sub(by4[k + 1], wasm_i16x8_mul(by4[k], wasm_i16x8_splat(3)));
    }
  }
  const v128_t twice = wasm_i16x8_shl(by1[1], 1);
  to[0] = wasm_i16x8_sub(by4[2], by4[0]);
  to[1] = wasm_i16x8_add(by4[2], by4[1]);
  to[2] = wasm_i16x8_sub(by4[2], by4[1]);
  to[3] = wasm_i16x8_add(by1[2], twice);
  to[4] = wasm_i16x8_sub(by1[2], twice);
  to[taps + 2] = wasm_i16x8_sub(by4[3], by4[1]);
}

// One filter row's taps of 8 bits to the products' right factors.
inline void weights(const int (&g)[4], int taps, std::int16_t (&to)[kMostPoints]) {
  constexpr int kPoint[6] = {0, 1, -1, 2, -2, 3};
  constexpr int kScale[2][7] = {{6, -4, -4, 1, 1, 24}, {-10, 10, 5, -5, -1, 1, 120}};
  const int* scale = kScale[taps - 3];
  TREFOIL_NO_VECTORS
  for (int i = 0; i < taps + 2; ++i) {
    int sum = 0;
    TREFOIL_NO_VECTORS
    for (int t = taps - 1; t >= 0; --t) sum = sum * kPoint[i] + g[t];
    to[i] = static_cast<std::int16_t>(sum * scale[i]);
  }
  to[taps + 2] = static_cast<std::int16_t>(g[taps - 1] * scale[taps + 2]);
}

// Four positions' sums of products, `stride` vectors apart, to their outputs: y[j] holds output j of each.
TREFOIL_INLINE void outputs(const v128_t* sums, int stride, int taps, v128_t (&y)[kOutputs]) {
  const v128_t plus1 = sums[stride], minus1 = sums[2 * stride];
  const v128_t plus2 = sums[3 * stride], minus2 = sums[4 * stride];
  const v128_t even1 = wasm_i32x4_add(plus1, minus1), odd1 = wasm_i32x4_sub(plus1, minus1);
  const v128_t even2 = wasm_i32x4_add(plus2, minus2), odd2 = wasm_i32x4_sub(plus2, minus2);
  y[0] = wasm_i32x4_add(wasm_i32x4_add(sums[0], even1), even2);
  y[1] = wasm_i32x4_add(odd1, wasm_i32x4_shl(odd2, 1));
  y[2] = wasm_i32x4_add(even1, wasm_i32x4_shl(even2, 2));
  y[3] = wasm_i32x4_add(wasm_i32x4_add(odd1, wasm_i32x4_shl(odd2, 3)), sums[(taps + 2) * stride]);
  constexpr std::uint32_t kThird = 0xAAAAAAAB, kFifteenth = 0xEEEEEEEF;
  static_assert(3 * kThird == 1 && 15 * kFifteenth == 1);
  v128_t inverse = wasm_i32x4_splat(static_cast<std::int32_t>(kThird));
  if (taps == 4) {
    v128_t term = sums[5 * stride];
    TREFOIL_UNROLL
    for (int j = 0; j < kOutputs; ++j) {
      y[j] = wasm_i32x4_add(y[j], term);
      term = wasm_i32x4_add(term, wasm_i32x4_shl(term, 1));
    }
    inverse = wasm_i32x4_splat(static_cast<std::int32_t>(kFifteenth));
  }
  TREFOIL_UNROLL
  for (v128_t& sum : y) sum = wasm_i32x4_shr(wasm_i32x4_mul(sum, inverse), kShift);
}

}  // namespace trefoil::winograd
