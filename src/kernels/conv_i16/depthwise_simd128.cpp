// Depthwise convolution: every filter sees one channel. The plane is padded and split into phases, then 16
// neighbouring pixels of the padded rows are summed at a time, running on over the ends of rows; taps are
// taken in pairs.
#include <algorithm>

#include "kernels/conv_geometry.h"
#include "kernels/conv_i16/conv_i16.h"
#include "kernels/padded_planes.h"
#include "kernels/requantize.h"
#include "kernels/simd_util.h"

namespace trefoil {
namespace {

constexpr std::size_t kPixels = 16;  // at once

constexpr std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

std::size_t tapPairs(const ConvTask& task) { return (static_cast<std::size_t>(task.taps()) + 1) / 2; }

// Pixels of the padded rows that are computed; the last row's rest is not needed.
std::size_t paddedPixels(const ConvTask& task) {
  const std::size_t pixels = (task.out.height - 1) * PaddedPlanes(task).rowBytes() + task.out.width;
  return (pixels + kPixels - 1) / kPixels * kPixels;
}

struct Scratch {
  explicit Scratch(const ConvTask& task)
      : plane(aligned(tapPairs(task) * 2 * sizeof(std::uint32_t))),
        result(plane + aligned(PaddedPlanes(task).channelBytes() + PaddedPlanes::kSlack)),
        end(result + paddedPixels(task) * (task.accumulators ? sizeof(std::int32_t) : 1)) {}
  // Offsets of the taps come first.
  std::size_t plane, result, end;
};

bool supports(const ConvTask& task) {
  return task.channelsPerGroup() == 1 && task.out.plane() > 1 &&
         (task.accumulators || requantizerSupports(task.factors)) && paddedCopyIsSmall(task);
}

// Weights of a filter, and a 0 where their number is odd.
AlignedBuffer pack(const ConvTask& task, std::span<const std::int16_t> weights) {
  const std::size_t taps = static_cast<std::size_t>(task.taps()), stride = tapPairs(task) * 2;
  AlignedBuffer packed(task.out.channels * stride * sizeof(std::int16_t));
  if (!packed.data()) return packed;
  auto* to = reinterpret_cast<std::int16_t*>(packed.data());
  for (int k = 0; k < task.out.channels; ++k, to += stride) {
    to[stride - 1] = 0;
    std::copy_n(&weights[k * taps], taps, to);
  }
  return packed;
}

std::size_t scratchBytes(const ConvTask& task) { return Scratch(task).end; }

// The 16 pixels' sums over all taps.
TREFOIL_INLINE void sumPixels(const std::uint8_t* plane, const std::uint32_t* offsets,
                              const std::uint8_t* weights, std::size_t pairs, v128_t bias,
                              v128_t (&sums)[4]) {
  v128_t s0 = bias, s1 = bias, s2 = bias, s3 = bias;
  TREFOIL_NO_UNROLL
  do {
    const v128_t first = wasm_v128_load(plane + offsets[0]), second = wasm_v128_load(plane + offsets[1]);
    const v128_t weight = wasm_v128_load32_splat(weights);
    const v128_t left =
        wasm_i8x16_shuffle(first, second, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const v128_t right =
        wasm_i8x16_shuffle(first, second, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    s0 = wasm_i32x4_add(s0, wasm_i32x4_dot_i16x8(wasm_u16x8_extend_low_u8x16(left), weight));
    s1 = wasm_i32x4_add(s1, wasm_i32x4_dot_i16x8(wasm_u16x8_extend_high_u8x16(left), weight));
    s2 = wasm_i32x4_add(s2, wasm_i32x4_dot_i16x8(wasm_u16x8_extend_low_u8x16(right), weight));
    s3 = wasm_i32x4_add(s3, wasm_i32x4_dot_i16x8(wasm_u16x8_extend_high_u8x16(right), weight));
    offsets += 2;
    weights += 4;
  } while (--pairs);
  sums[0] = s0;
  sums[1] = s1;
  sums[2] = s2;
  sums[3] = s3;
}

void run(const ConvTask& task, const AlignedBuffer& packed, const std::uint8_t* input, void* output,
         std::uint8_t* scratch, Part part) {
  const Scratch parts(task);
  const PaddedPlanes planes(task);
  const std::size_t pairs = tapPairs(task), pixels = paddedPixels(task), out_width = task.out.width;
  auto* offsets = reinterpret_cast<std::uint32_t*>(scratch);
  for (int tap = 0; tap < task.taps(); ++tap) {
    offsets[tap] =
        static_cast<std::uint32_t>(planes.tapOffset(tap / task.window.kernel_w, tap % task.window.kernel_w));
  }
  if (task.taps() % 2) offsets[task.taps()] = offsets[0];
  std::uint8_t* plane = scratch + parts.plane;
  auto* result = scratch + parts.result;
  const Part::Range filters = part.of(task.out.channels, task.filtersPerGroup());
  for (int k = static_cast<int>(filters.begin); k < static_cast<int>(filters.end); ++k) {
    const int channel = k / task.filtersPerGroup();
    if (k % task.filtersPerGroup() == 0) {
      planes.fill(task, input + channel * planeStride(task.in), task.pad_values[channel], plane);
    }
    const std::uint8_t* weights = packed.data() + k * pairs * 4;
    const v128_t bias = wasm_i32x4_splat(task.bias[k]);
    v128_t sums[4];
    if (task.accumulators) {
      auto* values = reinterpret_cast<std::int32_t*>(result);
      for (std::size_t i = 0; i < pixels; i += kPixels) {
        sumPixels(plane + i, offsets, weights, pairs, bias, sums);
        for (int j = 0; j < 4; ++j) wasm_v128_store(values + i + 4 * j, sums[j]);
      }
      auto* to = static_cast<std::int32_t*>(output) + k * static_cast<std::size_t>(task.out.plane());
      for (int y = 0; y < task.out.height; ++y) {
        std::copy_n(values + y * planes.rowBytes(), out_width, to + y * out_width);
      }
      continue;
    }
    const Requantizer requantizer(task.factors[k], task.zero_point, task.low, task.high);
    for (std::size_t i = 0; i < pixels; i += kPixels) {
      sumPixels(plane + i, offsets, weights, pairs, bias, sums);
      wasm_v128_store(result + i, wasm_u8x16_narrow_i16x8(requantizer.apply(sums[0], sums[1]),
                                                          requantizer.apply(sums[2], sums[3])));
    }
    std::uint8_t* to = static_cast<std::uint8_t*>(output) + k * planeStride(task.out);
    for (int y = 0; y < task.out.height; ++y)
      std::copy_n(result + y * planes.rowBytes(), out_width, to + y * out_width);
  }
}

}  // namespace

const ConvI16Kernel kConvI16Depthwise = {supports, pack, scratchBytes, run};

}  // namespace trefoil
