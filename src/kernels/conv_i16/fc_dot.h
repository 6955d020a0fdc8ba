// Fully connected layers (one pixel) by dot products along the inputs: four filters at a time, 8 inputs a
// vector. Weights are int8 or int16, in rows of a multiple of 8 with zeros behind.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>
#include <type_traits>

#include "kernels/conv.h"
#include "kernels/simd_util.h"

namespace trefoil {

template <typename Weight>
struct FcDot {
  static_assert(std::is_same_v<Weight, std::int8_t> || std::is_same_v<Weight, std::int16_t>);
  static constexpr int kFilters = 4;

  static bool supports(const ConvTask& task) {
    return task.in.plane() == 1 && task.out.plane() == 1 && task.taps() == 1 && task.groups == 1;
  }

  static AlignedBuffer pack(const ConvTask& task, std::span<const Weight> weights) {
    const std::size_t stride = rowWeights(task), channels = static_cast<std::size_t>(task.in.channels);
    const std::size_t rows = static_cast<std::size_t>(task.out.channels + kFilters - 1) / kFilters * kFilters;
    AlignedBuffer packed(rows * stride * sizeof(Weight));
    if (!packed.data()) return packed;
    std::memset(packed.data(), 0, packed.size());
    for (int k = 0; k < task.out.channels; ++k) {
      std::memcpy(packed.data() + k * stride * sizeof(Weight), &weights[k * channels],
                  channels * sizeof(Weight));
    }
    return packed;
  }

  static std::size_t scratchBytes(const ConvTask& task) { return rowWeights(task) * sizeof(std::int16_t); }

  static void run(const ConvTask& task, const AlignedBuffer& packed, const std::uint8_t* input, void* output,
                  std::uint8_t* scratch, Part part) {
    const std::size_t stride = rowWeights(task), row_bytes = stride * sizeof(Weight);
    const Part::Range filters = part.of(task.out.channels, kFilters);
    if (filters.empty()) return;
    auto* widened = reinterpret_cast<std::int16_t*>(scratch);
    for (std::size_t c = 0; c < stride; ++c)
      widened[c] = c < static_cast<std::size_t>(task.in.channels) ? input[c] : 0;
    for (int first = static_cast<int>(filters.begin); first < static_cast<int>(filters.end);
         first += kFilters) {
      v128_t sums[kFilters] = {};
      const std::uint8_t* rows = packed.data() + first * row_bytes;
      for (std::size_t c = 0; c < stride; c += 8) {
        const v128_t inputs = wasm_v128_load(widened + c);
        TREFOIL_UNROLL
        for (int i = 0; i < kFilters; ++i) {
          const v128_t weights = loadWeights(rows + i * row_bytes + c * sizeof(Weight));
          sums[i] = wasm_i32x4_add(sums[i], wasm_i32x4_dot_i16x8(inputs, weights));
        }
      }
      for (int i = 0; i < std::min(kFilters, task.out.channels - first); ++i) {
        std::int32_t parts[4];
        wasm_v128_store(parts, sums[i]);
        const int filter = first + i;
        const std::int32_t sum = parts[0] + parts[1] + parts[2] + parts[3] + task.bias[filter];
        if (task.accumulators) {
          static_cast<std::int32_t*>(output)[filter] = sum;
        } else {
          static_cast<std::uint8_t*>(output)[filter] =
              requantize(sum, task.factors[filter], task.zero_point, task.low, task.high);
        }
      }
    }
  }

 private:
  static std::size_t rowWeights(const ConvTask& task) {
    return static_cast<std::size_t>(task.in.channels + 7) / 8 * 8;
  }

  static TREFOIL_INLINE v128_t loadWeights(const std::uint8_t* from) {
    return sizeof(Weight) == 1 ? wasm_i16x8_load8x8(from) : wasm_v128_load(from);
  }
};

}  // namespace trefoil
