#include "kernels/add/add.h"

namespace trefoil {
namespace {

constexpr Variant<AddFn> kVariants[] = {
    {"simd128", Isa::kSimd128, addSimd128},
    {"scalar", Isa::kScalar, addScalar},
};

}  // namespace

std::span<const Variant<AddFn>> addVariants() { return kVariants; }

}  // namespace trefoil
