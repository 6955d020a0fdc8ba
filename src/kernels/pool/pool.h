// Max and average over windows of each channel.
//
// Max: of q over the part of the window inside the image, which is never empty.
// Average: S = sum of (q - z) over that part of n pixels; q' = clamp(zero_point + rshift(S * factors[n -
// 1])), or factors[0] where there is only one. As accumulators: S itself.
#pragma once

#include <span>

#include "base/fixed_point.h"
#include "kernels/variant.h"

namespace trefoil {

struct PoolTask {
  Shape in, out;
  Window window;
  // The rest is for averages.
  int input_zero_point = 0;
  bool accumulators = false;            // out: int32 S, densely in C, H, W order, instead of planes
  std::span<const FixedPoint> factors;  // one, or one for every possible n
  int zero_point = 0, low = 0, high = 255;

  FixedPoint factor(int pixels) const {
    return factors.size() == 1 ? factors[0] : factors[static_cast<std::size_t>(pixels - 1)];
  }
};

// scratch: the part's own, 64-byte aligned, poolScratchBytes() long, any content.
using PoolFn = void(const PoolTask& task, const std::uint8_t* in, void* out, std::uint8_t* scratch,
                    Part part);

std::size_t poolScratchBytes(const PoolTask& task);

// Whole tasks; the table's rows cut them into parts.
void maxPoolScalar(const PoolTask& task, const std::uint8_t* in, void* out, std::uint8_t* scratch);
void maxPoolSimd128(const PoolTask& task, const std::uint8_t* in, void* out, std::uint8_t* scratch);
void averagePoolScalar(const PoolTask& task, const std::uint8_t* in, void* out, std::uint8_t* scratch);
void averagePoolSimd128(const PoolTask& task, const std::uint8_t* in, void* out, std::uint8_t* scratch);

std::span<const Variant<PoolFn>> maxPoolVariants();
std::span<const Variant<PoolFn>> averagePoolVariants();

// Taps [begin, end) of a window along one axis that lie inside the image; the window starts at input index
// `start`.
struct Taps {
  int begin, end;
  int count() const { return end - begin; }
};
inline Taps tapsInside(int start, int kernel, int dilation, int size) {
  const int begin = start >= 0 ? 0 : (-start + dilation - 1) / dilation;
  const int end = start >= size ? 0 : (size - start + dilation - 1) / dilation;
  return {begin, end < kernel ? end : kernel};
}

}  // namespace trefoil
