// Bringing a tensor to another grid: q' = clamp(zero_point + rshift((q - z) * factor)). A function of one
// byte, so it is worked out once into a table and run by the lookup kernels.
#pragma once

#include <array>

#include "base/fixed_point.h"

namespace trefoil {

struct RescaleTask {
  int input_zero_point = 0;
  FixedPoint factor;
  int zero_point = 0, low = 0, high = 255;
};

inline std::array<std::uint8_t, 256> rescaleTable(const RescaleTask& task) {
  std::array<std::uint8_t, 256> table{};
  for (int q = 0; q < 256; ++q) {
    table[static_cast<std::size_t>(q)] =
        requantize(q - task.input_zero_point, task.factor, task.zero_point, task.low, task.high);
  }
  return table;
}

}  // namespace trefoil
