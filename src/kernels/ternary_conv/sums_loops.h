// Inner loops of the sum-table kernels: one list (see sums_lists.h) over one tile of T vectors.
//
// V8 compiles these best with one list entry a loop iteration, the next offset loaded before the current
// vectors, and compiler barriers around the vector loads.
#pragma once

#include "kernels/simd_util.h"

namespace trefoil {

struct SumTask {
  const std::uint8_t* table;
  std::int32_t* accumulators;  // of the list's first filter: T vectors of pixels
  std::size_t filter_stride;   // in int32
  int filters;
};

namespace sum_loops {

template <int T, bool kSubtract>
TREFOIL_INLINE const std::uint32_t* addEntries16(v128_t (&sums)[T], const std::uint8_t* table,
                                                 const std::uint32_t* words, std::uint32_t count) {
  const std::uint8_t* entry = table + words[0];
  TREFOIL_NO_UNROLL
  do {
    const std::uint8_t* const next = table + words[1];
    TREFOIL_BARRIER();
    TREFOIL_UNROLL
    for (int i = 0; i < T; ++i) {
      const v128_t value = wasm_v128_load(entry + 16 * i);
      sums[i] = kSubtract ? wasm_i16x8_sub(sums[i], value) : wasm_i16x8_add(sums[i], value);
    }
    TREFOIL_BARRIER();
    entry = next;
    ++words;
  } while (--count);
  return words;
}

template <int T>
TREFOIL_INLINE const std::uint32_t* addEntries8(v128_t (&sums)[T], const std::uint8_t* table,
                                                const std::uint32_t* words, std::uint32_t count) {
  const std::uint8_t* entry = table + words[0];
  const std::uint8_t* next = table + words[1];
  TREFOIL_BARRIER();
  TREFOIL_UNROLL
  for (int i = 0; i < T; ++i) sums[i] = wasm_v128_load(entry + 16 * i);
  TREFOIL_BARRIER();
  entry = next;
  ++words;
  if (--count == 0) return words;
  TREFOIL_NO_UNROLL
  do {
    next = table + words[1];
    TREFOIL_BARRIER();
    TREFOIL_UNROLL
    for (int i = 0; i < T; ++i) sums[i] = wasm_i8x16_add(sums[i], wasm_v128_load(entry + 16 * i));
    TREFOIL_BARRIER();
    entry = next;
    ++words;
  } while (--count);
  return words;
}

TREFOIL_INLINE void addTo(std::int32_t* accumulators, v128_t value) {
  wasm_v128_store(accumulators, wasm_i32x4_add(wasm_v128_load(accumulators), value));
}

}  // namespace sum_loops

// Two entries with two scales at a time; the accumulators stay in registers, which holds T to 5 at most.
template <int T>
void sumSingles(const SumTask& task, const std::uint32_t* words) {
  const std::uint8_t* const table = task.table;
  for (int filter = 0; filter < task.filters; ++filter) {
    std::int32_t* const accumulators = task.accumulators + filter * task.filter_stride;
    std::uint32_t remaining = *words++;
    if (remaining == 0) continue;
    v128_t sums[2 * T];
    TREFOIL_UNROLL
    for (int i = 0; i < 2 * T; ++i) sums[i] = wasm_v128_load(accumulators + 4 * i);
    const std::uint8_t* first = table + words[0];
    const std::uint8_t* second = table + words[1];
    TREFOIL_NO_UNROLL
    do {
      const v128_t scales = wasm_v128_load32_splat(words + 2);
      const std::uint8_t* const next_first = table + words[3];
      const std::uint8_t* const next_second = table + words[4];
      TREFOIL_BARRIER();
      TREFOIL_UNROLL
      for (int i = 0; i < T; ++i) {
        const v128_t a = wasm_v128_load(first + 16 * i), b = wasm_v128_load(second + 16 * i);
        sums[2 * i] = wasm_i32x4_add(sums[2 * i], wasm_i32x4_dot_i16x8(interleaveLow16(a, b), scales));
        sums[2 * i + 1] =
            wasm_i32x4_add(sums[2 * i + 1], wasm_i32x4_dot_i16x8(interleaveHigh16(a, b), scales));
      }
      TREFOIL_BARRIER();
      first = next_first;
      second = next_second;
      words += 3;
    } while (--remaining);
    TREFOIL_UNROLL
    for (int i = 0; i < 2 * T; ++i) wasm_v128_store(accumulators + 4 * i, sums[i]);
  }
}

// Sums of 16 bits, each with one scale. In the accumulators the even pixels of a vector come before the odd
// ones: multiplying them by scale and 0 needs no shuffle.
template <int T>
void sumRuns16(const SumTask& task, const std::uint32_t* words) {
  using namespace sum_loops;
  const std::uint8_t* const table = task.table;
  while (std::uint32_t items = *words++) {
    const std::uint32_t counts = *words++, added = counts & 0xFFFF, subtracted = counts >> 16;
    TREFOIL_NO_UNROLL
    do {
      const std::uint32_t head = *words++;
      v128_t sums[T];
      TREFOIL_UNROLL
      for (int i = 0; i < T; ++i) sums[i] = wasm_i16x8_splat(0);
      if (added) words = addEntries16<T, false>(sums, table, words, added);
      if (subtracted) words = addEntries16<T, true>(sums, table, words, subtracted);
      std::int32_t* const to = task.accumulators + (head >> 16) * task.filter_stride;
      const v128_t even = wasm_i32x4_splat(static_cast<std::int32_t>(head & 0xFFFF));
      const v128_t odd = wasm_i32x4_splat(static_cast<std::int32_t>(head << 16));
      TREFOIL_UNROLL
      for (int i = 0; i < T; ++i) {
        addTo(to + 8 * i, wasm_i32x4_dot_i16x8(sums[i], even));
        addTo(to + 8 * i + 4, wasm_i32x4_dot_i16x8(sums[i], odd));
        TREFOIL_BARRIER();
      }
    } while (--items);
  }
}

// One or two sums of 8 bits with a scale each: their bytes are interleaved and widened to pairs for the
// multiplication.
template <int T>
void sumRuns8(const SumTask& task, const std::uint32_t* words) {
  using namespace sum_loops;
  const std::uint8_t* const table = task.table;
  v128_t firsts[T];
  while (std::uint32_t items = *words++) {
    const std::uint32_t counts = *words++, count = counts & 0xFFFF, second_count = counts >> 16;
    TREFOIL_NO_UNROLL
    do {
      const std::uint32_t head = *words++;
      v128_t sums[T];
      words = addEntries8<T>(sums, table, words, count);
      TREFOIL_UNROLL
      for (int i = 0; i < T; ++i) wasm_v128_store(&firsts[i], sums[i]);
      TREFOIL_BARRIER();
      if (second_count) words = addEntries8<T>(sums, table, words, second_count);  // else its scale is 0
      std::int32_t* const to = task.accumulators + (head >> 16) * task.filter_stride;
      const v128_t scales = wasm_i32x4_splat(static_cast<std::int32_t>((head & 0xFF) | (head & 0xFF00) << 8));
      TREFOIL_UNROLL
      for (int i = 0; i < T; ++i) {
        const v128_t first = wasm_v128_load(&firsts[i]);
        const v128_t low =
            wasm_i8x16_shuffle(first, sums[i], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        const v128_t high =
            wasm_i8x16_shuffle(first, sums[i], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        std::int32_t* const pixels = to + 16 * i;
        addTo(pixels, wasm_i32x4_dot_i16x8(wasm_u16x8_extend_low_u8x16(low), scales));
        addTo(pixels + 4, wasm_i32x4_dot_i16x8(wasm_u16x8_extend_high_u8x16(low), scales));
        addTo(pixels + 8, wasm_i32x4_dot_i16x8(wasm_u16x8_extend_low_u8x16(high), scales));
        addTo(pixels + 12, wasm_i32x4_dot_i16x8(wasm_u16x8_extend_high_u8x16(high), scales));
        TREFOIL_BARRIER();
      }
    } while (--items);
  }
}

}  // namespace trefoil
