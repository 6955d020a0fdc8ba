// Small geometry that the convolution kernels share.
#pragma once

#include <algorithm>

#include "base/shape.h"
#include "kernels/conv.h"

namespace trefoil {

// The outputs [begin, end) of one row (or column) whose input index, output * stride + offset, lies within
// the image; all others read padding.
struct TapRange {
  int begin, end;
};

inline TapRange tapRange(int offset, int stride, int in_size, int out_size) {
  const int begin = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  const int end = offset >= in_size ? 0 : (in_size - offset + stride - 1) / stride;
  return {std::min(begin, out_size), std::clamp(end, std::min(begin, out_size), out_size)};
}

// A 1x1 convolution whose outputs are the inputs at the same pixel.
inline bool isPointwise(const ConvTask& task) {
  const Window& w = task.window;
  return w.kernel_h == 1 && w.kernel_w == 1 && w.stride_h == 1 && w.stride_w == 1 && w.pad_top == 0 &&
         w.pad_left == 0 && task.in.height == task.out.height && task.in.width == task.out.width;
}

// True where a padded copy of one group's input, as the SIMD kernels make it, is of a reasonable size. It
// isn't for, say, one pixel within a million rows of padding; the scalar kernel needs no copy.
inline bool paddedCopyIsSmall(const ConvTask& task) {
  const Window& w = task.window;
  const auto extent = [](std::int64_t out, std::int64_t stride, std::int64_t kernel, std::int64_t dilation) {
    return (out + 8) * stride + (kernel - 1) * dilation;
  };
  const std::int64_t height = extent(task.out.height, w.stride_h, w.kernel_h, w.dilation_h);
  const std::int64_t width = extent(task.out.width, w.stride_w, w.kernel_w, w.dilation_w);
  constexpr std::int64_t kMostPixels = std::int64_t{1} << 28;
  return height <= kMostPixels && width <= kMostPixels / height &&
         task.channelsPerGroup() <= kMostPixels / (height * width);
}

}  // namespace trefoil
