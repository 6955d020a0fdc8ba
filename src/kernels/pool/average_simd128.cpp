// Sums are separable: the window's rows are added into one row of scratch, then its columns, eight results at
// a time where the whole window lies inside the image; all of them then share one factor.
#include <algorithm>
#include <cstring>

#include "base/simd.h"
#include "kernels/pool/pool.h"
#include "kernels/requantize.h"

namespace trefoil {
namespace {

// Pixels whose sum still fits 16 bits.
constexpr int kMaxPixelsIn16Bits = 257;

// dest[0..width - 1] = sum of `count` rows, `step` bytes apart. Reads and writes whole vectors.
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

v128_t sumOfTaps(const std::uint16_t* from, int kernel, int dilation) {
  v128_t sum = wasm_v128_load(from);
  for (int s = 1; s < kernel; ++s) sum = wasm_i16x8_add(sum, wasm_v128_load(from += dilation));
  return sum;
}

// Averages of `count` whole windows of `pixels` pixels each, from the first one's leftmost column on. Strides
// 1 and 2.
void averageAlongRow(const PoolTask& task, const std::uint16_t* sums, int count, int pixels,
                     std::uint8_t* out) {
  const Window& w = task.window;
  const Requantizer requantizer(task.factor(pixels), task.zero_point, task.low, task.high);
  const v128_t zero_points = wasm_i32x4_splat(pixels * task.input_zero_point);
  for (int x = 0; x < count; x += 8) {
    v128_t sum = sumOfTaps(sums + x * w.stride_w, w.kernel_w, w.dilation_w);
    if (w.stride_w == 2) {
      const v128_t more = sumOfTaps(sums + x * 2 + 8, w.kernel_w, w.dilation_w);
      sum = wasm_i16x8_shuffle(sum, more, 0, 2, 4, 6, 8, 10, 12, 14);
    }
    const v128_t q = requantizer.apply(wasm_i32x4_sub(wasm_u32x4_extend_low_u16x8(sum), zero_points),
                                       wasm_i32x4_sub(wasm_u32x4_extend_high_u16x8(sum), zero_points));
    std::uint8_t bytes[16];
    wasm_v128_store(bytes, wasm_u8x16_narrow_i16x8(q, q));
    copyFew(out + x, bytes, std::min(8, count - x));
  }
}

// Outputs [begin, end) of a row whose windows lie inside the image from left to right.
struct Inner {
  int begin, end;
};
Inner innerColumns(const PoolTask& task) {
  const Window& w = task.window;
  const int begin = std::min((w.pad_left + w.stride_w - 1) / w.stride_w, task.out.width);
  const int last_start = task.in.width - (w.kernel_w - 1) * w.dilation_w - 1 + w.pad_left;
  const int end = last_start < 0 ? 0 : last_start / w.stride_w + 1;
  return {begin, std::clamp(end, begin, task.out.width)};
}

}  // namespace

void averagePoolSimd128(const PoolTask& task, const std::uint8_t* in, void* out, std::uint8_t* scratch) {
  const Window& w = task.window;
  if (isGlobal(task)) {
    const auto pixels = static_cast<std::size_t>(task.in.plane());
    for (int c = 0; c < task.out.channels; ++c, in += planeStride(task.in)) {
      storeAverage(task, sumOfBytes(in, pixels), static_cast<int>(pixels), c, 0, out);
    }
    return;
  }
  const std::int64_t area = std::int64_t{w.kernel_h} * w.kernel_w;
  if (std::min(w.kernel_h, task.in.height) > kMaxPixelsIn16Bits) {
    return averagePoolScalar(task, in, out, scratch);
  }

  const bool fast = !task.accumulators && w.stride_w <= 2 && area <= kMaxPixelsIn16Bits;
  const Inner inner = fast ? innerColumns(task) : Inner{task.out.width, task.out.width};
  const auto in_width = static_cast<std::size_t>(task.in.width);
  auto* sums = reinterpret_cast<std::uint16_t*>(scratch);
  for (int c = 0; c < task.out.channels; ++c) {
    const std::uint8_t* plane = in + static_cast<std::size_t>(c) * planeStride(task.in);
    for (int y = 0; y < task.out.height; ++y) {
      const int top = y * w.stride_h - w.pad_top;
      const Taps rows = tapsInside(top, w.kernel_h, w.dilation_h, task.in.height);
      const std::uint8_t* first =
          plane + static_cast<std::size_t>(top + rows.begin * w.dilation_h) * in_width;
      sumOfRows(first, rows.count(), static_cast<std::size_t>(w.dilation_h) * in_width, task.in.width, sums);
      const std::size_t row = static_cast<std::size_t>(y) * static_cast<std::size_t>(task.out.width);
      const auto one = [&](int x) {
        const int left = x * w.stride_w - w.pad_left;
        const Taps columns = tapsInside(left, w.kernel_w, w.dilation_w, task.in.width);
        std::int32_t sum = 0;
        for (int s = columns.begin; s < columns.end; ++s) sum += sums[left + s * w.dilation_w];
        storeAverage(task, sum, rows.count() * columns.count(), c, row + static_cast<std::size_t>(x), out);
      };
      for (int x = 0; x < inner.begin; ++x) one(x);
      if (inner.end > inner.begin) {
        std::uint8_t* target = static_cast<std::uint8_t*>(out) +
                               static_cast<std::size_t>(c) * planeStride(task.out) + row + inner.begin;
        averageAlongRow(task, sums + inner.begin * w.stride_w - w.pad_left, inner.end - inner.begin,
                        rows.count() * w.kernel_w, target);
      }
      for (int x = inner.end; x < task.out.width; ++x) one(x);
    }
  }
}

}  // namespace trefoil
