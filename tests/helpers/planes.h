// Buffers for kernel tests: any bytes in gaps and slack, and a look at what a kernel wrote where it must not.
#pragma once

#include <cstring>
#include <vector>

#include "helpers/parts.h"
#include "helpers/random.h"
#include "kernels/variant.h"

namespace trefoil::testing {

// Planes of values 0..high; gaps and slack hold any bytes.
inline AlignedBuffer randomPlanes(Random& random, const Shape& shape, int high = 255) {
  AlignedBuffer buffer(tensorBytes(shape));
  for (std::size_t i = 0; i < buffer.size() + kSlackBytes; ++i) {
    buffer.data()[i] = static_cast<std::uint8_t>(random.integer(0, 255));
  }
  for (int c = 0; c < shape.channels; ++c) {
    for (std::int64_t i = 0; i < shape.plane(); ++i) {
      buffer.data()[static_cast<std::size_t>(c) * planeStride(shape) + static_cast<std::size_t>(i)] =
          static_cast<std::uint8_t>(random.integer(0, high));
    }
  }
  return buffer;
}

// A result buffer whose slack shows writes past its end.
class Target {
 public:
  explicit Target(std::size_t bytes) : buffer_(bytes) {
    std::memset(buffer_.data(), kFill, bytes + kSlackBytes);
  }
  explicit Target(const Shape& shape) : Target(tensorBytes(shape)) {}
  std::uint8_t* data() { return buffer_.data(); }
  // See helpers/parts.h; once.
  template <typename Run>
  bool runParts(int count, const Run& run) {
    return testing::runParts(count, buffer_.size(), kFill, buffer_.data(), run);
  }
  bool endIntact() const {
    for (std::size_t i = 0; i < kSlackBytes; ++i) {
      if (buffer_.data()[buffer_.size() + i] != kFill) return false;
    }
    return true;
  }

 private:
  static constexpr std::uint8_t kFill = 0xA5;
  AlignedBuffer buffer_;
};

// The bytes that count, in C, H, W order.
inline std::vector<std::uint8_t> denseBytes(const Shape& shape, const std::uint8_t* planes) {
  std::vector<std::uint8_t> bytes;
  for (int c = 0; c < shape.channels; ++c) {
    const std::uint8_t* plane = planes + static_cast<std::size_t>(c) * planeStride(shape);
    bytes.insert(bytes.end(), plane, plane + shape.plane());
  }
  return bytes;
}

// Shapes whose planes end before, at and after vector boundaries.
inline std::vector<Shape> awkwardShapes() {
  return {{1, 1, 1},   {5, 1, 1},   {16, 1, 1}, {67, 1, 1}, {3, 1, 2},  {2, 3, 5},
          {4, 4, 4},   {3, 1, 16},  {2, 1, 17}, {3, 5, 7},  {1, 7, 7},  {5, 8, 8},
          {2, 13, 11}, {1, 16, 16}, {3, 1, 33}, {2, 31, 3}, {1, 5, 63}, {2, 3, 100}};
}

}  // namespace trefoil::testing
