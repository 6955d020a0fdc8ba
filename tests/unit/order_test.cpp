#include "base/order.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "helpers/random.h"

using namespace trefoil;

TEST_SUITE("order") {
  TEST_CASE("like a stable sort") {
    testing::Random random(8);
    for (int count = 0; count < 70; ++count) {
      std::vector<int> values(static_cast<std::size_t>(count));
      for (int& value : values) value = random.integer(0, 9);
      const auto larger = [&](std::size_t a, std::size_t b) { return values[a] > values[b]; };
      std::vector<std::size_t> expected(values.size());
      std::iota(expected.begin(), expected.end(), std::size_t{0});
      std::stable_sort(expected.begin(), expected.end(), larger);
      CHECK(orderBy(values.size(), larger) == expected);
    }
  }
}
