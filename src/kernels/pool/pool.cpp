#include "kernels/pool/pool.h"

namespace trefoil {
namespace {

constexpr Variant<PoolFn> kMaxVariants[] = {
    {"simd128", Isa::kSimd128, maxPoolSimd128},
    {"scalar", Isa::kScalar, maxPoolScalar},
};

constexpr Variant<PoolFn> kAverageVariants[] = {
    {"simd128", Isa::kSimd128, averagePoolSimd128},
    {"scalar", Isa::kScalar, averagePoolScalar},
};

}  // namespace

std::span<const Variant<PoolFn>> maxPoolVariants() { return kMaxVariants; }
std::span<const Variant<PoolFn>> averagePoolVariants() { return kAverageVariants; }

// One row that a kernel has combined the window's rows into, of up to 16 bits a pixel, with the padding to
// its sides.
std::size_t poolScratchBytes(const PoolTask& task) {
  const Window& w = task.window;
  return 2 * static_cast<std::size_t>(w.pad_left + task.in.width + w.pad_right) + 2 * kSlackBytes;
}

}  // namespace trefoil
