// Tables of the signed sums of 3 or 4 inputs: with x the sums of the first pair of channels and y those of
// the second pair (or the third channel), the entries are x, y, and every x + y.
#pragma once

#include <array>

#include "kernels/simd_util.h"
#include "kernels/ternary_conv/sums_layout.h"

namespace trefoil {

// What codes look up: sign * table[entry]; sign 0 where all codes are zero.
struct CodePattern {
  std::uint8_t entry = 0;
  std::int8_t sign = 0;
  std::uint8_t positive = 0, negative = 0;  // codes
};

namespace sum_table {

struct SignedSum {
  int index, sign;
};

// A pair of codes up to sign; 0: first, 1: second, 2: first + second, 3: first - second.
constexpr SignedSum pairSum(int first, int second) {
  if (first == 0) return {1, second};
  if (second == 0) return {0, first};
  return {first == second ? 2 : 3, first};
}

// With sign: 0: first, 2: second, 4: first + second, 6: first - second; each one's negative follows.
constexpr SignedSum signedPairSum(int first, int second) {
  const SignedSum sum = pairSum(first, second);
  return {2 * sum.index + (sum.sign < 0 ? 1 : 0), sum.sign == 0 ? 0 : 1};
}

constexpr SignedSum entryOf(const std::int8_t (&codes)[4], int depth, bool bytes) {
  // Of a third channel alone, y is its first sum.
  const int third = codes[2], fourth = codes[3];
  if (bytes) {
    const SignedSum x = signedPairSum(codes[0], codes[1]), y = signedPairSum(third, fourth);
    if (y.sign == 0) return x;
    if (x.sign == 0) return {8 + y.index, 1};
    return {8 + (depth == 4 ? 8 : 2) + y.index * 8 + x.index, 1};
  }
  const SignedSum x = pairSum(codes[0], codes[1]), y = pairSum(third, fourth);
  if (y.sign == 0) return x;
  if (x.sign == 0) return {4 + y.index, y.sign};
  return {4 + (depth == 4 ? 4 : 1) + (y.index * 4 + x.index) * 2 + (x.sign == y.sign ? 0 : 1), x.sign};
}

// The two low bits of four codes' bytes, side by side.
constexpr std::uint32_t codeBits(std::uint32_t codes) { return (codes & 0x03030303) * 0x01041040 >> 24; }

constexpr std::array<CodePattern, 81> makePatterns(int depth, bool bytes) {
  std::array<CodePattern, 81> patterns{};
  for (int index = 0; index < (depth == 4 ? 81 : 27); ++index) {
    const std::int8_t codes[4] = {static_cast<std::int8_t>(index % 3 - 1),
                                  static_cast<std::int8_t>(index / 3 % 3 - 1),
                                  static_cast<std::int8_t>(index / 9 % 3 - 1),
                                  static_cast<std::int8_t>(depth == 4 ? index / 27 - 1 : 0)};
    const SignedSum sum = entryOf(codes, depth, bytes);
    CodePattern& pattern = patterns[index];
    pattern.entry = static_cast<std::uint8_t>(sum.index);
    pattern.sign = static_cast<std::int8_t>(sum.sign);
    for (const std::int8_t code : codes) {
      if (code > 0) ++pattern.positive;
      if (code < 0) ++pattern.negative;
    }
  }
  return patterns;
}

TREFOIL_INLINE void pairSums16(v128_t first, v128_t second, v128_t (&sums)[4]) {
  sums[0] = first;
  sums[1] = second;
  sums[2] = wasm_i16x8_add(first, second);
  sums[3] = wasm_i16x8_sub(first, second);
}

TREFOIL_INLINE void pairSums8(v128_t first, v128_t second, v128_t most, v128_t (&sums)[8]) {
  const v128_t minus_first = wasm_i8x16_sub(most, first), minus_second = wasm_i8x16_sub(most, second);
  sums[0] = first;
  sums[1] = minus_first;
  sums[2] = second;
  sums[3] = minus_second;
  sums[4] = wasm_i8x16_add(first, second);
  sums[5] = wasm_i8x16_add(minus_first, minus_second);
  sums[6] = wasm_i8x16_add(first, minus_second);
  sums[7] = wasm_i8x16_add(minus_first, second);
}

template <int kCount>
TREFOIL_INLINE std::uint8_t* storeEntries(const v128_t* sums, std::uint8_t* entry, std::size_t entry_bytes) {
  TREFOIL_UNROLL
  for (int i = 0; i < kCount; ++i, entry += entry_bytes) wasm_v128_store(entry, sums[i]);
  return entry;
}

}  // namespace sum_table

// Index: (c0 + 1) + 3 (c1 + 1) + 9 (c2 + 1) + 27 (c3 + 1), the last term only of 4 codes.
template <int kDepth, bool kBytes>
inline constexpr std::array<CodePattern, 81> kCodePatterns = sum_table::makePatterns(kDepth, kBytes);

// Writes `count` vectors of all entries, which lie entry_bytes apart. channels: those of the group, one
// vector's pixels after the other.
using TableBuilder = void (*)(const std::uint8_t* const (&channels)[4], int count, std::uint8_t* table,
                              std::size_t entry_bytes, int input_max);

template <int kDepth>
void buildTable16(const std::uint8_t* const (&channels)[4], int count, std::uint8_t* table,
                  std::size_t entry_bytes, int) {
  constexpr int kSecond = kDepth == 4 ? 4 : 1;
  for (int v = 0; v < count; ++v) {
    v128_t x[4], y[4];
    sum_table::pairSums16(wasm_u16x8_load8x8(channels[0] + 8 * v), wasm_u16x8_load8x8(channels[1] + 8 * v),
                          x);
    if (kDepth == 4) {
      sum_table::pairSums16(wasm_u16x8_load8x8(channels[2] + 8 * v), wasm_u16x8_load8x8(channels[3] + 8 * v),
                            y);
    } else {
      y[0] = wasm_u16x8_load8x8(channels[2] + 8 * v);
    }
    std::uint8_t* entry = sum_table::storeEntries<4>(x, table + 16 * v, entry_bytes);
    entry = sum_table::storeEntries<kSecond>(y, entry, entry_bytes);
    TREFOIL_UNROLL
    for (int j = 0; j < kSecond; ++j) {
      TREFOIL_UNROLL
      for (int i = 0; i < 4; ++i, entry += 2 * entry_bytes) {
        wasm_v128_store(entry, wasm_i16x8_add(x[i], y[j]));
        wasm_v128_store(entry + entry_bytes, wasm_i16x8_sub(x[i], y[j]));
      }
    }
  }
}

template <int kDepth>
void buildTable8(const std::uint8_t* const (&channels)[4], int count, std::uint8_t* table,
                 std::size_t entry_bytes, int input_max) {
  constexpr int kSecond = kDepth == 4 ? 8 : 2;
  const v128_t most = wasm_i8x16_splat(static_cast<std::int8_t>(input_max));
  for (int v = 0; v < count; ++v) {
    v128_t x[8], y[8];
    sum_table::pairSums8(wasm_v128_load(channels[0] + 16 * v), wasm_v128_load(channels[1] + 16 * v), most, x);
    const v128_t third = wasm_v128_load(channels[2] + 16 * v);
    if (kDepth == 4) {
      sum_table::pairSums8(third, wasm_v128_load(channels[3] + 16 * v), most, y);
    } else {
      y[0] = third;
      y[1] = wasm_i8x16_sub(most, third);
    }
    std::uint8_t* entry = sum_table::storeEntries<8>(x, table + 16 * v, entry_bytes);
    const std::uint8_t* second = entry;
    entry = sum_table::storeEntries<kSecond>(y, entry, entry_bytes);
    TREFOIL_NO_UNROLL
    for (int j = 0; j < kSecond; ++j, second += entry_bytes) {  // y would not fit into registers beside x
      const v128_t sum = wasm_v128_load(second);
      TREFOIL_UNROLL
      for (int i = 0; i < 8; ++i, entry += entry_bytes) wasm_v128_store(entry, wasm_i8x16_add(x[i], sum));
    }
  }
}

}  // namespace trefoil
