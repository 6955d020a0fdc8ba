// Where the parts of a .trefoil file end. The file starts with a FlatBuffer whose root offset leads past 8
// bytes of ours, little-endian: at 8 the length of that first buffer, at 12 that of the whole file. A reader
// that wants the first planes alone fetches the first 16 bytes, and then only so much.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace trefoil {

inline constexpr std::size_t kSectionAlignment = 8;  // what FlatBuffers may ask of a buffer's place
inline constexpr std::size_t kSectionHeaderBytes = 16;

inline constexpr char kRefinementIdentifier[] = "TREX";

struct Sections {
  std::size_t first = 0, whole = 0;
};

// One file of a finished Model buffer and a finished Refinement buffer, which may be empty.
std::vector<std::byte> joinSections(std::span<const std::uint8_t> model,
                                    std::span<const std::uint8_t> refinement);

// bytes: a file, or the start of one. Safe for untrusted input. Errors: kBadModel where the lengths make no
// sense.
Result<Sections> readSections(std::span<const std::byte> bytes);

}  // namespace trefoil
