#include "kernels/ternary_conv/ternary_conv.h"

#include <limits>

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

// A sum-table kernel as a row. Deeper tables save look-ups and cost more to make: shallow ones are best
// below `most` filters times taps.
template <const SumKind& kind, int most>
constexpr TernaryConvVariant sums(std::string_view name) {
  return {
      name,
      Isa::kSimd128,
      [](const ConvTask& task, const TernaryWeights& weights) {
        return std::int64_t{task.taps()} * task.filtersPerGroup() < most && sumsSupport(task, weights, kind);
      },
      [](const ConvTask& task, const TernaryWeights& weights) { return packSums(task, weights, kind); },
      [](const ConvTask& task) { return sumScratchBytes(task, kind); },
      [](const ConvTask& task, const AlignedBuffer& packed, const std::uint8_t* input, void* output,
         std::uint8_t* scratch, Part part) { runSums(task, kind, packed, input, output, scratch, part); }};
}

constexpr int kAny = std::numeric_limits<int>::max();
constexpr SumKind kBytes3{16, 3, 8, 0}, kBytes4{16, 4, 8, 200 << 10};
constexpr SumKind kWords3{8, 3, 8, 0}, kWords4{8, 4, 8, 0};
// For a few scales a filter in small groups: the more channels a block has, the more look-ups share a scale.
constexpr SumKind kWide4{8, 4, 8, 320 << 10, 15};

constexpr TernaryConvVariant kVariants[] = {
    {"fc_simd128", Isa::kSimd128, fcSupports, packFc, fcScratchBytes, fcRun},
    sums<kBytes3, 1000>("g3_bytes_simd128"),
    sums<kBytes4, kAny>("g4_bytes_simd128"),
    sums<kWords3, 250>("g3_simd128"),
    sums<kWide4, kAny>("g4_wide_simd128"),
    sums<kWords4, kAny>("g4_simd128"),
    multipliedOut<kConvI16Fc>("fcdot_simd128", Isa::kSimd128),
    multipliedOut<kConvI16Depthwise35>("depthwise35_simd128", Isa::kSimd128),
    multipliedOut<kConvI16Depthwise>("depthwise_simd128", Isa::kSimd128),
    multipliedOut<kConvI16Dense>("dense_simd128", Isa::kSimd128),
    multipliedOut<kConvI16Scalar>("scalar", Isa::kScalar),
};

}  // namespace

std::span<const TernaryConvVariant> ternaryConvVariants() { return kVariants; }

}  // namespace trefoil
