// Small pieces that the SIMD kernels share.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/simd.h"

// Keeps clang from moving loads and adds across loop bodies, which makes V8 run out of registers and spill.
#if defined(__clang__)
#define TREFOIL_BARRIER() asm volatile("" ::: "memory")
#define TREFOIL_UNROLL _Pragma("clang loop unroll(full)")
#define TREFOIL_NO_UNROLL _Pragma("clang loop unroll(disable)")
#define TREFOIL_NO_VECTORS _Pragma("clang loop unroll(disable) vectorize(disable)")
#else
#define TREFOIL_BARRIER() static_cast<void>(0)
#define TREFOIL_UNROLL _Pragma("GCC unroll 16")
#define TREFOIL_NO_UNROLL
#define TREFOIL_NO_VECTORS
#endif
#define TREFOIL_INLINE inline __attribute__((always_inline))

namespace trefoil {

TREFOIL_INLINE v128_t interleaveLow16(v128_t a, v128_t b) {
  return wasm_i16x8_shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}
TREFOIL_INLINE v128_t interleaveHigh16(v128_t a, v128_t b) {
  return wasm_i16x8_shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

// Bytes of an 8 x 8 block: row 2 * i in the lower and 2 * i + 1 in the upper half of block[i] become columns.
TREFOIL_INLINE void transpose8x8(v128_t (&block)[4]) {
  v128_t pairs[4];
  TREFOIL_UNROLL
  for (int i = 0; i < 4; ++i) {
    pairs[i] = wasm_i8x16_shuffle(block[i], block[i], 0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
  }
  const v128_t low_a = interleaveLow16(pairs[0], pairs[1]), high_a = interleaveHigh16(pairs[0], pairs[1]);
  const v128_t low_b = interleaveLow16(pairs[2], pairs[3]), high_b = interleaveHigh16(pairs[2], pairs[3]);
  block[0] = wasm_i32x4_shuffle(low_a, low_b, 0, 4, 1, 5);
  block[1] = wasm_i32x4_shuffle(low_a, low_b, 2, 6, 3, 7);
  block[2] = wasm_i32x4_shuffle(high_a, high_b, 0, 4, 1, 5);
  block[3] = wasm_i32x4_shuffle(high_a, high_b, 2, 6, 3, 7);
}

// Copies 0..8 bytes.
inline void copyFew(std::uint8_t* to, const std::uint8_t* from, int count) {
  if (count == 8) {
    std::memcpy(to, from, 8);
  } else if (count >= 4) {
    std::uint32_t head, tail;
    std::memcpy(&head, from, 4);
    std::memcpy(&tail, from + count - 4, 4);
    std::memcpy(to, &head, 4);
    std::memcpy(to + count - 4, &tail, 4);
  } else {
    for (int i = 0; i < count; ++i) to[i] = from[i];
  }
}

}  // namespace trefoil
