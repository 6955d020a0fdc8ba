// Pools are separable: the window's rows are combined into one row of scratch, vector by vector, then its
// columns.
#include <algorithm>
#include <cstring>

#include "base/simd.h"
#include "kernels/pool/pool.h"

namespace trefoil {
namespace {

// 257 rows of 255 still fit 16 bits.
constexpr int kMaxRowsIn16Bits = 257;

// dest[0..width - 1] = max of `count` rows, `step` bytes apart. Reads and writes whole vectors.
void maxOfRows(const std::uint8_t* row, int count, std::size_t step, int width, std::uint8_t* dest) {
  for (int x = 0; x < width; x += 16) {
    v128_t largest = wasm_v128_load(row + x);
    const std::uint8_t* from = row + x;
    for (int r = 1; r < count; ++r) largest = wasm_u8x16_max(largest, wasm_v128_load(from += step));
    wasm_v128_store(dest + x, largest);
  }
}

// dest[0..width - 1] = sum of `count` rows as 16 bits. Reads and writes whole vectors.
void sumOfRows(const std::uint8_t* row, int count, std::size_t step, int width, std::uint16_t* dest) {
  for (int x = 0; x < width; x += 16) {
    v128_t low = wasm_i16x8_splat(0);
    v128_t high = low;
    const std::uint8_t* from = row + x;
    for (int r = 0; r < count; ++r, from += step) {
      const v128_t bytes = wasm_v128_load(from);
      low = wasm_i16x8_add(low, wasm_u16x8_extend_low_u8x16(bytes));
      high = wasm_i16x8_add(high, wasm_u16x8_extend_high_u8x16(bytes));
    }
    wasm_v128_store(dest + x, low);
    wasm_v128_store(dest + x + 8, high);
  }
}

v128_t maxOfTaps(const std::uint8_t* from, int kernel, int dilation) {
  v128_t largest = wasm_v128_load(from);
  for (int s = 1; s < kernel; ++s) largest = wasm_u8x16_max(largest, wasm_v128_load(from += dilation));
  return largest;
}

// Maxima of windows along a row that has its padding. Columns that no stride-1 or stride-2 vector covers go
// one by one.
void maxAlongRow(const Window& w, const std::uint8_t* row, int width, std::uint8_t* out) {
  if (w.stride_w > 2) {
    for (int x = 0; x < width; ++x) {
      std::uint8_t largest = 0;
      for (int s = 0; s < w.kernel_w; ++s)
        largest = std::max(largest, row[x * w.stride_w + s * w.dilation_w]);
      out[x] = largest;
    }
    return;
  }
  for (int x = 0; x < width; x += 16) {
    v128_t largest = maxOfTaps(row + x * w.stride_w, w.kernel_w, w.dilation_w);
    if (w.stride_w == 2) {
      const v128_t more = maxOfTaps(row + x * 2 + 16, w.kernel_w, w.dilation_w);
      largest = wasm_i8x16_shuffle(largest, more, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    }
    if (width - x >= 16) {
      wasm_v128_store(out + x, largest);
    } else {
      std::uint8_t bytes[16];
      wasm_v128_store(bytes, largest);
      std::memcpy(out + x, bytes, static_cast<std::size_t>(width - x));
    }
  }
}

std::int32_t sumOfBytes(const std::uint8_t* in, std::size_t count) {
  v128_t sums = wasm_i32x4_splat(0);
  std::size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const v128_t pairs = wasm_u16x8_extadd_pairwise_u8x16(wasm_v128_load(in + i));
    sums = wasm_i32x4_add(sums, wasm_u32x4_extadd_pairwise_u16x8(pairs));
  }
  std::int32_t lanes[4];
  wasm_v128_store(lanes, sums);
  std::int32_t sum = lanes[0] + lanes[1] + lanes[2] + lanes[3];
  for (; i < count; ++i) sum += in[i];
  return sum;
}

bool isGlobal(const PoolTask& task) {
  const Window& w = task.window;
  return task.out.plane() == 1 && w.kernel_h == task.in.height && w.kernel_w == task.in.width &&
         w.dilation_h == 1 && w.dilation_w == 1 && w.pad_top == 0 && w.pad_left == 0;
}

// `index`: of the pixel within the result's plane.
void storeAverage(const PoolTask& task, std::int32_t sum, int pixels, int channel, std::size_t index,
                  void* out) {
  const std::int32_t centred = sum - pixels * task.input_zero_point;
  const auto c = static_cast<std::size_t>(channel);
  if (task.accumulators) {
    static_cast<std::int32_t*>(out)[c * static_cast<std::size_t>(task.out.plane()) + index] = centred;
  } else {
    static_cast<std::uint8_t*>(out)[c * planeStride(task.out) + index] =
        requantize(centred, task.factor(pixels), task.zero_point, task.low, task.high);
  }
}

}  // namespace

void maxPoolSimd128(const PoolTask& task, const std::uint8_t* in, void* out, std::uint8_t* scratch) {
  const Window& w = task.window;
  const auto in_width = static_cast<std::size_t>(task.in.width);
  const std::size_t row_bytes = poolScratchBytes(task);
  std::memset(scratch, 0, row_bytes);  // the padding to the left; 0 never wins
  std::uint8_t* const image = scratch + w.pad_left;
  for (int c = 0; c < task.out.channels; ++c) {
    const std::uint8_t* plane = in + static_cast<std::size_t>(c) * planeStride(task.in);
    std::uint8_t* target =
        static_cast<std::uint8_t*>(out) + static_cast<std::size_t>(c) * planeStride(task.out);
    for (int y = 0; y < task.out.height; ++y, target += task.out.width) {
      const int top = y * w.stride_h - w.pad_top;
      const Taps rows = tapsInside(top, w.kernel_h, w.dilation_h, task.in.height);
      const std::uint8_t* first =
          plane + static_cast<std::size_t>(top + rows.begin * w.dilation_h) * in_width;
      maxOfRows(first, rows.count(), static_cast<std::size_t>(w.dilation_h) * in_width, task.in.width, image);
      // What the last vector held beyond the row is no padding.
      std::memset(image + in_width, 0, static_cast<std::size_t>(w.pad_right) + 16);
      maxAlongRow(w, scratch, task.out.width, target);
    }
  }
}

void averagePoolSimd128(const PoolTask& task, const std::uint8_t* in, void* out, std::uint8_t* scratch) {
  const Window& w = task.window;
  if (isGlobal(task)) {
    const auto pixels = static_cast<std::size_t>(task.in.plane());
    for (int c = 0; c < task.out.channels; ++c, in += planeStride(task.in)) {
      storeAverage(task, sumOfBytes(in, pixels), static_cast<int>(pixels), c, 0, out);
    }
    return;
  }
  if (std::min(w.kernel_h, task.in.height) > kMaxRowsIn16Bits)
    return averagePoolScalar(task, in, out, scratch);

  const auto in_width = static_cast<std::size_t>(task.in.width);
  auto* sums = reinterpret_cast<std::uint16_t*>(scratch);
  for (int c = 0; c < task.out.channels; ++c) {
    const std::uint8_t* plane = in + static_cast<std::size_t>(c) * planeStride(task.in);
    std::size_t index = 0;
    for (int y = 0; y < task.out.height; ++y) {
      const int top = y * w.stride_h - w.pad_top;
      const Taps rows = tapsInside(top, w.kernel_h, w.dilation_h, task.in.height);
      const std::uint8_t* first =
          plane + static_cast<std::size_t>(top + rows.begin * w.dilation_h) * in_width;
      sumOfRows(first, rows.count(), static_cast<std::size_t>(w.dilation_h) * in_width, task.in.width, sums);
      for (int x = 0; x < task.out.width; ++x) {
        const int left = x * w.stride_w - w.pad_left;
        const Taps columns = tapsInside(left, w.kernel_w, w.dilation_w, task.in.width);
        std::int32_t sum = 0;
        for (int s = columns.begin; s < columns.end; ++s) sum += sums[left + s * w.dilation_w];
        storeAverage(task, sum, rows.count() * columns.count(), c, index++, out);
      }
    }
  }
}

}  // namespace trefoil
