// Depthwise convolution with the windows that networks use: 3x3 and 5x5, stride 1 or 2. The plane is padded
// once; then strips of 8 columns are walked from top to bottom. Two taps of a kernel row meet 8 pixels in two
// dot products, and with stride 1 an input row serves all output rows that it belongs to.
#include <algorithm>
#include <utility>

#include "kernels/conv_geometry.h"
#include "kernels/conv_i16/conv_i16.h"
#include "kernels/requantize.h"
#include "kernels/simd_util.h"

namespace trefoil {
namespace {

constexpr int kStrip = 8;             // columns of the result
constexpr std::size_t kSlack = 64;    // bytes around the padded plane that are read or written as well
constexpr std::size_t kMostPads = 8;  // beside each other: the end of a row and the start of the next

// A plane with its padding, rows without gaps.
struct PaddedPlane {
  explicit PaddedPlane(const ConvTask& task)
      : rows((task.out.height - 1) * task.window.stride_h + task.window.kernel_h),
        row_bytes(std::max((task.out.width - 1) * task.window.stride_w + task.window.kernel_w,
                           task.window.pad_left + task.in.width)) {}

  std::size_t bytes() const { return static_cast<std::size_t>(rows) * row_bytes + kSlack; }

  // Copies may run over the end of a row, since the next row and the pads between come later.
  void fill(const ConvTask& task, const std::uint8_t* plane, std::uint8_t pad, std::uint8_t* to) const {
    const v128_t pads = wasm_i8x16_splat(static_cast<std::int8_t>(pad));
    const auto fillRows = [&](int count) {
      for (int x = 0; x < count * row_bytes; x += 16) wasm_v128_store(to + x, pads);
      to += static_cast<std::ptrdiff_t>(count) * row_bytes;
    };
    const int above = std::min(task.window.pad_top, rows), inside = std::min(task.in.height, rows - above);
    fillRows(above);
    wasm_v128_store(to, pads);
    for (int y = 0; y < inside; ++y, plane += task.in.width, to += row_bytes) {
      std::uint8_t* row = to + task.window.pad_left;
      for (int x = 0; x < task.in.width; x += 16) wasm_v128_store(row + x, wasm_v128_load(plane + x));
      wasm_v128_store(row + task.in.width, pads);
    }
    fillRows(rows - above - inside);
  }

  int rows, row_bytes;
};

constexpr int tapPairs(int kernel) { return (kernel + 1) / 2; }

bool supports(const ConvTask& task) {
  const Window& w = task.window;
  const bool window = w.kernel_h == w.kernel_w && (w.kernel_w == 3 || w.kernel_w == 5) &&
                      w.stride_h == w.stride_w && w.stride_w <= 2 && w.dilation_h == 1 && w.dilation_w == 1;
  const PaddedPlane padded(task);
  return window && task.channelsPerGroup() == 1 && task.out.plane() > 1 && !task.accumulators &&
         padded.row_bytes - task.in.width <= static_cast<int>(kMostPads) && paddedCopyIsSmall(task) &&
         requantizerSupports(task.factors);
}

// Rows of a filter, with a 0 behind.
AlignedBuffer pack(const ConvTask& task, std::span<const std::int16_t> weights) {
  const int kernel = task.window.kernel_w;
  const std::size_t row = static_cast<std::size_t>(tapPairs(kernel)) * 2;
  const std::size_t rows = static_cast<std::size_t>(task.out.channels) * kernel;
  AlignedBuffer packed(rows * row * sizeof(std::int16_t));
  if (!packed.data()) return packed;
  auto* to = reinterpret_cast<std::int16_t*>(packed.data());
  for (std::size_t i = 0; i < rows; ++i, to += row) {
    std::copy_n(&weights[i * kernel], kernel, to);
    to[row - 1] = 0;
  }
  return packed;
}

std::size_t scratchBytes(const ConvTask& task) { return PaddedPlane(task).bytes(); }

// What one filter needs for a strip.
struct Strip {
  const std::uint8_t* input;  // of the first result
  std::size_t input_row;
  const std::uint8_t* weights;
  const std::int32_t* bias;
  std::uint8_t* output;
  std::size_t output_row;
  int rows;        // of the result
  int whole_rows;  // of which 8 bytes may be written; the others have `columns`
  int columns;
};

TREFOIL_INLINE void storeRow(const Strip& strip, int row, v128_t q) {
  std::uint8_t* to = strip.output + row * strip.output_row;
  const v128_t bytes = wasm_u8x16_narrow_i16x8(q, q);
  if (row < strip.whole_rows) [[likely]] {
    wasm_v128_store64_lane(to, bytes, 0);
  } else {
    std::uint8_t values[16];
    wasm_v128_store(values, bytes);
    copyFew(to, values, strip.columns);
  }
}

// Two neighbouring taps' pixels for 8 results, in 16 bits each.
struct Pixels {
  v128_t near, far;
};

TREFOIL_INLINE Pixels loadPixels(const std::uint8_t* input, int pair) {
  const v128_t first = wasm_u16x8_load8x8(input + 2 * pair),
               second = wasm_u16x8_load8x8(input + 2 * pair + 1);
  return {interleaveLow16(first, second), interleaveHigh16(first, second)};
}

// Written out, since clang makes a loop a move of memory, where the sums then stay.
template <std::size_t... kTo>
TREFOIL_INLINE void moveUp(v128_t* sums, std::index_sequence<kTo...>) {
  ((sums[sizeof...(kTo) - kTo] = sums[sizeof...(kTo) - kTo - 1]), ...);
}

template <int kKernel>
void sumStride1(const Strip& strip, const Requantizer& requantizer) {
  constexpr int kPairs = tapPairs(kKernel);
  const v128_t bias = wasm_v128_load32_splat(strip.bias);
  // Of the results that the next input row belongs to: [i] meets kernel row i of it.
  v128_t left[kKernel], right[kKernel];
  TREFOIL_UNROLL
  for (int i = 0; i < kKernel; ++i) left[i] = right[i] = bias;
  const std::uint8_t* input = strip.input;
  TREFOIL_NO_UNROLL
  for (int row = 1 - kKernel; row < strip.rows; ++row, input += strip.input_row) {
    TREFOIL_UNROLL
    for (int pair = 0; pair < kPairs; ++pair) {
      const Pixels pixels = loadPixels(input, pair);
      TREFOIL_UNROLL
      for (int i = 0; i < kKernel; ++i) {
        const v128_t weight = wasm_v128_load32_splat(strip.weights + (i * kPairs + pair) * 4);
        left[i] = wasm_i32x4_add(left[i], wasm_i32x4_dot_i16x8(pixels.near, weight));
        right[i] = wasm_i32x4_add(right[i], wasm_i32x4_dot_i16x8(pixels.far, weight));
      }
    }
    if (row >= 0) storeRow(strip, row, requantizer.apply(left[kKernel - 1], right[kKernel - 1]));
    moveUp(left, std::make_index_sequence<kKernel - 1>());
    moveUp(right, std::make_index_sequence<kKernel - 1>());
    left[0] = right[0] = bias;
  }
}

template <int kKernel>
void sumStride2(const Strip& strip, const Requantizer& requantizer) {
  constexpr int kPairs = tapPairs(kKernel);
  const v128_t bias = wasm_v128_load32_splat(strip.bias);
  const std::uint8_t* input = strip.input;
  TREFOIL_NO_UNROLL
  for (int row = 0; row < strip.rows; ++row, input += 2 * strip.input_row) {
    v128_t left = bias, right = bias;
    TREFOIL_UNROLL
    for (int i = 0; i < kKernel; ++i) {
      TREFOIL_UNROLL
      for (int pair = 0; pair < kPairs; ++pair) {
        TREFOIL_BARRIER();
        const v128_t pixels = wasm_v128_load(input + i * strip.input_row + 2 * pair);
        const v128_t weight = wasm_v128_load32_splat(strip.weights + (i * kPairs + pair) * 4);
        left = wasm_i32x4_add(left, wasm_i32x4_dot_i16x8(wasm_u16x8_extend_low_u8x16(pixels), weight));
        right = wasm_i32x4_add(right, wasm_i32x4_dot_i16x8(wasm_u16x8_extend_high_u8x16(pixels), weight));
      }
    }
    storeRow(strip, row, requantizer.apply(left, right));
  }
}

using SumFunction = void (*)(const Strip& strip, const Requantizer& requantizer);

SumFunction sumFunction(const Window& window) {
  if (window.kernel_w == 3) return window.stride_w == 1 ? sumStride1<3> : sumStride2<3>;
  return window.stride_w == 1 ? sumStride1<5> : sumStride2<5>;
}

void run(const ConvTask& task, const AlignedBuffer& packed, const std::uint8_t* input, void* output,
         std::uint8_t* scratch, Part part) {
  const PaddedPlane padded(task);
  const SumFunction sum = sumFunction(task.window);
  const int kernel = task.window.kernel_w, width = task.out.width, columns = std::min(width, kStrip);
  const std::size_t filter_bytes = static_cast<std::size_t>(kernel) * tapPairs(kernel) * 4;
  // Rows narrower than a strip are written over one another's ends, but not over the next plane.
  const std::size_t plane = planeStride(task.out);
  const int whole_rows = width >= kStrip ? task.out.height : static_cast<int>((plane - kStrip) / width) + 1;
  const Part::Range filters = part.of(task.out.channels, task.filtersPerGroup());
  for (std::size_t k = filters.begin; k < filters.end; ++k) {
    const std::size_t channel = k / task.filtersPerGroup();
    if (k % task.filtersPerGroup() == 0) {
      padded.fill(task, input + channel * planeStride(task.in), task.pad_values[channel], scratch);
    }
    std::uint8_t* to = static_cast<std::uint8_t*>(output) + k * plane;
    const Requantizer requantizer(task.factors[k], task.zero_point, task.low, task.high);
    for (int x = 0; x < width; x += kStrip) {
      const int first = std::max(0, std::min(x, width - kStrip));
      sum({scratch + first * task.window.stride_w, static_cast<std::size_t>(padded.row_bytes),
           packed.data() + k * filter_bytes, &task.bias[k], to + first, static_cast<std::size_t>(width),
           task.out.height, whole_rows, columns},
          requantizer);
    }
  }
}

}  // namespace

const ConvI16Kernel kConvI16Depthwise35 = {supports, pack, scratchBytes, run};

}  // namespace trefoil
