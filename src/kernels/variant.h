// What all kernels share: instruction sets, memory layout, variant tables.
//
// Every operation has a folder with a contract header, a constexpr table of variants (fastest first, scalar
// always last) and one file an instruction set. All variants of an operation give the same bytes; selection,
// tests and benchmarks loop over the tables.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string_view>

#include "base/shape.h"

namespace trefoil {

enum class Isa { kScalar, kSimd128, kRelaxed };

// Part `index` of `count` of an operation's work, for threads. All parts together write what {0, 1} writes,
// whatever the count, in any order and at the same time: each output byte belongs to one part, and every part
// has scratch memory of its own. A part may be empty.
struct Part {
  int index = 0, count = 1;

  struct Range {
    std::size_t begin, end;
    bool empty() const { return begin == end; }
  };
  // This part's share of `pieces` equal pieces.
  constexpr Range of(std::size_t pieces) const { return {cut(pieces, index), cut(pieces, index + 1)}; }
  // The same in units of several pieces, of which the last one may hold fewer.
  constexpr Range of(std::size_t pieces, std::size_t unit) const {
    const Range units = of((pieces + unit - 1) / unit);
    return {std::min(units.begin * unit, pieces), std::min(units.end * unit, pieces)};
  }

 private:
  constexpr std::size_t cut(std::size_t pieces, int at) const {
    return static_cast<std::size_t>(std::uint64_t{pieces} * static_cast<unsigned>(at) /
                                    static_cast<unsigned>(count));
  }
};

// One kernel of an operation: a row of the operation's table. Every kernel supports every task that its
// contract header allows; convolutions, whose kernels are choosier, have a table of their own
// (kernels/conv.h).
template <typename Fn>
struct Variant {
  std::string_view name;  // unique in its table
  Isa isa;
  Fn* run;
};

// Activations are planar u8: channel c starts at c * planeStride(shape). Buffers start at a multiple of 64
// bytes and may be read (never written) up to kSlackBytes past their end; bytes between planes are readable
// and of any value.
constexpr std::size_t planeStride(const Shape& shape) {
  const auto plane = static_cast<std::size_t>(shape.plane());
  return plane == 1 ? 1 : (plane + 15) / 16 * 16;
}
inline constexpr std::size_t kSlackBytes = 128;
constexpr std::size_t tensorBytes(const Shape& shape) {
  return planeStride(shape) * static_cast<std::size_t>(shape.channels);
}

// Owned memory aligned to 64 bytes with kSlackBytes readable after `size`. Null on exhaustion (test with
// !data()).
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t size) : data_(allocate(size)), size_(size) {}
  std::uint8_t* data() { return data_.get(); }
  const std::uint8_t* data() const { return data_.get(); }
  std::size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(std::uint8_t* p) const { std::free(p); }
  };
  static std::uint8_t* allocate(std::size_t size) {
    if (size > std::numeric_limits<std::size_t>::max() - kSlackBytes - 63) return nullptr;
    return static_cast<std::uint8_t*>(std::aligned_alloc(64, (size + kSlackBytes + 63) / 64 * 64));
  }
  std::unique_ptr<std::uint8_t, Free> data_;
  std::size_t size_ = 0;
};

}  // namespace trefoil
