// A 32-bit multiplication of lanes is slow on x86, a dot product of 16-bit pairs is not. So every multiplier
// is split into 15 low bits and the rest, and (a, b) pairs meet (m1, m2) pairs: sum = dot(high) * 2^15 +
// dot(low) + constant.
#include "base/simd.h"
#include "kernels/add/add.h"

namespace trefoil {
namespace {

constexpr int kLowBits = 15;

v128_t pairs(int first, int second) {
  const auto a = static_cast<std::int16_t>(first);
  const auto b = static_cast<std::int16_t>(second);
  return wasm_i16x8_make(a, b, a, b, a, b, a, b);
}

v128_t roundingAndZeroPoints(const AddTask& task) {
  const std::int32_t rounding = task.shift == 0 ? 0 : 1 << (task.shift - 1);
  return wasm_i32x4_splat(rounding - task.zero_points[0] * task.multipliers[0] -
                          task.zero_points[1] * task.multipliers[1]);
}

// sum: four shifted sums of the (a, b) pairs in i16 lanes. Returns how many of the first bytes are done.
template <typename Sum>
std::size_t addVectors(const AddTask& task, const std::uint8_t* a, const std::uint8_t* b, std::uint8_t* out,
                       const Sum& sum) {
  const v128_t zero_point = wasm_i16x8_splat(static_cast<std::int16_t>(task.zero_point));
  const v128_t low = wasm_i8x16_splat(static_cast<std::int8_t>(task.low));
  const v128_t high = wasm_i8x16_splat(static_cast<std::int8_t>(task.high));
  // Eight results in i16 lanes, not yet clamped, of 16 interleaved bytes a, b, a, b, ...
  const auto eight = [&](v128_t ab) {
    const v128_t sums =
        wasm_i16x8_narrow_i32x4(sum(wasm_u16x8_extend_low_u8x16(ab)), sum(wasm_u16x8_extend_high_u8x16(ab)));
    return wasm_i16x8_add_sat(sums, zero_point);
  };
  std::size_t i = 0;
  for (; i + 16 <= task.count; i += 16) {
    const v128_t va = wasm_v128_load(a + i);
    const v128_t vb = wasm_v128_load(b + i);
    const v128_t front = wasm_i8x16_shuffle(va, vb, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const v128_t back =
        wasm_i8x16_shuffle(va, vb, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    const v128_t q = wasm_u8x16_narrow_i16x8(eight(front), eight(back));
    wasm_v128_store(out + i, wasm_u8x16_min(wasm_u8x16_max(q, low), high));
  }
  return i;
}

bool isShort(const AddTask& task) {
  const auto fits = [](std::int32_t multiplier) {
    return multiplier == static_cast<std::int16_t>(multiplier);
  };
  return task.shift == kShortAddShift && fits(task.multipliers[0]) && fits(task.multipliers[1]);
}

std::size_t addShort(const AddTask& task, const std::uint8_t* a, const std::uint8_t* b, std::uint8_t* out) {
  const v128_t factors = pairs(task.multipliers[0], task.multipliers[1]);
  const v128_t constant = roundingAndZeroPoints(task);
  // V8 needs four instructions for a shift by a variable.
  return addVectors(task, a, b, out, [&](v128_t ab) {
    return wasm_i32x4_shr(wasm_i32x4_add(wasm_i32x4_dot_i16x8(ab, factors), constant), kShortAddShift);
  });
}

std::size_t addLong(const AddTask& task, const std::uint8_t* a, const std::uint8_t* b, std::uint8_t* out) {
  const std::int32_t m1 = task.multipliers[0];
  const std::int32_t m2 = task.multipliers[1];
  constexpr std::int32_t kLowMask = (1 << kLowBits) - 1;
  const v128_t low_factors = pairs(m1 & kLowMask, m2 & kLowMask);
  const v128_t high_factors = pairs(m1 >> kLowBits, m2 >> kLowBits);
  const v128_t constant = roundingAndZeroPoints(task);
  const auto shift = static_cast<std::uint32_t>(task.shift);
  // Partial sums may wrap, the whole one fits.
  return addVectors(task, a, b, out, [&](v128_t ab) {
    const v128_t upper = wasm_i32x4_shl(wasm_i32x4_dot_i16x8(ab, high_factors), kLowBits);
    const v128_t lower = wasm_i32x4_add(wasm_i32x4_dot_i16x8(ab, low_factors), constant);
    return wasm_i32x4_shr(wasm_i32x4_add(upper, lower), shift);
  });
}

}  // namespace

void addSimd128(const AddTask& task, const std::uint8_t* a, const std::uint8_t* b, std::uint8_t* out) {
  const std::size_t done = isShort(task) ? addShort(task, a, b, out) : addLong(task, a, b, out);
  AddTask tail = task;
  tail.count = task.count - done;
  addScalar(tail, a + done, b + done, out + done);
}

}  // namespace trefoil
