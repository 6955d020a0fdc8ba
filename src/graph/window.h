// Where the taps of a convolution or pool fall: shared by the validator, the float evaluator and the passes.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/shape.h"

namespace trefoil {

struct IndexRange {  // begin <= index < end; empty where they are equal
  int begin = 0;
  int end = 0;
  constexpr int count() const { return end - begin; }
};

// One axis of a Window.
struct WindowAxis {
  int kernel, stride, dilation, pad_before, pad_after;

  constexpr std::int64_t extent() const { return std::int64_t{kernel - 1} * dilation + 1; }

  // Position of tap 0 of window `out`, relative to the image's first row or column.
  constexpr std::int64_t start(int out) const { return std::int64_t{out} * stride - pad_before; }

  // Taps of window `out` that lie within positions 0 .. size - 1.
  constexpr IndexRange taps(int out, std::int64_t size) const {
    const std::int64_t first = start(out);
    const std::int64_t begin = first >= 0 ? 0 : (-first + dilation - 1) / dilation;
    const std::int64_t end = first >= size ? 0 : (size - 1 - first) / dilation + 1;
    const std::int64_t clipped = std::clamp<std::int64_t>(end, 0, kernel);
    return {static_cast<int>(std::min(begin, clipped)), static_cast<int>(clipped)};
  }

  // Number of taps of window `out` within the padded image; none comes before it.
  constexpr int paddedTaps(int out, int in) const { return taps(out, std::int64_t{in} + pad_after).end; }

  // Windows, among the first `out`, whose tap `tap` lies within positions 0 .. size - 1.
  constexpr IndexRange windows(int tap, int out, std::int64_t size) const {
    const std::int64_t first = std::int64_t{tap} * dilation - pad_before;
    const std::int64_t begin = first >= 0 ? 0 : (-first + stride - 1) / stride;
    const std::int64_t end = first >= size ? 0 : (size - 1 - first) / stride + 1;
    const std::int64_t clipped = std::clamp<std::int64_t>(end, 0, out);
    return {static_cast<int>(std::min(begin, clipped)), static_cast<int>(clipped)};
  }

  // Whether the last of `out` windows reaches beyond the padded image, as ceil_mode allows.
  constexpr bool overhangs(int in, int out) const {
    return start(out - 1) + extent() > std::int64_t{in} + pad_after;
  }

  // Whether each of `out` windows has a tap inside the image.
  constexpr bool allTouch(int in, int out) const {
    if (start(out - 1) >= in) return false;
    // Where a window starts inside the image, its first tap is inside.
    for (int i = 0; i < out && start(i) < 0; ++i) {
      if (taps(i, in).count() == 0) return false;
    }
    return true;
  }
};

constexpr WindowAxis rowsOf(const Window& w) {
  return {w.kernel_h, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom};
}
constexpr WindowAxis columnsOf(const Window& w) {
  return {w.kernel_w, w.stride_w, w.dilation_w, w.pad_left, w.pad_right};
}

}  // namespace trefoil
