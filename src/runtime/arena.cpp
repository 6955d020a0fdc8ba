#include "runtime/arena.h"

#include <algorithm>
#include <limits>

#include "base/order.h"

namespace trefoil {
namespace {

std::uint64_t roundUp(std::uint64_t bytes) {
  return (bytes + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
}

}  // namespace

ArenaPlan planArena(std::span<const ArenaValue> values) {
  ArenaPlan plan;
  plan.offsets.resize(values.size());
  const std::vector<std::size_t> order =
      orderBy(values.size(), [&](std::size_t a, std::size_t b) { return values[a].bytes > values[b].bytes; });

  std::vector<std::size_t> placed;  // by offset
  for (const std::size_t index : order) {
    const ArenaValue& value = values[index];
    const std::uint64_t bytes = roundUp(value.bytes);
    std::uint64_t best = 0;
    std::uint64_t best_gap = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t end = 0;  // of what is taken so far, from the left
    for (const std::size_t other : placed) {
      if (values[other].last < value.first || value.last < values[other].first) continue;
      const std::uint64_t start = plan.offsets[other];
      if (start > end && start - end >= bytes && start - end < best_gap) {
        best = end;
        best_gap = start - end;
      }
      end = std::max(end, start + roundUp(values[other].bytes));
    }
    const std::uint64_t offset = best_gap == std::numeric_limits<std::uint64_t>::max() ? end : best;
    plan.offsets[index] = offset;
    plan.bytes = std::max(plan.bytes, offset + bytes);
    const auto position =
        std::upper_bound(placed.begin(), placed.end(), offset,
                         [&](std::uint64_t o, std::size_t other) { return o < plan.offsets[other]; });
    placed.insert(position, index);
  }
  return plan;
}

}  // namespace trefoil
