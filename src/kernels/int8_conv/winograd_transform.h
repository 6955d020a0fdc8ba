// The three transforms of minimal filtering F(4, taps), for 2, 3 and 4 taps, without fractions.
//
// With points a_i, of which the last is infinity, inputs d and taps g:
//   4 outputs = At [(G g) * (Bt d)],  Bt: coefficients of Lagrange's polynomials, G and At: powers of a_i.
// The polynomials' denominators prod(a_i - a_j) are brought to a common one, D, and what is left of them
// multiplies G, so that all outputs come D times too large. Up to there everything is modulo 2^32. Then
// D = 2^s * odd is divided out: the odd part by its inverse modulo 2^32, which is exact whatever was lost
// above the 32nd bit, the rest by a shift. So only an output times 2^s must fit 32 bits.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <numeric>

#include "kernels/simd_util.h"

namespace trefoil {

// The transforms' coefficients.
template <int taps>
struct WinogradNumbers {
  static constexpr int kOutputs = 4;
  static constexpr int kPoints = taps + kOutputs - 1;  // products of a filter row, and inputs that it meets
  static constexpr int kPoint[6] = {0, 1, -1, 2, -2, 3};

  static constexpr int polynomialAt(int i) {
    int result = 1;
    for (int j = 0; j < kPoints - 1; ++j) result *= j == i ? 1 : kPoint[i] - kPoint[j];
    return result;
  }
  static constexpr int denominator() {
    int result = 1;
    for (int i = 0; i < kPoints - 1; ++i) result = std::lcm(result, polynomialAt(i));
    return result;
  }

  // Bt's row i.
  static constexpr std::array<int, kPoints> inputRow(int i) {
    std::array<int, kPoints> coefficients{1};
    int degree = 0;
    for (int j = 0; j < kPoints - 1; ++j) {
      if (j == i) continue;
      ++degree;
      for (int k = degree; k >= 0; --k) {
        coefficients[k] = (k > 0 ? coefficients[k - 1] : 0) - kPoint[j] * coefficients[k];
      }
    }
    return coefficients;
  }

  // G's row i, times the common denominator.
  static constexpr std::array<int, taps> weightRow(int i) {
    std::array<int, taps> row{};
    if (i == kPoints - 1) {
      row[taps - 1] = denominator();
    } else {
      row[0] = denominator() / polynomialAt(i);
      for (int t = 1; t < taps; ++t) row[t] = row[t - 1] * kPoint[i];
    }
    return row;
  }

  static constexpr bool fit16Bits() {
    for (int i = 0; i < kPoints; ++i) {
      int above = 0, below = 0, weight = 0;
      for (const int c : inputRow(i)) (c > 0 ? above : below) += c > 0 ? c : -c;
      for (const int c : weightRow(i)) weight += c > 0 ? c : -c;
      if (255 * above > 32767 || 255 * below > 32767 || 128 * weight > 32767) return false;
    }
    return true;
  }

  // Newton's iteration doubles the number of right bits.
  static constexpr std::uint32_t inverseOfOdd(std::uint32_t odd) {
    std::uint32_t inverse = odd;
    for (int i = 0; i < 5; ++i) inverse *= 2 - odd * inverse;
    return inverse;
  }
};

template <int taps>
class WinogradTransform {
  using Numbers = WinogradNumbers<taps>;
  static_assert(taps >= 2 && taps <= 4 && Numbers::fit16Bits());

  static constexpr auto kDenominator = static_cast<std::uint32_t>(Numbers::denominator());

 public:
  static constexpr int kOutputs = Numbers::kOutputs, kPoints = Numbers::kPoints;
  // Outputs times 2 to this power must fit 32 bits.
  static constexpr int kShift = std::countr_zero(kDenominator);

  // Eight positions' inputs 0..255, in 16-bit lanes, to the products' left factors.
  TREFOIL_INLINE static void input(const v128_t (&d)[kPoints], v128_t (&to)[kPoints]) {
    inputPoint<0>(d, to);
  }

  // One filter row's taps, of 8 bits, to the products' right factors.
  static void weights(const int (&g)[taps], std::int16_t (&to)[kPoints]) {
    for (int i = 0; i < kPoints; ++i) {
      int sum = 0;
      for (int t = 0; t < taps; ++t) sum += Numbers::weightRow(i)[t] * g[t];
      to[i] = static_cast<std::int16_t>(sum);
    }
  }

  // Four positions' sums of products, `stride` vectors apart, to their outputs: y[j] holds output j of each.
  TREFOIL_INLINE static void output(const v128_t* sums, int stride, v128_t (&y)[kOutputs]) {
    const v128_t plus1 = sums[stride], minus1 = sums[2 * stride], plus2 = sums[3 * stride];
    const v128_t even1 = wasm_i32x4_add(plus1, minus1), odd1 = wasm_i32x4_sub(plus1, minus1);
    v128_t even2 = plus2, odd2 = plus2;
    if constexpr (kPoints > 5) {
      const v128_t minus2 = sums[4 * stride];
      even2 = wasm_i32x4_add(plus2, minus2);
      odd2 = wasm_i32x4_sub(plus2, minus2);
    }
    y[0] = wasm_i32x4_add(wasm_i32x4_add(sums[0], even1), even2);
    y[1] = wasm_i32x4_add(odd1, wasm_i32x4_shl(odd2, 1));
    y[2] = wasm_i32x4_add(even1, wasm_i32x4_shl(even2, 2));
    y[3] = wasm_i32x4_add(wasm_i32x4_add(odd1, wasm_i32x4_shl(odd2, 3)), sums[(kPoints - 1) * stride]);
    if constexpr (kPoints > 6) {
      v128_t term = sums[5 * stride];
      TREFOIL_UNROLL
      for (int j = 0; j < kOutputs; ++j) {
        y[j] = wasm_i32x4_add(y[j], term);
        term = wasm_i32x4_add(term, wasm_i32x4_shl(term, 1));
      }
    }
    constexpr std::uint32_t kInverse = Numbers::inverseOfOdd(kDenominator >> kShift);
    const v128_t inverse = wasm_i32x4_splat(static_cast<std::int32_t>(kInverse));
    TREFOIL_UNROLL
    for (int j = 0; j < kOutputs; ++j) y[j] = wasm_i32x4_shr(wasm_i32x4_mul(y[j], inverse), kShift);
  }

 private:
  template <int i>
  TREFOIL_INLINE static void inputPoint(const v128_t (&d)[kPoints], v128_t (&to)[kPoints]) {
    to[i] = sumOf<i, 0>(d, wasm_i16x8_splat(0));
    if constexpr (i + 1 < kPoints) inputPoint<i + 1>(d, to);
  }
  template <int i, int j>
  TREFOIL_INLINE static v128_t sumOf(const v128_t (&d)[kPoints], v128_t sum) {
    constexpr int kFactor = Numbers::inputRow(i)[j];
    if constexpr (kFactor == 1) {
      sum = wasm_i16x8_add(sum, d[j]);
    } else if constexpr (kFactor == -1) {
      sum = wasm_i16x8_sub(sum, d[j]);
    } else if constexpr (kFactor != 0) {
      sum = wasm_i16x8_add(sum, wasm_i16x8_mul(d[j], wasm_i16x8_splat(static_cast<std::int16_t>(kFactor))));
    }
    if constexpr (j + 1 < kPoints) sum = sumOf<i, j + 1>(d, sum);
    return sum;
  }
};

}  // namespace trefoil
