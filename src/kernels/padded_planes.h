// Copies of input planes with their padding, split into phases (rows and columns modulo the strides), so that
// one kernel tap's inputs lie at a constant distance from their outputs and neighbouring outputs read
// neighbouring bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/conv.h"
#include "kernels/strided_rows.h"

namespace trefoil {

class PaddedPlanes {
 public:
  static constexpr std::size_t kSlack = 64;  // bytes past the last channel that fill() may write

  explicit PaddedPlanes(const ConvTask& task)
      : stride_h_(task.window.stride_h),
        stride_w_(task.window.stride_w),
        dilation_h_(task.window.dilation_h),
        dilation_w_(task.window.dilation_w) {
    const int reach_y = (task.window.kernel_h - 1) * dilation_h_,
              reach_x = (task.window.kernel_w - 1) * dilation_w_;
    phases_y_ = std::min(stride_h_, reach_y + 1);
    phases_x_ = std::min(stride_w_, reach_x + 1);
    rows_ = task.out.height + reach_y / stride_h_;
    row_pixels_ = task.out.width + reach_x / stride_w_;
  }

  std::size_t channelBytes() const { return static_cast<std::size_t>(phases_y_) * phases_x_ * phaseBytes(); }
  // Distance between the inputs of two outputs above each other.
  std::size_t rowBytes() const { return static_cast<std::size_t>(row_pixels_); }
  // Where the inputs of tap (r, s) begin within a channel.
  std::size_t tapOffset(int r, int s) const {
    const int y = r * dilation_h_, x = s * dilation_w_;
    const std::size_t phase = static_cast<std::size_t>(y % stride_h_) * phases_x_ + x % stride_w_;
    return phase * phaseBytes() + static_cast<std::size_t>(y / stride_h_) * row_pixels_ + x / stride_w_;
  }

  // Copies one input plane.
  void fill(const ConvTask& task, const std::uint8_t* plane, std::uint8_t pad, std::uint8_t* to) const {
    for (int phase_y = 0; phase_y < phases_y_; ++phase_y) {
      for (int phase_x = 0; phase_x < phases_x_; ++phase_x) {
        const StridedRow strided(row_pixels_, task.in.width, phase_x - task.window.pad_left, stride_w_);
        for (int row = 0; row < rows_; ++row, to += row_pixels_) {
          const int y = row * stride_h_ + phase_y - task.window.pad_top;
          const bool inside = y >= 0 && y < task.in.height;
          strided.copy(to, inside ? plane + static_cast<std::size_t>(y) * task.in.width : nullptr, pad);
        }
      }
    }
  }

 private:
  std::size_t phaseBytes() const { return static_cast<std::size_t>(rows_) * row_pixels_; }

  int stride_h_, stride_w_, dilation_h_, dilation_w_;
  int phases_y_, phases_x_, rows_, row_pixels_;
};

}  // namespace trefoil
