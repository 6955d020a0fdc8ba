#include "base/fixed_point.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "helpers/random.h"
#include "helpers/reference_interpreter.h"

namespace {

using namespace trefoil;

TEST_SUITE("fixed_point") {
  TEST_CASE("halves round up, towards plus infinity") {
    CHECK(roundingShift(5, 1) == 3);
    CHECK(roundingShift(-5, 1) == -2);
    CHECK(roundingShift(-6, 2) == -1);
    CHECK(roundingShift(6, 2) == 2);
    CHECK(roundingShift(-7, 2) == -2);
    CHECK(roundingShift(-7, 0) == -7);
    testing::Random random(1);
    for (int i = 0; i < 2000; ++i) {
      const std::int64_t value = random.between(-(std::int64_t{1} << 62), std::int64_t{1} << 62);
      const int shift = random.integer(0, 62);
      CHECK(roundingShift(value, shift) == testing::roundedQuotient(value, shift));
    }
  }

  TEST_CASE("a factor is the nearest one that has 31 bits") {
    FixedPoint factor;
    REQUIRE(fixedPointFromReal(0.5, &factor));
    CHECK(factor == FixedPoint{1 << 30, 31});
    REQUIRE(fixedPointFromReal(0.75, &factor));
    CHECK(factor == FixedPoint{3 << 29, 31});
    REQUIRE(fixedPointFromReal(0.0, &factor));
    CHECK(factor.multiplier == 0);
    testing::Random random(2);
    for (int i = 0; i < 2000; ++i) {
      const double real =
          std::ldexp(static_cast<double>(random.between(1, (1LL << 50) - 1)), -50 - random.integer(0, 40));
      if (!fixedPointFromReal(real, &factor)) continue;
      CHECK(factor.shift >= kMinShift);
      CHECK(factor.shift <= kMaxShift);
      const double back = std::ldexp(static_cast<double>(factor.multiplier), -factor.shift);
      // Half a step; at the largest shift up to a quarter more, since the 31 bits are rounded again.
      CHECK(std::abs(back - real) <= std::max(real * std::ldexp(1.0, -31), std::ldexp(0.75, -kMaxShift)));
    }
  }

  TEST_CASE("factors that do not fit are refused") {
    FixedPoint factor;
    CHECK_FALSE(fixedPointFromReal(1.0, &factor));
    CHECK_FALSE(fixedPointFromReal(std::nextafter(1.0, 0.0), &factor));  // rounds to 1
    CHECK_FALSE(fixedPointFromReal(-0.1, &factor));
    CHECK_FALSE(fixedPointFromReal(std::numeric_limits<double>::quiet_NaN(), &factor));
    CHECK_FALSE(fixedPointFromReal(std::numeric_limits<double>::infinity(), &factor));
    REQUIRE(fixedPointFromReal(std::numeric_limits<double>::denorm_min(), &factor));
    CHECK(factor == FixedPoint{0, kMaxShift});
  }

  TEST_CASE("requantization clamps at both ends of 32-bit accumulators") {
    const std::int32_t low = std::numeric_limits<std::int32_t>::min();
    const std::int32_t high = std::numeric_limits<std::int32_t>::max();
    const FixedPoint largest{0x7fffffff, kMinShift};
    CHECK(requantize(high, largest, 255, 0, 255) == 255);
    CHECK(requantize(low, largest, 255, 0, 255) == 0);
    CHECK(requantize(low, largest, 255, 7, 200) == 7);
    CHECK(scaleAccumulator(low, largest) == -2147483647);
    CHECK(scaleAccumulator(high, largest) == 2147483646);
    CHECK(requantize(3, {1 << 30, 31}, 10, 0, 255) == 12);  // 1.5 rounds up
    CHECK(requantize(-3, {1 << 30, 31}, 10, 0, 255) == 9);  // -1.5 too
  }

}  // TEST_SUITE

}  // namespace
