// Operations that only move bytes: concatenation, padding, slices, other shapes. No variants; memcpy does the
// work.
#pragma once

#include <cstdint>

#include "kernels/variant.h"

namespace trefoil {

// Planes of one value after another, `stride` bytes apart.
struct PlaneLayout {
  std::size_t plane = 0;   // bytes that count
  std::size_t stride = 0;  // >= plane
};
inline PlaneLayout planeLayout(const Shape& shape) {
  return {static_cast<std::size_t>(shape.plane()), planeStride(shape)};
}
// The layout of dense C, H, W bytes.
inline PlaneLayout denseLayout(const Shape& shape) {
  return {static_cast<std::size_t>(shape.plane()), static_cast<std::size_t>(shape.plane())};
}

// Whether both layouts put `count` bytes into the same places, so that one can be read as the other.
bool samePlaces(PlaneLayout a, PlaneLayout b, std::size_t count);

// Copies `count` bytes in C, H, W order between layouts. Gaps of the result stay as they are.
void copyPlanes(PlaneLayout from, const std::uint8_t* in, PlaneLayout to, std::uint8_t* out,
                std::size_t count);

// out is `in` extended by `value`; before: channels, rows, columns. `out`'s shape gives how much comes after.
void padPlanes(const Shape& from, const std::uint8_t* in, const int (&before)[3], std::uint8_t value,
               const Shape& to, std::uint8_t* out);

// out[i] = in[start + i * step] in channels, rows and columns.
void slicePlanes(const Shape& from, const std::uint8_t* in, const int (&start)[3], const int (&step)[3],
                 const Shape& to, std::uint8_t* out);

}  // namespace trefoil
