#include <algorithm>

#include "kernels/pool/pool.h"

namespace trefoil {
namespace {

// Calls use(value) for every pixel of a window inside the image; returns their number.
template <typename Use>
int forEachPixel(const PoolTask& task, const std::uint8_t* plane, int y, int x, const Use& use) {
  const Window& w = task.window;
  const int top = y * w.stride_h - w.pad_top;
  const int left = x * w.stride_w - w.pad_left;
  const Taps rows = tapsInside(top, w.kernel_h, w.dilation_h, task.in.height);
  const Taps columns = tapsInside(left, w.kernel_w, w.dilation_w, task.in.width);
  for (int r = rows.begin; r < rows.end; ++r) {
    const std::uint8_t* row =
        plane + static_cast<std::size_t>(top + r * w.dilation_h) * static_cast<std::size_t>(task.in.width);
    for (int s = columns.begin; s < columns.end; ++s) use(row[left + s * w.dilation_w]);
  }
  return rows.count() * columns.count();
}

// Calls store(channel, index within the plane, plane of the input, y, x) for every pixel of the result.
template <typename Store>
void forEachOutput(const PoolTask& task, const std::uint8_t* in, const Store& store) {
  for (int c = 0; c < task.out.channels; ++c) {
    const std::uint8_t* plane = in + static_cast<std::size_t>(c) * planeStride(task.in);
    std::size_t index = 0;
    for (int y = 0; y < task.out.height; ++y) {
      for (int x = 0; x < task.out.width; ++x) store(static_cast<std::size_t>(c), index++, plane, y, x);
    }
  }
}

}  // namespace

void maxPoolScalar(const PoolTask& task, const std::uint8_t* in, void* out, std::uint8_t*) {
  auto* bytes = static_cast<std::uint8_t*>(out);
  forEachOutput(task, in, [&](std::size_t c, std::size_t index, const std::uint8_t* plane, int y, int x) {
    std::uint8_t largest = 0;
    forEachPixel(task, plane, y, x, [&](std::uint8_t q) { largest = std::max(largest, q); });
    bytes[c * planeStride(task.out) + index] = largest;
  });
}

void averagePoolScalar(const PoolTask& task, const std::uint8_t* in, void* out, std::uint8_t*) {
  const auto out_plane = static_cast<std::size_t>(task.out.plane());
  forEachOutput(task, in, [&](std::size_t c, std::size_t index, const std::uint8_t* plane, int y, int x) {
    std::int32_t sum = 0;
    const int pixels =
        forEachPixel(task, plane, y, x, [&](std::uint8_t q) { sum += q - task.input_zero_point; });
    if (task.accumulators) {
      static_cast<std::int32_t*>(out)[c * out_plane + index] = sum;
    } else {
      static_cast<std::uint8_t*>(out)[c * planeStride(task.out) + index] =
          requantize(sum, task.factor(pixels), task.zero_point, task.low, task.high);
    }
  });
}

}  // namespace trefoil
