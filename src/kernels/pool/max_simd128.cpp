// Maxima are separable: the window's rows are combined into one row of scratch, vector by vector, then its
// columns.
#include <algorithm>
#include <cstring>

#include "base/simd.h"
#include "kernels/pool/pool.h"

namespace trefoil {
namespace {

// dest[0..width - 1] = max of `count` rows, `step` bytes apart. Reads and writes whole vectors.
void maxOfRows(const std::uint8_t* row, int count, std::size_t step, int width, std::uint8_t* dest) {
  for (int x = 0; x < width; x += 16) {
    v128_t largest = wasm_v128_load(row + x);
    const std::uint8_t* from = row + x;
    for (int r = 1; r < count; ++r) largest = wasm_u8x16_max(largest, wasm_v128_load(from += step));
    wasm_v128_store(dest + x, largest);
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
      std::memset(image + in_width, 0, static_cast<std::size_t>(w.pad_right));
      maxAlongRow(w, scratch, task.out.width, target);
    }
  }
}

}  // namespace trefoil
