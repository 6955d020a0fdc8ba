// Operations cut into parts, as threads run them.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/variant.h"

namespace trefoil::testing {

inline constexpr int kPartCounts[] = {1, 2, 3, 5};

// Runs all parts, the last one first, each on a buffer of its own, and puts what they wrote into `out`
// (`bytes` and slack, which must hold `fill` all over). run: called with the part and the buffer. False where
// two parts wrote the same byte.
template <typename Run>
bool runParts(int count, std::size_t bytes, std::uint8_t fill, std::uint8_t* out, const Run& run) {
  AlignedBuffer buffer(bytes);
  bool disjoint = true;
  for (int index = count; index-- > 0;) {
    std::memset(buffer.data(), fill, bytes + kSlackBytes);
    run(Part{index, count}, buffer.data());
    for (std::size_t i = 0; i < bytes + kSlackBytes; ++i) {
      if (buffer.data()[i] == fill) continue;
      disjoint &= out[i] == fill;
      out[i] = buffer.data()[i];
    }
  }
  return disjoint;
}

}  // namespace trefoil::testing
