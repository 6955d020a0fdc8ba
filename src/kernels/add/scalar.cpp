#include <algorithm>

#include "base/fixed_point.h"
#include "kernels/add/add.h"

namespace trefoil {

void addScalar(const AddTask& task, const std::uint8_t* a, const std::uint8_t* b, std::uint8_t* out) {
  for (std::size_t i = 0; i < task.count; ++i) {
    const std::int32_t sum = (a[i] - task.zero_points[0]) * task.multipliers[0] +
                             (b[i] - task.zero_points[1]) * task.multipliers[1];
    const std::int64_t q = task.zero_point + roundingShift(sum, task.shift);
    out[i] = static_cast<std::uint8_t>(std::clamp<std::int64_t>(q, task.low, task.high));
  }
}

}  // namespace trefoil
