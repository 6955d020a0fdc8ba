#include <algorithm>

#include "base/fixed_point.h"
#include "kernels/lrn/lrn.h"

namespace trefoil {
namespace {

constexpr std::size_t kTile = 128;  // pixels whose running sums are kept while the channels pass by

// sums[i] += sign * (q - z)^2
void addSquares(const std::uint8_t* in, std::size_t count, int zero_point, int sign, std::int32_t* sums) {
  for (std::size_t i = 0; i < count; ++i) {
    const int value = in[i] - zero_point;
    sums[i] += sign * value * value;
  }
}

}  // namespace

void lrnScalar(const LrnTask& task, const std::uint8_t* in, std::uint8_t* out, Part part) {
  const std::size_t stride = planeStride(task.shape);
  const auto plane = static_cast<std::size_t>(task.shape.plane());
  const int channels = task.shape.channels;
  const int before = (task.size - 1) / 2;
  const int after = task.size - 1 - before;
  const auto last = static_cast<std::int32_t>(task.table.size()) - 1;
  const auto row = [&](int c) { return static_cast<std::size_t>(c) * stride; };

  std::int32_t sums[kTile];
  const Part::Range pixels = part.of(plane, 64);
  for (std::size_t start = pixels.begin; start < pixels.end; start += kTile) {
    const std::size_t count = std::min(kTile, pixels.end - start);
    std::fill_n(sums, count, 0);
    for (int c = 0; c < std::min(after, channels); ++c) {
      addSquares(in + row(c) + start, count, task.input_zero_point, 1, sums);
    }
    for (int c = 0; c < channels; ++c) {
      if (c + after < channels)
        addSquares(in + row(c + after) + start, count, task.input_zero_point, 1, sums);
      const std::uint8_t* from = in + row(c) + start;
      std::uint8_t* to = out + row(c) + start;
      for (std::size_t i = 0; i < count; ++i) {
        const std::int32_t factor =
            task.table[static_cast<std::size_t>(std::min(sums[i] >> task.table_shift, last))];
        const std::int64_t q =
            task.zero_point + roundingShift((from[i] - task.input_zero_point) * factor, task.shift);
        to[i] = static_cast<std::uint8_t>(std::clamp<std::int64_t>(q, 0, task.high));
      }
      if (c >= before) addSquares(in + row(c - before) + start, count, task.input_zero_point, -1, sums);
    }
  }
}

}  // namespace trefoil
