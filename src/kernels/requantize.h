// The last step of every convolution: int32 accumulators to u8, bit for bit as requantize() in
// base/fixed_point.h.
#pragma once

#include <algorithm>
#include <cstdint>
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
// Only the upper half of the 64-bit product is needed: with a shift of 32 + s, floor(x / 2^(32+s)) equals
// floor(floor(x / 2^32) / 2^s), and picking upper halves is one shuffle. For s > 0 the rounding term is a
// multiple of 2^32 and can be added to the upper half as well. The shifts 31 and 32 (factors of a quarter and
// more) need it earlier; they are rare and go lane by lane.
class Requantizer {
 public:
  // Memory for the multiplier, which must outlive the Requantizer. Were it a plain splat, clang would turn
  // the widening multiplications into full 64-bit ones, which cost three times as much.
  struct Room {
    alignas(16) std::int32_t multiplier[4];
  };

  Requantizer(FixedPoint factor, int zero_point, int low, int high, Room& room)
      : multiplier_(room.multiplier),
        rounding_(wasm_i32x4_splat(factor.shift > 32 ? 1 << (factor.shift - 33) : 0)),
        zero_point_(wasm_i16x8_splat(static_cast<std::int16_t>(zero_point))),
        low_(wasm_i16x8_splat(static_cast<std::int16_t>(low))),
        high_(wasm_i16x8_splat(static_cast<std::int16_t>(high))),
        shift_(factor.shift) {
    for (std::int32_t& lane : room.multiplier) lane = factor.multiplier;
  }

  // Eight accumulators to eight values 0..255 in i16 lanes. Saturating to 16 bits before the zero point is
  // added is harmless, because the clamp's range is within 0..255.
  TREFOIL_INLINE v128_t apply(v128_t a, v128_t b) const {
    if (shift_ <= 32) [[unlikely]] {
      a = scaleLanes(a);
      b = scaleLanes(b);
    } else {
      asm volatile("" ::"r"(multiplier_) : "memory");  // hides that all four numbers are equal
      const v128_t multiplier = wasm_v128_load(multiplier_);
      a = scale(a, multiplier);
      b = scale(b, multiplier);
    }
    const v128_t q = wasm_i16x8_add_sat(wasm_i16x8_narrow_i32x4(a, b), zero_point_);
    return wasm_i16x8_min(wasm_i16x8_max(q, low_), high_);
  }

 private:
  TREFOIL_INLINE v128_t scale(v128_t accumulators, v128_t multiplier) const {
    const v128_t even = wasm_i64x2_extmul_low_i32x4(accumulators, multiplier);
    const v128_t odd = wasm_i64x2_extmul_high_i32x4(accumulators, multiplier);
    return wasm_i32x4_shr(wasm_i32x4_add(wasm_i32x4_shuffle(even, odd, 1, 3, 5, 7), rounding_), shift_ - 32);
  }

  // By scalar products: with vectors here too, clang would merge parts of both branches, and what it
  // multiplies in another block than it widens becomes a full 64-bit multiplication as well.
  TREFOIL_INLINE v128_t scaleLanes(v128_t accumulators) const {
    std::int32_t lanes[4];
    wasm_v128_store(lanes, accumulators);
    TREFOIL_NO_VECTORS
    for (std::int32_t& lane : lanes) {
      lane = static_cast<std::int32_t>(
          scaleAccumulator(lane, {multiplier_[0], static_cast<std::uint8_t>(shift_)}));
    }
    return wasm_v128_load(lanes);
  }

  const std::int32_t* multiplier_;
  v128_t rounding_, zero_point_, low_, high_;
  std::uint32_t shift_;
};

}  // namespace trefoil
