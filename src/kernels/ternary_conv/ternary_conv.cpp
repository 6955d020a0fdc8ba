#include "kernels/ternary_conv/ternary_conv.h"

#include "kernels/conv_i16/conv_i16.h"
#include "kernels/ternary_conv/kernels.h"
#include "kernels/ternary_conv/multiply_out.h"

namespace trefoil {
namespace {

// A kernel for 16-bit weights as a row of this table.
template <const ConvI16Kernel& kernel>
constexpr TernaryConvVariant multipliedOut(std::string_view name, Isa isa) {
  return {name,
          isa,
          [](const ConvTask& task, const TernaryWeights&) { return kernel.supports(task); },
          [](const ConvTask& task, const TernaryWeights& weights) {
            const AlignedBuffer products = multiplyOut(task, weights);
            if (!products.data()) return AlignedBuffer();
            const auto* values = reinterpret_cast<const std::int16_t*>(products.data());
            return kernel.pack(task, {values, products.size() / sizeof(std::int16_t)});
          },
          [](const ConvTask& task) { return kernel.scratchBytes(task); },
          [](const ConvTask& task, const AlignedBuffer& packed, const std::uint8_t* input, void* output,
             std::uint8_t* scratch, Part part) { kernel.run(task, packed, input, output, scratch, part); }};
}

constexpr TernaryConvVariant kVariants[] = {
    {"fc_simd128", Isa::kSimd128, fcSupports, packFc, fcScratchBytes, fcRun},
    {"g4_simd128", Isa::kSimd128, g4Supports, packG4, g4ScratchBytes, g4Run},
    multipliedOut<kConvI16Fc>("fcdot_simd128", Isa::kSimd128),
    multipliedOut<kConvI16Depthwise35>("depthwise35_simd128", Isa::kSimd128),
    multipliedOut<kConvI16Depthwise>("depthwise_simd128", Isa::kSimd128),
    multipliedOut<kConvI16Dense>("dense_simd128", Isa::kSimd128),
    multipliedOut<kConvI16Scalar>("scalar", Isa::kScalar),
};

}  // namespace

std::span<const TernaryConvVariant> ternaryConvVariants() { return kVariants; }

}  // namespace trefoil
