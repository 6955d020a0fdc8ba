#include "kernels/mul/mul.h"

namespace trefoil {
namespace {

constexpr Variant<MulFn> kVariants[] = {
    {"simd128", Isa::kSimd128, mulSimd128},
    {"scalar", Isa::kScalar, mulScalar},
};

}  // namespace

std::span<const Variant<MulFn>> mulVariants() { return kVariants; }

}  // namespace trefoil
