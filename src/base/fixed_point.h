// The one rounding rule of the integer arithmetic (see DESIGN.md, "Arithmetic").
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace trefoil {

// A real factor as multiplier * 2^-shift. Factors that meet a 32-bit accumulator use a multiplier of
// 0..2^31-1 and a shift of kMinShift..kMaxShift, so that the 64-bit product never overflows and its shifted
// value fits 32 bits.
struct FixedPoint {
  std::int32_t multiplier = 0;
  std::uint8_t shift = 0;
  bool operator==(const FixedPoint&) const = default;
};

inline constexpr int kMinShift = 31;
inline constexpr int kMaxShift = 62;

// value * 2^-shift, rounded half up (towards plus infinity). shift in 0..62.
inline std::int64_t roundingShift(std::int64_t value, int shift) {
  return shift == 0 ? value : (value + (std::int64_t{1} << (shift - 1))) >> shift;
}

// accumulator * factor, rounded half up. |result| <= 2^31 for a factor that fromReal() made.
inline std::int64_t scaleAccumulator(std::int32_t accumulator, FixedPoint factor) {
  return roundingShift(std::int64_t{accumulator} * factor.multiplier, factor.shift);
}

// zero_point + accumulator * factor, clamped to [low, high] (0..255).
inline std::uint8_t requantize(std::int32_t accumulator, FixedPoint factor, int zero_point, int low,
                               int high) {
  const std::int64_t q = zero_point + scaleAccumulator(accumulator, factor);
  return static_cast<std::uint8_t>(std::clamp<std::int64_t>(q, low, high));
}

// The nearest factor to a real in [0, 1). Returns false where the real is negative, not finite, or 1 or
// above.
inline bool fixedPointFromReal(double real, FixedPoint* out) {
  if (!(real >= 0.0) || !(real < 1.0)) return false;
  int exponent = 0;
  const double mantissa =
      std::frexp(real, &exponent);  // real = mantissa * 2^exponent, mantissa in [.5, 1) or 0
  auto multiplier = static_cast<std::int64_t>(std::floor(std::ldexp(mantissa, 31) + 0.5));
  int shift = 31 - exponent;
  if (multiplier == (std::int64_t{1} << 31)) {
    multiplier >>= 1;
    --shift;
  }
  if (shift < kMinShift) return false;  // rounds to 1
  if (shift > kMaxShift) {
    multiplier = roundingShift(multiplier, std::min(shift - kMaxShift, 62));
    shift = kMaxShift;
  }
  *out = {static_cast<std::int32_t>(multiplier), static_cast<std::uint8_t>(shift)};
  return true;
}

}  // namespace trefoil
