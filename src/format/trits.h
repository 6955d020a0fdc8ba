// Ternary codes at five to a byte (3^5 = 243 of 256 values).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/ternary.h"

namespace trefoil {

constexpr std::size_t packedTritBytes(std::size_t count) { return count / 5 + (count % 5 != 0); }

// codes: -1, 0, +1. Byte = sum of (code + 1) * 3^i, the first code at i = 0; places left over in the last
// byte are 0, so that equal codes have equal bytes.
std::vector<std::uint8_t> packTrits(std::span<const std::int8_t> codes);

// The reverse, in place of what `codes` holds; `bytes` must be packedTritBytes(count) long. Safe for
// untrusted input. Errors: kBadModel where a byte is not one that packTrits() makes.
Result<void> unpackTrits(std::span<const std::uint8_t> bytes, std::size_t count, TernaryCodes* codes);

}  // namespace trefoil
