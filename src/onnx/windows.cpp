#include "onnx/windows.h"

#include <algorithm>

namespace trefoil::onnx {
namespace {

struct AxisWindow {
  std::int64_t kernel = 1, stride = 1, dilation = 1, before = 0, after = 0;
};

struct AxisResult {
  std::int64_t before = 0, after = 0, overhang = 0, output = 0;
};

enum class Padding { kGiven, kSameUpper, kSameLower };

// Sizes are at most kMaxDimension each, so nothing here overflows 64 bits. output 0: there is no room for the
// kernel.
AxisResult resolveAxis(const AxisWindow& axis, std::int64_t input, Padding padding, bool ceil_mode) {
  AxisResult result{axis.before, axis.after, 0, 0};
  const std::int64_t extent = (axis.kernel - 1) * axis.dilation + 1;
  if (padding != Padding::kGiven) {
    result.output = (input + axis.stride - 1) / axis.stride;
    const std::int64_t total = std::max<std::int64_t>((result.output - 1) * axis.stride + extent - input, 0);
    const std::int64_t smaller = total / 2;
    result.before = padding == Padding::kSameUpper ? smaller : total - smaller;
    result.after = total - result.before;
    return result;
  }
  const std::int64_t room = input + axis.before + axis.after - extent;
  if (room < 0) return result;
  if (!ceil_mode) {
    result.output = room / axis.stride + 1;
    return result;
  }
  result.output = (room + axis.stride - 1) / axis.stride + 1;
  if ((result.output - 1) * axis.stride >= input + axis.before)
    --result.output;  // it would start beyond the image
  const std::int64_t reached = (result.output - 1) * axis.stride + extent - input - axis.before;
  result.after = std::max<std::int64_t>(reached, 0);
  result.overhang = std::max<std::int64_t>(result.after - axis.after, 0);
  return result;
}

// A list attribute of `count` numbers, each from `low` to kMaxDimension; `fallback` where it is absent.
Result<Dims> readList(const Importer& importer, const WireNode& node, std::string_view name,
                      std::size_t count, std::int64_t low) {
  const WireAttribute* attribute = node.find(name);
  if (attribute == nullptr) return Dims(count, low);
  const Dims& values = attribute->integers;
  const auto text = [&] { return std::string(name) + " " + dimsText(values); };
  if (values.size() != count) {
    return importer.unsupported(node, text() + " must be " + std::to_string(count) +
                                          " numbers; only two-dimensional windows are supported");
  }
  for (const std::int64_t value : values) {
    if (value < low || value > kMaxDimension) {
      return importer.badShape(
          node, text() + " must be " + std::to_string(low) + " to " + std::to_string(kMaxDimension));
    }
  }
  return values;
}

}  // namespace

Result<WindowSizes> readWindow(const Importer& importer, const WireNode& node, std::int64_t kernel_h,
                               std::int64_t kernel_w, const Shape& input) {
  TREFOIL_ASSIGN(strides, readList(importer, node, "strides", 2, 1));
  TREFOIL_ASSIGN(dilations, readList(importer, node, "dilations", 2, 1));
  const std::string_view auto_pad = node.text("auto_pad", "NOTSET");
  Dims pads(4, 0);
  Padding padding = Padding::kGiven;
  if (auto_pad == "SAME_UPPER") {
    padding = Padding::kSameUpper;
  } else if (auto_pad == "SAME_LOWER") {
    padding = Padding::kSameLower;
  } else if (auto_pad == "NOTSET" || auto_pad.empty()) {
    TREFOIL_ASSIGN(given, readList(importer, node, "pads", 4, 0));
    pads = std::move(given);
  } else if (auto_pad != "VALID") {
    return importer.unsupported(node, "auto_pad " + quoted(auto_pad) + " is not known");
  }
  if (kernel_h < 1 || kernel_w < 1 || kernel_h > kMaxDimension || kernel_w > kMaxDimension) {
    return importer.badShape(
        node, "has a kernel of " + std::to_string(kernel_h) + " x " + std::to_string(kernel_w));
  }
  const bool ceil_mode = node.integer("ceil_mode", 0) != 0;
  const AxisResult rows =
      resolveAxis({kernel_h, strides[0], dilations[0], pads[0], pads[2]}, input.height, padding, ceil_mode);
  const AxisResult columns =
      resolveAxis({kernel_w, strides[1], dilations[1], pads[1], pads[3]}, input.width, padding, ceil_mode);
  const std::int64_t largest_pad = std::max({rows.before, rows.after, columns.before, columns.after});
  if (rows.output < 1 || columns.output < 1 || largest_pad > kMaxDimension) {
    return importer.badShape(node, "its kernel of " + std::to_string(kernel_h) + " x " +
                                       std::to_string(kernel_w) + " doesn't fit an input of shape " +
                                       shapeText(input) + " with pads " + dimsText(pads) +
                                       "; is the image too small for this network?");
  }
  const auto narrow = [](std::int64_t value) { return static_cast<int>(value); };
  WindowSizes sizes;
  sizes.window = {narrow(kernel_h),     narrow(kernel_w),     narrow(strides[0]),  narrow(strides[1]),
                  narrow(dilations[0]), narrow(dilations[1]), narrow(rows.before), narrow(columns.before),
                  narrow(rows.after),   narrow(columns.after)};
  sizes.height = narrow(rows.output);
  sizes.width = narrow(columns.output);
  sizes.overhang_h = narrow(rows.overhang);
  sizes.overhang_w = narrow(columns.overhang);
  return sizes;
}

}  // namespace trefoil::onnx
