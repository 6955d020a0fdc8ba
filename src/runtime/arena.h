// One block of memory for all activations: values that are never alive together share bytes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace trefoil {

inline constexpr std::uint64_t kArenaAlignment = 64;

// A buffer that is in use from step `first` to step `last`, both included.
struct ArenaValue {
  std::uint64_t bytes = 0;
  int first = 0;
  int last = 0;
};

struct ArenaPlan {
  std::vector<std::uint64_t> offsets;  // one a value, multiples of kArenaAlignment
  std::uint64_t bytes = 0;
};

// Places the largest values first, each into the tightest gap between those already placed that are alive
// with it.
ArenaPlan planArena(std::span<const ArenaValue> values);

}  // namespace trefoil
