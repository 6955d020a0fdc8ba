#include "kernels/int8_conv/int8_conv.h"

#include <algorithm>

#include "kernels/conv_i16/conv_i16.h"
#include "kernels/conv_i16/fc_dot.h"
#include "kernels/int8_conv/winograd.h"

namespace trefoil {
namespace {

using Weights = std::span<const std::int8_t>;
using Fc = FcDot<std::int8_t>;

// A kernel for 16-bit weights as a row of this table.
template <const ConvI16Kernel& kernel>
constexpr Int8ConvVariant widened(std::string_view name, Isa isa) {
  return {name,
          isa,
          [](const ConvTask& task, const Weights&) { return kernel.supports(task); },
          [](const ConvTask& task, const Weights& weights) {
            AlignedBuffer wide(weights.size() * sizeof(std::int16_t));
            if (!wide.data()) return AlignedBuffer();
            auto* values = reinterpret_cast<std::int16_t*>(wide.data());
            std::copy(weights.begin(), weights.end(), values);
            return kernel.pack(task, {values, weights.size()});
          },
          [](const ConvTask& task) { return kernel.scratchBytes(task); },
          [](const ConvTask& task, const AlignedBuffer& packed, const std::uint8_t* input, void* output,
             std::uint8_t* scratch, Part part) { kernel.run(task, packed, input, output, scratch, part); }};
}

constexpr Int8ConvVariant kVariants[] = {
    {"fc_simd128", Isa::kSimd128, [](const ConvTask& task, const Weights&) { return Fc::supports(task); },
     [](const ConvTask& task, const Weights& weights) { return Fc::pack(task, weights); }, Fc::scratchBytes,
     Fc::run},
    widened<kConvI16Depthwise35>("depthwise35_simd128", Isa::kSimd128),
    widened<kConvI16Depthwise>("depthwise_simd128", Isa::kSimd128),
    {"winograd_simd128", Isa::kSimd128, WinogradRows::supports, WinogradRows::pack,
     WinogradRows::scratchBytes, WinogradRows::run},
    widened<kConvI16Dense>("dense_simd128", Isa::kSimd128),
    widened<kConvI16Scalar>("scalar", Isa::kScalar),
};

}  // namespace

std::span<const Int8ConvVariant> int8ConvVariants() { return kVariants; }

}  // namespace trefoil
