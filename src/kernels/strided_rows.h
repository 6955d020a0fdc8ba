// Rows of the input with padding on both sides and, for strides above 1, every stride-th pixel moved
// together, so that the inputs of neighbouring outputs at one kernel tap are neighbouring bytes.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/simd.h"
#include "kernels/conv_geometry.h"

namespace trefoil {

// Makes rows with pixel x = from[x * stride + offset] for x in 0..count - 1, or `pad` where that lies outside
// 0..width - 1.
class StridedRow {
 public:
  static constexpr int kSlack = 32;  // bytes past `count` that copy() may write

  StridedRow(int count, int width, int offset, int stride)
      : count_(count), offset_(offset), stride_(stride), inside_(tapRange(offset, stride, width, count)) {}

  // from: a row of an activation (see kernels/variant.h for what may be read past it), or null for a row of
  // padding.
  void copy(std::uint8_t* to, const std::uint8_t* from, std::uint8_t pad) const {
    if (!from) {
      std::memset(to, pad, static_cast<std::size_t>(count_));
      return;
    }
    for (int x = 0; x < inside_.begin; ++x) to[x] = pad;
    if (stride_ == 1) {
      for (int x = inside_.begin; x < inside_.end; x += 16) {
        wasm_v128_store(to + x, wasm_v128_load(from + x + offset_));
      }
    } else if (stride_ == 2) {
      for (int x = inside_.begin; x < inside_.end; x += 16) {
        const std::uint8_t* pixels = from + 2 * x + offset_;
        wasm_v128_store(to + x, wasm_i8x16_shuffle(wasm_v128_load(pixels), wasm_v128_load(pixels + 16), 0, 2,
                                                   4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30));
      }
    } else {
      for (int x = inside_.begin; x < inside_.end; ++x) to[x] = from[x * stride_ + offset_];
    }
    for (int x = inside_.end; x < count_; ++x) to[x] = pad;
  }

 private:
  int count_, offset_, stride_;
  TapRange inside_;
};

}  // namespace trefoil
