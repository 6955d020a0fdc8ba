// What a machine can do at best: loads of a vector from the first-level cache, each followed by an addition.
// Ternary kernels do little else, so their speed is compared with it (runtime/profile.h).
#pragma once

#include <cstddef>
#include <cstdint>

namespace trefoil {

inline constexpr std::size_t kLoadRateBytes = 4096;
inline constexpr int kLoadsARound = static_cast<int>(kLoadRateBytes / 16);

// rounds * kLoadsARound loads and additions of 128-bit vectors over `bytes`, 16-byte aligned and
// kLoadRateBytes long. Returns something of all sums, so that none can be left out.
std::uint32_t loadAndAdd(const std::uint8_t* bytes, int rounds);

}  // namespace trefoil
