// Inner loops of the sum-table kernel: one list (see g4_lists.h) over one tile of T vectors.
//
// V8 compiles these best with one list entry a loop iteration, the next offset loaded before the current
// vectors, and compiler barriers around the vector loads.
#pragma once

#include "kernels/simd_util.h"

namespace trefoil {

// Sums of consecutive filters over one list. Accumulators: for each filter 2 * T vectors of int32, 8 pixels a
// pair.
struct SumTask {
  const std::uint8_t* table;
  std::int32_t* accumulators;
  std::size_t filter_stride;  // in int32
  const std::int32_t* bias;   // the filters' bias to start from, or null to add to the accumulators
  int filters;
};

template <int T>
TREFOIL_INLINE void startAccumulators(const SumTask& task, int filter, std::int32_t* accumulators) {
  if (!task.bias) return;
  const v128_t bias = wasm_i32x4_splat(task.bias[filter]);
  TREFOIL_UNROLL
  for (int i = 0; i < 2 * T; ++i) wasm_v128_store(accumulators + 4 * i, bias);
}

// Two entries with two scales at a time; the accumulators stay in registers, which holds T to 5 at most.
template <int T>
const std::uint32_t* sumSingles(const SumTask& task, const std::uint32_t* words) {
  const std::uint8_t* const table = task.table;
  for (int filter = 0; filter < task.filters; ++filter) {
    std::int32_t* const accumulators = task.accumulators + filter * task.filter_stride;
    startAccumulators<T>(task, filter, accumulators);
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
  return words;
}

template <int T, bool kSubtract>
TREFOIL_INLINE const std::uint32_t* sumEntries(v128_t (&sums)[T], const std::uint8_t* table,
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
TREFOIL_INLINE const std::uint32_t* sumSegment(v128_t (&sums)[T], const std::uint8_t* table,
                                               const std::uint32_t* words, std::uint32_t counts) {
  TREFOIL_UNROLL
  for (int i = 0; i < T; ++i) sums[i] = wasm_i16x8_splat(0);
  const std::uint32_t added = counts & 255, subtracted = counts >> 8 & 255;
  if (added) words = sumEntries<T, false>(sums, table, words, added);
  if (subtracted) words = sumEntries<T, true>(sums, table, words, subtracted);
  return words;
}

// Segments of equal scale are summed in 16 bits, then pairs of them are scaled into the accumulators in
// memory.
template <int T>
const std::uint32_t* sumSegments(const SumTask& task, const std::uint32_t* words) {
  const std::uint8_t* const table = task.table;
  v128_t firsts[T];
  for (int filter = 0; filter < task.filters; ++filter) {
    std::int32_t* const accumulators = task.accumulators + filter * task.filter_stride;
    startAccumulators<T>(task, filter, accumulators);
    for (std::uint32_t remaining = *words++; remaining; --remaining) {
      const std::uint32_t scale_words = words[0], counts = words[1];
      words += 2;
      v128_t sums[T];
      words = sumSegment<T>(sums, table, words, counts);
      TREFOIL_UNROLL
      for (int i = 0; i < T; ++i) wasm_v128_store(&firsts[i], sums[i]);
      words = sumSegment<T>(sums, table, words, counts >> 16);
      const v128_t scales = wasm_i32x4_splat(static_cast<std::int32_t>(scale_words));
      TREFOIL_UNROLL
      for (int i = 0; i < T; ++i) {
        const v128_t first = wasm_v128_load(&firsts[i]);
        std::int32_t* to = accumulators + 8 * i;
        const v128_t low = wasm_i32x4_dot_i16x8(interleaveLow16(first, sums[i]), scales);
        const v128_t high = wasm_i32x4_dot_i16x8(interleaveHigh16(first, sums[i]), scales);
        wasm_v128_store(to, wasm_i32x4_add(wasm_v128_load(to), low));
        wasm_v128_store(to + 4, wasm_i32x4_add(wasm_v128_load(to + 4), high));
      }
    }
  }
  return words;
}

}  // namespace trefoil
