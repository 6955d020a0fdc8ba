#include "kernels/lookup/lookup.h"

namespace trefoil {
namespace {

constexpr Variant<LookupFn> kVariants[] = {
    {"simd128", Isa::kSimd128, lookupSimd128},
    {"scalar", Isa::kScalar, lookupScalar},
};

}  // namespace

std::span<const Variant<LookupFn>> lookupVariants() { return kVariants; }

}  // namespace trefoil
