#include "kernels/pool/pool.h"

namespace trefoil {
namespace {

template <auto kernel>
void byChannels(const PoolTask& task, const std::uint8_t* in, void* out, std::uint8_t* scratch, Part part) {
  const Part::Range channels = part.of(task.out.channels);
  if (channels.empty()) return;
  PoolTask share = task;
  share.in.channels = share.out.channels = static_cast<int>(channels.end - channels.begin);
  const std::size_t out_bytes = task.accumulators
                                    ? static_cast<std::size_t>(task.out.plane()) * sizeof(std::int32_t)
                                    : planeStride(task.out);
  kernel(share, in + channels.begin * planeStride(task.in),
         static_cast<std::uint8_t*>(out) + channels.begin * out_bytes, scratch);
}

constexpr Variant<PoolFn> kMaxVariants[] = {
    {"simd128", Isa::kSimd128, byChannels<maxPoolSimd128>},
    {"scalar", Isa::kScalar, byChannels<maxPoolScalar>},
};

constexpr Variant<PoolFn> kAverageVariants[] = {
    {"simd128", Isa::kSimd128, byChannels<averagePoolSimd128>},
    {"scalar", Isa::kScalar, byChannels<averagePoolScalar>},
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
