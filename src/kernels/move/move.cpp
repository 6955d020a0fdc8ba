#include "kernels/move/move.h"

#include <algorithm>
#include <cstring>

namespace trefoil {
namespace {

bool dense(PlaneLayout layout, std::size_t count) {
  return layout.plane == layout.stride || count <= layout.plane;
}

}  // namespace

bool samePlaces(PlaneLayout a, PlaneLayout b, std::size_t count) {
  return (a.plane == b.plane && a.stride == b.stride) || (dense(a, count) && dense(b, count));
}

void copyPlanes(PlaneLayout from, const std::uint8_t* in, PlaneLayout to, std::uint8_t* out,
                std::size_t count) {
  if (dense(from, count) && dense(to, count)) {
    std::memcpy(out, in, count);
    return;
  }
  std::size_t read = 0;   // within the plane at `in`
  std::size_t wrote = 0;  // within the plane at `out`
  while (count > 0) {
    const std::size_t piece = std::min({from.plane - read, to.plane - wrote, count});
    std::memcpy(out + wrote, in + read, piece);
    count -= piece;
    read += piece;
    wrote += piece;
    if (read == from.plane) {
      read = 0;
      in += from.stride;
    }
    if (wrote == to.plane) {
      wrote = 0;
      out += to.stride;
    }
  }
}

void padPlanes(const Shape& from, const std::uint8_t* in, const int (&before)[3], std::uint8_t value,
               const Shape& to, std::uint8_t* out) {
  std::memset(out, value, tensorBytes(to));
  const std::size_t in_stride = planeStride(from);
  const std::size_t out_stride = planeStride(to);
  const auto in_width = static_cast<std::size_t>(from.width);
  const auto out_width = static_cast<std::size_t>(to.width);
  for (int c = 0; c < from.channels; ++c) {
    const std::uint8_t* row = in + static_cast<std::size_t>(c) * in_stride;
    std::uint8_t* target = out + static_cast<std::size_t>(c + before[0]) * out_stride +
                           static_cast<std::size_t>(before[1]) * out_width +
                           static_cast<std::size_t>(before[2]);
    for (int y = 0; y < from.height; ++y, row += in_width, target += out_width)
      std::memcpy(target, row, in_width);
  }
}

void slicePlanes(const Shape& from, const std::uint8_t* in, const int (&start)[3], const int (&step)[3],
                 const Shape& to, std::uint8_t* out) {
  const std::size_t in_stride = planeStride(from);
  const std::size_t out_stride = planeStride(to);
  const auto in_width = static_cast<std::size_t>(from.width);
  const auto out_width = static_cast<std::size_t>(to.width);
  const auto column_step = static_cast<std::size_t>(step[2]);
  for (std::size_t c = 0; c < static_cast<std::size_t>(to.channels); ++c) {
    const std::uint8_t* plane =
        in + (static_cast<std::size_t>(start[0]) + c * static_cast<std::size_t>(step[0])) * in_stride;
    std::uint8_t* target = out + c * out_stride;
    for (std::size_t y = 0; y < static_cast<std::size_t>(to.height); ++y, target += out_width) {
      const std::size_t in_y = static_cast<std::size_t>(start[1]) + y * static_cast<std::size_t>(step[1]);
      const std::uint8_t* row = plane + in_y * in_width + static_cast<std::size_t>(start[2]);
      if (column_step == 1) {
        std::memcpy(target, row, out_width);
      } else {
        for (std::size_t x = 0; x < out_width; ++x) target[x] = row[x * column_step];
      }
    }
  }
}

}  // namespace trefoil
