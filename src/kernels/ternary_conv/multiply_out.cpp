#include "kernels/ternary_conv/multiply_out.h"

#include <cstring>

namespace trefoil {

AlignedBuffer multiplyOut(const ConvTask& task, const TernaryWeights& weights) {
  const int channels = task.channelsPerGroup(), taps = task.taps();
  const std::size_t count = static_cast<std::size_t>(task.out.channels) * taps * channels;
  const auto scales_per_filter =
      static_cast<std::size_t>(scalesPerFilter(channels, taps, weights.group_size));
  AlignedBuffer products(count * sizeof(std::int16_t));
  if (!products.data()) return products;
  auto* values = reinterpret_cast<std::int16_t*>(products.data());
  std::memset(values, 0, count * sizeof(std::int16_t));
  for (const TernaryPlane& plane : weights.planes) {
    const auto& negative = plane.negative_scales.empty() ? plane.scales : plane.negative_scales;
    std::size_t i = 0;
    for (int k = 0; k < task.out.channels; ++k) {
      for (int tap = 0; tap < taps; ++tap) {
        for (int c = 0; c < channels; ++c, ++i) {
          const std::size_t scale = k * scales_per_filter + scaleIndex(c, tap, channels, weights.group_size);
          const int code = plane.codes[i];
          values[i] =
              static_cast<std::int16_t>(values[i] + code * (code < 0 ? negative : plane.scales)[scale]);
        }
      }
    }
  }
  return products;
}

}  // namespace trefoil
