#include "kernels/lookup/lookup.h"

namespace trefoil {
namespace {

template <auto kernel>
void byChannels(const LookupTask& task, const std::uint8_t* in, std::uint8_t* out, Part part) {
  const Part::Range channels = part.of(task.shape.channels);
  if (channels.empty()) return;
  LookupTask share = task;
  share.shape.channels = static_cast<int>(channels.end - channels.begin);
  if (task.perChannel()) share.table = task.table.subspan(256 * channels.begin);
  const std::size_t offset = channels.begin * planeStride(task.shape);
  kernel(share, in + offset, out + offset);
}

constexpr Variant<LookupFn> kVariants[] = {
    {"simd128", Isa::kSimd128, byChannels<lookupSimd128>},
    {"scalar", Isa::kScalar, byChannels<lookupScalar>},
};

}  // namespace

std::span<const Variant<LookupFn>> lookupVariants() { return kVariants; }

}  // namespace trefoil
