// Where values that are alive together lie in memory.
#include "runtime/arena.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "helpers/random_model.h"

namespace {

using namespace trefoil;
using testing::Random;

TEST_SUITE("arena") {
  TEST_CASE("values that are alive together never overlap") {
    Random random(6);
    for (int round = 0; round < 200; ++round) {
      std::vector<ArenaValue> values(static_cast<std::size_t>(random.integer(1, 40)));
      for (auto& value : values) {
        value.bytes = static_cast<std::uint64_t>(random.integer(0, 3000));
        value.first = random.integer(0, 30);
        value.last = value.first + random.integer(0, 8);
      }
      const ArenaPlan plan = planArena(values);
      std::uint64_t end = 0;
      for (std::size_t i = 0; i < values.size(); ++i) {
        CHECK(plan.offsets[i] % kArenaAlignment == 0);
        end = std::max(end, plan.offsets[i] + values[i].bytes);
        for (std::size_t j = 0; j < i; ++j) {
          if (values[i].last < values[j].first || values[j].last < values[i].first) continue;
          const bool apart = plan.offsets[i] + values[i].bytes <= plan.offsets[j] ||
                             plan.offsets[j] + values[j].bytes <= plan.offsets[i];
          REQUIRE(apart);
        }
      }
      CHECK(plan.bytes >= end);
      CHECK(plan.bytes <= end + kArenaAlignment);
    }
  }

  TEST_CASE("a chain needs two buffers, and the tightest gap is taken") {
    CHECK(planArena(std::vector<ArenaValue>{{640, 0, 1}, {640, 1, 2}, {640, 2, 3}, {640, 3, 4}}).bytes ==
          1280);
    // Gaps of 256 at 640 and of 128 at 1024 when the last value comes; both hold it.
    const ArenaPlan plan = planArena(
        std::vector<ArenaValue>{{640, 0, 9}, {256, 0, 4}, {128, 0, 9}, {128, 0, 4}, {128, 0, 9}, {64, 6, 7}});
    CHECK(plan.bytes == 640 + 256 + 128 * 3);
    CHECK(plan.offsets[5] == plan.offsets[3]);
  }

}  // TEST_SUITE

}  // namespace
