#include "kernels/lookup/lookup.h"

namespace trefoil {

void lookupScalar(const LookupTask& task, const std::uint8_t* in, std::uint8_t* out) {
  const std::size_t stride = planeStride(task.shape);
  const std::uint8_t* table = task.table.data();
  for (int c = 0; c < task.shape.channels; ++c, in += stride, out += stride) {
    for (std::size_t i = 0; i < stride; ++i) out[i] = table[in[i]];
    if (task.perChannel()) table += 256;
  }
}

}  // namespace trefoil
