#include "kernels/add/add.h"

#include <algorithm>

#include "base/fixed_point.h"

namespace trefoil {
namespace {

template <auto kernel>
void byBytes(const AddTask& task, const std::uint8_t* a, const std::uint8_t* b, std::uint8_t* out,
             Part part) {
  const Part::Range bytes = part.of(task.count, 64);
  AddTask share = task;
  share.count = bytes.end - bytes.begin;
  kernel(share, a + bytes.begin, b + bytes.begin, out + bytes.begin);
}

int sumOf(const AddTask& task, int a, int b) {
  const std::int32_t sum =
      (a - task.zero_points[0]) * task.multipliers[0] + (b - task.zero_points[1]) * task.multipliers[1];
  return static_cast<int>(
      std::clamp<std::int64_t>(task.zero_point + roundingShift(sum, task.shift), task.low, task.high));
}

bool sameSums(const AddTask& task, const AddTask& other, int most_a, int most_b) {
  for (int a = 0; a <= most_a; ++a) {
    for (int b = 0; b <= most_b; ++b) {
      if (sumOf(task, a, b) != sumOf(other, a, b)) return false;
    }
  }
  return true;
}

constexpr Variant<AddFn> kVariants[] = {
    {"simd128", Isa::kSimd128, byBytes<addSimd128>},
    {"scalar", Isa::kScalar, byBytes<addScalar>},
};

}  // namespace

AddTask withShortMultipliers(const AddTask& task, int most_a, int most_b) {
  constexpr int kMostValue = 63;  // 6 bits; more values take too long, and rarely agree
  const int removed = task.shift - kShortAddShift;
  if (removed <= 0 || std::max(most_a, most_b) > kMostValue) return task;
  AddTask other = task;
  other.shift = kShortAddShift;
  for (const int more_a : {0, 1, -1}) {
    for (const int more_b : {0, 1, -1}) {
      const std::int64_t a = roundingShift(task.multipliers[0], removed) + more_a,
                         b = roundingShift(task.multipliers[1], removed) + more_b;
      if (std::max(std::abs(a), std::abs(b)) > 32767) continue;
      other.multipliers[0] = static_cast<std::int32_t>(a);
      other.multipliers[1] = static_cast<std::int32_t>(b);
      if (sameSums(task, other, most_a, most_b)) return other;
    }
  }
  return task;
}

std::span<const Variant<AddFn>> addVariants() { return kVariants; }

}  // namespace trefoil
