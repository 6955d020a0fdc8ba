// Tables of the 40 signed sums of 4 inputs: with x and y the four sums of each pair of channels, up to sign,
// the entries are x (4), y (4), and x + y, x - y for each of both.
#pragma once

#include "kernels/simd_util.h"
#include "kernels/ternary_conv/g4_layout.h"

namespace trefoil {

// A pair of codes as +-sum: sums are 0: first, 1: second, 2: first + second, 3: first - second. sign 0: both
// are zero.
struct SignedSum {
  int index, sign;
};

constexpr SignedSum pairSum(int first, int second) {
  if (first == 0) return {1, second};
  if (second == 0) return {0, first};
  return {first == second ? 2 : 3, first};
}

// Four codes as +-entry of the table; sign 0 where all are zero.
constexpr SignedSum tableEntry(const std::int8_t (&codes)[4]) {
  const SignedSum x = pairSum(codes[0], codes[1]), y = pairSum(codes[2], codes[3]);
  if (y.sign == 0) return x;
  if (x.sign == 0) return {4 + y.index, y.sign};
  return {8 + (y.index * 4 + x.index) * 2 + (x.sign == y.sign ? 0 : 1), x.sign};
}

// Writes `count` vectors of all entries, which lie entry_bytes apart. channels: 8 bytes of each channel a
// vector.
inline void buildTable(const std::uint8_t* const (&channels)[4], int count, std::uint8_t* table,
                       std::size_t entry_bytes) {
  for (int v = 0; v < count; ++v) {
    std::uint8_t* entry = table + 16 * v;
    const v128_t x0 = wasm_u16x8_load8x8(channels[0] + 8 * v), x1 = wasm_u16x8_load8x8(channels[1] + 8 * v);
    const v128_t y0 = wasm_u16x8_load8x8(channels[2] + 8 * v), y1 = wasm_u16x8_load8x8(channels[3] + 8 * v);
    const v128_t x[4] = {x0, x1, wasm_i16x8_add(x0, x1), wasm_i16x8_sub(x0, x1)};
    const v128_t y[4] = {y0, y1, wasm_i16x8_add(y0, y1), wasm_i16x8_sub(y0, y1)};
    TREFOIL_UNROLL
    for (int i = 0; i < 4; ++i, entry += entry_bytes) wasm_v128_store(entry, x[i]);
    TREFOIL_UNROLL
    for (int i = 0; i < 4; ++i, entry += entry_bytes) wasm_v128_store(entry, y[i]);
    TREFOIL_UNROLL
    for (int j = 0; j < 4; ++j) {
      TREFOIL_UNROLL
      for (int i = 0; i < 4; ++i, entry += 2 * entry_bytes) {
        wasm_v128_store(entry, wasm_i16x8_add(x[i], y[j]));
        wasm_v128_store(entry + entry_bytes, wasm_i16x8_sub(x[i], y[j]));
      }
    }
  }
}

}  // namespace trefoil
