#include "kernels/lrn/lrn.h"

namespace trefoil {
namespace {

constexpr Variant<LrnFn> kVariants[] = {
    {"scalar", Isa::kScalar, lrnScalar},
};

}  // namespace

std::span<const Variant<LrnFn>> lrnVariants() { return kVariants; }

}  // namespace trefoil
