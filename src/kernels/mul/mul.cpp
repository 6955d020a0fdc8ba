#include "kernels/mul/mul.h"

namespace trefoil {
namespace {

template <auto kernel>
void byChannels(const MulTask& task, const std::uint8_t* a, const std::uint8_t* b, std::uint8_t* out,
                Part part) {
  const Part::Range channels = part.of(task.shape.channels);
  if (channels.empty()) return;
  MulTask share = task;
  share.shape.channels = static_cast<int>(channels.end - channels.begin);
  const std::size_t offset = channels.begin * planeStride(task.shape);
  kernel(share, a + offset, b + (task.per_channel ? channels.begin : offset), out + offset);
}

constexpr Variant<MulFn> kVariants[] = {
    {"simd128", Isa::kSimd128, byChannels<mulSimd128>},
    {"scalar", Isa::kScalar, byChannels<mulScalar>},
};

}  // namespace

std::span<const Variant<MulFn>> mulVariants() { return kVariants; }

}  // namespace trefoil
