#include "kernels/mul/mul.h"

namespace trefoil {

void mulScalar(const MulTask& task, const std::uint8_t* a, const std::uint8_t* b, std::uint8_t* out) {
  const std::size_t stride = planeStride(task.shape);
  const auto plane = static_cast<std::size_t>(task.shape.plane());
  for (int c = 0; c < task.shape.channels; ++c) {
    const std::size_t start = static_cast<std::size_t>(c) * stride;
    for (std::size_t i = start; i < start + plane; ++i) {
      const std::uint8_t other = task.per_channel ? b[c] : b[i];
      const std::int32_t product = (a[i] - task.zero_points[0]) * (other - task.zero_points[1]);
      out[i] = requantize(product, task.factor, task.zero_point, task.low, task.high);
    }
  }
}

}  // namespace trefoil
