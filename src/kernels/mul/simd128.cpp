#include "base/simd.h"
#include "kernels/mul/mul.h"
#include "kernels/requantize.h"

namespace trefoil {
namespace {

struct Lanes {
  Lanes(const MulTask& task)
      : requantizer(task.factor, task.zero_point, task.low, task.high),
        zero_a(wasm_i16x8_splat(static_cast<std::int16_t>(task.zero_points[0]))),
        zero_b(wasm_i16x8_splat(static_cast<std::int16_t>(task.zero_points[1]))) {}

  // 8 results as i16 of 8 + 8 inputs as i16.
  v128_t multiply(v128_t a, v128_t b) const {
    const v128_t x = wasm_i16x8_sub(a, zero_a);
    const v128_t y = wasm_i16x8_sub(b, zero_b);
    return requantizer.apply(wasm_i32x4_extmul_low_i16x8(x, y), wasm_i32x4_extmul_high_i16x8(x, y));
  }
  v128_t operator()(v128_t a, v128_t b) const {
    return wasm_u8x16_narrow_i16x8(
        multiply(wasm_u16x8_extend_low_u8x16(a), wasm_u16x8_extend_low_u8x16(b)),
        multiply(wasm_u16x8_extend_high_u8x16(a), wasm_u16x8_extend_high_u8x16(b)));
  }

  Requantizer requantizer;
  v128_t zero_a, zero_b;
};

}  // namespace

void mulSimd128(const MulTask& task, const std::uint8_t* a, const std::uint8_t* b, std::uint8_t* out) {
  const Lanes lanes(task);
  if (task.per_channel) {
    const std::size_t stride = planeStride(task.shape);
    if (stride % 16 != 0) return mulScalar(task, a, b, out);  // single pixels
    for (int c = 0; c < task.shape.channels; ++c) {
      const v128_t other = wasm_i8x16_splat(static_cast<std::int8_t>(b[c]));
      for (std::size_t i = 0; i < stride; i += 16, a += 16, out += 16) {
        wasm_v128_store(out, lanes(wasm_v128_load(a), other));
      }
    }
    return;
  }
  const std::size_t count = tensorBytes(task.shape);
  std::size_t i = 0;
  for (; i + 16 <= count; i += 16)
    wasm_v128_store(out + i, lanes(wasm_v128_load(a + i), wasm_v128_load(b + i)));
  MulTask tail = task;
  tail.shape = {static_cast<int>(count - i), 1, 1};
  mulScalar(tail, a + i, b + i, out + i);
}

}  // namespace trefoil
