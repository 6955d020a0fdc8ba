#include "kernels/add/add.h"

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

constexpr Variant<AddFn> kVariants[] = {
    {"simd128", Isa::kSimd128, byBytes<addSimd128>},
    {"scalar", Isa::kScalar, byBytes<addScalar>},
};

}  // namespace

std::span<const Variant<AddFn>> addVariants() { return kVariants; }

}  // namespace trefoil
