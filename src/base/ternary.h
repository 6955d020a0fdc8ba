// Ternary weights in groups with 8-bit scales, as every part of the library holds them in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace trefoil {

// Scales of a filter: one a group of `group_size` consecutive input channels at one kernel tap, the last
// group of a tap may be shorter; kWholeFilter: one for the filter.
inline constexpr int kWholeFilter = 0;

// Leaves what resize() makes room for as it is: millions of zeros are not written first.
template <typename T>
struct UnfilledAllocator : std::allocator<T> {
  template <typename U>
  struct rebind {
    using other = UnfilledAllocator<U>;
  };
  template <typename U>
  void construct(U* place) {
    ::new (static_cast<void*>(place)) U;
  }
  template <typename U, typename... Values>
  void construct(U* place, Values&&... values) {
    std::construct_at(place, static_cast<Values&&>(values)...);
  }
};
using TernaryCodes = std::vector<std::int8_t, UnfilledAllocator<std::int8_t>>;

// One plane of codes. Weight [k][r][s][c] has the value  filter_scale[k] * scale(k, r, s, c / group_size) *
// code.
struct TernaryPlane {
  TernaryCodes codes;                // -1, 0, +1, in the order [K][R][S][C / groups]
  std::vector<std::uint8_t> scales;  // [K][scalesPerFilter]
  std::vector<std::uint8_t>
      negative_scales;  // two-sided: the scale of the -1 codes; empty: the same as `scales`
  bool operator==(const TernaryPlane&) const = default;
};

// A filter's weights are the sum of its planes (one or two).
struct TernaryWeights {
  int group_size = 4;  // >= 1, or kWholeFilter
  std::vector<TernaryPlane> planes;
  bool operator==(const TernaryWeights&) const = default;
};

// channels: input channels of one filter (C / groups); taps: R * S.
constexpr int scalesPerTap(int channels, int group_size) {
  return group_size == kWholeFilter ? 1 : (channels + group_size - 1) / group_size;
}
constexpr int scalesPerFilter(int channels, int taps, int group_size) {
  return group_size == kWholeFilter ? 1 : taps * scalesPerTap(channels, group_size);
}
// Index of a weight's scale within its filter; tap = r * S + s.
constexpr int scaleIndex(int channel, int tap, int channels, int group_size) {
  return group_size == kWholeFilter ? 0 : tap * scalesPerTap(channels, group_size) + channel / group_size;
}

}  // namespace trefoil
