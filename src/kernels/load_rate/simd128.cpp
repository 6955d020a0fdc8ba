#include "base/simd.h"
#include "kernels/load_rate/load_rate.h"
#include "kernels/simd_util.h"

namespace trefoil {

std::uint32_t loadAndAdd(const std::uint8_t* bytes, int rounds) {
  constexpr int kSums = 8;              // enough to hide an addition's latency, and all in registers
  constexpr int kUnrolled = 2 * kSums;  // older V8 makes worse code of longer bodies
  v128_t sums[kSums];
  TREFOIL_UNROLL
  for (v128_t& sum : sums) sum = wasm_i16x8_splat(0);
  for (int round = 0; round < rounds; ++round) {
    TREFOIL_BARRIER();
    const std::uint8_t* from = bytes;
    for (int i = 0; i < kLoadsARound; i += kUnrolled, from += std::size_t{16} * kUnrolled) {
      TREFOIL_UNROLL
      for (int j = 0; j < kUnrolled; ++j) {
        sums[j % kSums] = wasm_i16x8_add(sums[j % kSums], wasm_v128_load(from + 16 * j));
      }
    }
  }
  v128_t sum = sums[0];
  TREFOIL_UNROLL
  for (int i = 1; i < kSums; ++i) sum = wasm_i16x8_add(sum, sums[i]);
  return static_cast<std::uint32_t>(wasm_i32x4_extract_lane(sum, 0)) ^
         static_cast<std::uint32_t>(wasm_i32x4_extract_lane(sum, 3));
}

}  // namespace trefoil
