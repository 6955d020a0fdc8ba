// The vector rounding against the scalar definition, and that against 64-bit division.
#include "kernels/requantize.h"

#include <doctest/doctest.h>

#include <limits>
#include <vector>

TEST_SUITE_BEGIN("requantize");

namespace {

using namespace trefoil;

constexpr std::int32_t kHighest = std::numeric_limits<std::int32_t>::max(),
                       kLowest = std::numeric_limits<std::int32_t>::min();

std::int64_t floorDivide(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0); }

// Extremes, and values around those at which the result steps.
std::vector<std::int32_t> interestingAccumulators(FixedPoint factor) {
  std::vector<std::int32_t> values = {kLowest, kLowest + 1, -65536, -32769, -32768, -1,           0,
                                      1,       32767,       32768,  65535,  65536,  kHighest - 1, kHighest};
  values.push_back((1 << 30) - 1);  // times 2^30 + 1 nearly halfway between integers
  for (int result = -300; result <= 300; ++result) {
    if (factor.multiplier == 0) break;
    const long double at =
        (result - 0.5L) * static_cast<long double>(std::int64_t{1} << factor.shift) / factor.multiplier;
    for (int off = -2; off <= 2; ++off) {
      const long double value = at + off;
      if (value > kLowest && value < kHighest) values.push_back(static_cast<std::int32_t>(value));
    }
  }
  while (values.size() % 8) values.push_back(0);
  return values;
}

}  // namespace

TEST_CASE("vectors round like the definition, for every shift") {
  for (int shift = kMinShift; shift <= kMaxShift; ++shift) {
    for (const std::int32_t multiplier : {0, 1, 3, 1 << 30, (1 << 30) + 1, (1 << 30) + 12345, 1518500249,
                                          1025 << 20, 255 << 23, kHighest - 1, kHighest}) {
      const FixedPoint factor{multiplier, static_cast<std::uint8_t>(shift)};
      const std::vector<std::int32_t> values = interestingAccumulators(factor);
      const int clamps[][3] = {{0, 0, 255}, {255, 0, 255}, {128, 3, 250},
                               {7, 7, 15},  {0, 0, 15},    {0, 255, 255}};
      bool equal = true, as_defined = true;
      for (const auto& [zero_point, low, high] : clamps) {
        const Requantizer requantizer(factor, zero_point, low, high);
        for (std::size_t i = 0; i < values.size(); i += 8) {
          std::int16_t lanes[8];
          wasm_v128_store(lanes,
                          requantizer.apply(wasm_v128_load(&values[i]), wasm_v128_load(&values[i + 4])));
          for (std::size_t lane = 0; lane < 8; ++lane) {
            const std::int32_t accumulator = values[i + lane];
            const int expected = requantize(accumulator, factor, zero_point, low, high);
            equal &= lanes[lane] == expected;
            const std::int64_t half = std::int64_t{1} << (shift - 1);
            const std::int64_t rounded =
                floorDivide(std::int64_t{accumulator} * multiplier + half, std::int64_t{1} << shift);
            as_defined &= expected == std::clamp<std::int64_t>(zero_point + rounded, low, high);
          }
        }
      }
      INFO("multiplier ", multiplier, " shift ", shift);
      CHECK(equal);
      CHECK(as_defined);
    }
  }
}

TEST_CASE("only factors of the known range are supported") {
  const FixedPoint good[] = {{0, 31}, {kHighest, 62}, {1 << 30, 40}};
  CHECK(requantizerSupports(good));
  for (const FixedPoint bad : {FixedPoint{1, 30}, FixedPoint{1, 63}, FixedPoint{-1, 40}}) {
    CHECK_FALSE(requantizerSupports({&bad, 1}));
  }
}

TEST_SUITE_END();
