// The last step of every convolution: int32 accumulators to u8, bit for bit as requantize() in
// base/fixed_point.h.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "base/fixed_point.h"
#include "kernels/simd_util.h"

namespace trefoil {

// True where Requantizer may be used: every factor is one that fixedPointFromReal() makes.
inline bool requantizerSupports(std::span<const FixedPoint> factors) {
  return std::all_of(factors.begin(), factors.end(), [](const FixedPoint& factor) {
    return factor.multiplier >= 0 && factor.shift >= kMinShift && factor.shift <= kMaxShift;
  });
}

// One filter's factor and clamp, ready for vectors of accumulators.
//
// In doubles: a factor of 31 bits times 2^-shift is one, the product with an accumulator is exact below 53
// bits, and adding 1.5 * 2^52 leaves the nearest integer in the low half of the result. That takes half of
// the operations of 64-bit integer products. It is the rounding rule itself wherever every product that the
// clamp does not swallow fits 53 bits and none of them lies halfway between two integers. Both can be told
// from the factor: with multiplier = m * 2^t, m odd, products of more bits are at least 2^(53 + t - shift),
// and halfway are only odd multiples of m / 2. Other factors are rare and take 64-bit integers.
class Requantizer {
 public:
  // factor: as requantizerSupports(); 0 <= low <= high <= 255, zero_point 0..255.
  Requantizer(FixedPoint factor, int zero_point, int low, int high)
      : offset_(wasm_f64x2_splat(kInteger + zero_point)),
        low_(wasm_i16x8_splat(static_cast<std::int16_t>(low))),
        high_(wasm_i16x8_splat(static_cast<std::int16_t>(high))),
        factor_(factor),
        zero_point_(zero_point),
        in_doubles_(isExactInDoubles(factor, zero_point, low, high)) {
    const double unit = std::bit_cast<double>(std::uint64_t{1023U - factor.shift} << 52);  // 2^-shift
    scale_ = wasm_f64x2_splat(factor.multiplier * unit);
  }

  // Eight accumulators to eight values 0..255 in i16 lanes.
  TREFOIL_INLINE v128_t apply(v128_t a, v128_t b) const {
    if (!in_doubles_) [[unlikely]]
      return applyInIntegers(a, b, factor_, zero_point_, low_, high_);
    // Saturating to 16 bits is harmless, because the clamp's range is within 0..255.
    return wasm_i16x8_min(wasm_i16x8_max(wasm_i16x8_narrow_i32x4(scale(a), scale(b)), low_), high_);
  }

 private:
  static constexpr double kInteger = 6755399441055744.0;  // 1.5 * 2^52

  static bool isExactInDoubles(FixedPoint factor, int zero_point, int low, int high) {
    if (factor.multiplier == 0) return true;
    const int zeros = std::countr_zero(static_cast<std::uint32_t>(factor.multiplier));
    // Results this far from the zero point are clamped, rounded up or down.
    const int clamped = std::max(std::abs(high - zero_point), std::abs(zero_point - low)) + 1;
    const bool whole_products = factor.shift - zeros <= 53 && clamped <= 1LL << (53 + zeros - factor.shift);
    const bool never_halfway = factor.multiplier >> zeros >= 2 * clamped;
    return whole_products && never_halfway && factor.shift > kMinShift;  // below 2^30: 32 bits hold them
  }

  // zero_point + accumulators * factor, not yet clamped.
  TREFOIL_INLINE v128_t scale(v128_t accumulators) const {
    const v128_t front = wasm_f64x2_convert_low_i32x4(accumulators),
                 back = wasm_f64x2_convert_low_i32x4(wasm_i64x2_shuffle(accumulators, accumulators, 1, 1));
    return wasm_i32x4_shuffle(wasm_f64x2_add(wasm_f64x2_mul(front, scale_), offset_),
                              wasm_f64x2_add(wasm_f64x2_mul(back, scale_), offset_), 0, 2, 4, 6);
  }

  // The same by products of 64 bits, of which the upper halves are enough: floor(x / 2^(32 + s)) equals
  // floor(floor(x / 2^32) / 2^s). For s > 0 the rounding term is a multiple of 2^32 and can be added to the
  // upper half as well; the shifts 31 and 32 go lane by lane. Not a method, whose object would have to be in
  // memory.
  __attribute__((noinline)) static v128_t applyInIntegers(v128_t a, v128_t b, FixedPoint factor,
                                                          int zero_point, v128_t low, v128_t high) {
    if (factor.shift <= 32) {
      a = scaleLanes(a, factor);
      b = scaleLanes(b, factor);
    } else {
      a = scaleUpper(a, factor);
      b = scaleUpper(b, factor);
    }
    const v128_t q = wasm_i16x8_add_sat(wasm_i16x8_narrow_i32x4(a, b),
                                        wasm_i16x8_splat(static_cast<std::int16_t>(zero_point)));
    return wasm_i16x8_min(wasm_i16x8_max(q, low), high);
  }

  static v128_t scaleUpper(v128_t accumulators, FixedPoint factor) {
    // In memory whose contents clang can't see: of a plain splat it would make full 64-bit multiplications,
    // which cost three times as much.
    alignas(16)
        std::int32_t room[4] = {factor.multiplier, factor.multiplier, factor.multiplier, factor.multiplier};
    asm volatile("" ::"r"(room) : "memory");
    const v128_t multiplier = wasm_v128_load(room);
    const v128_t front = wasm_i64x2_extmul_low_i32x4(accumulators, multiplier),
                 back = wasm_i64x2_extmul_high_i32x4(accumulators, multiplier);
    const v128_t upper = wasm_i32x4_add(wasm_i32x4_shuffle(front, back, 1, 3, 5, 7),
                                        wasm_i32x4_splat(1 << (factor.shift - 33)));
    return wasm_i32x4_shr(upper, static_cast<std::uint32_t>(factor.shift) - 32);
  }

  static v128_t scaleLanes(v128_t accumulators, FixedPoint factor) {
    std::int32_t lanes[4];
    wasm_v128_store(lanes, accumulators);
    TREFOIL_NO_VECTORS
    for (std::int32_t& lane : lanes) lane = static_cast<std::int32_t>(scaleAccumulator(lane, factor));
    return wasm_v128_load(lanes);
  }

  v128_t scale_, offset_, low_, high_;
  FixedPoint factor_;
  int zero_point_;
  bool in_doubles_;
};

}  // namespace trefoil
