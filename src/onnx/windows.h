// Kernel, strides, dilations and padding of convolutions and pools, as ONNX's attributes state them.
#pragma once

#include "onnx/importer.h"

namespace trefoil::onnx {

struct WindowSizes {
  // Pads hold what auto_pad and ceil_mode add, so that windowOutput() gives the output's size.
  Window window;
  int height = 0, width = 0;  // of the output
  // Rows and columns of pad_bottom and pad_right that are there only because ceil_mode rounds up.
  int overhang_h = 0, overhang_w = 0;
};

// Errors: kBadShape (no room for the kernel, lists of the wrong length), kUnsupportedOp.
Result<WindowSizes> readWindow(const Importer& importer, const WireNode& node, std::int64_t kernel_h,
                               std::int64_t kernel_w, const Shape& input);

}  // namespace trefoil::onnx
