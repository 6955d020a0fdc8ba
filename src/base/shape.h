#pragma once

#include <cstddef>
#include <cstdint>

namespace trefoil {

// Shape of one image's activation: channels, rows, columns. A flat vector of F features is {F, 1, 1}.
struct Shape {
  int channels = 0;
  int height = 1;
  int width = 1;
  bool operator==(const Shape&) const = default;
  constexpr std::int64_t plane() const { return std::int64_t{height} * width; }
  constexpr std::int64_t size() const { return channels * plane(); }
};

// Geometry shared by convolutions and pools, in the order rows then columns. All >= 1 but the pads, which are
// >= 0.
struct Window {
  int kernel_h = 1, kernel_w = 1;
  int stride_h = 1, stride_w = 1;
  int dilation_h = 1, dilation_w = 1;
  int pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  bool operator==(const Window&) const = default;
};

// Limits that every reader enforces, so that sizes never overflow and a hostile file can't ask for absurd
// memory.
inline constexpr int kMaxDimension = 1 << 20;            // any one of channels, height, width
inline constexpr std::int64_t kMaxElements = 1LL << 28;  // elements of one activation or one weight tensor

}  // namespace trefoil
