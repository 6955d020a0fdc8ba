#include "kernels/add/add.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "helpers/planes.h"
#include "helpers/reference_interpreter.h"

namespace {

using namespace trefoil;
using testing::Random;

AddTask randomTask(Random& random, std::size_t count) {
  AddTask task;
  task.count = count;
  for (int i = 0; i < 2; ++i) {
    task.zero_points[i] = random.integer(0, 255);
    const int limit = random.pick<int>({1 << 21, 1 << 21, 1 << 15, 1 << 16, 300});
    task.multipliers[i] =
        random.chance(20) ? (random.chance(50) ? limit : -limit) : random.integer(-limit, limit);
  }
  task.shift = random.chance(30) ? kShortAddShift : random.integer(0, 30);
  task.zero_point = random.integer(0, 255);
  task.low = random.chance(50) ? 0 : random.integer(0, 255);
  task.high = random.integer(task.low, 255);
  return task;
}

TEST_SUITE("add") {
  TEST_CASE("scalar is the definition") {
    Random random(1);
    for (int round = 0; round < 300; ++round) {
      const AddTask task = randomTask(random, 40);
      const auto a = random.bytes(task.count);
      const auto b = random.bytes(task.count);
      std::vector<std::uint8_t> out(task.count);
      addScalar(task, a.data(), b.data(), out.data());
      for (std::size_t i = 0; i < task.count; ++i) {
        const std::int64_t sum = std::int64_t{a[i] - task.zero_points[0]} * task.multipliers[0] +
                                 std::int64_t{b[i] - task.zero_points[1]} * task.multipliers[1];
        const std::int64_t q = task.zero_point + testing::roundedQuotient(sum, task.shift);
        REQUIRE(out[i] == std::clamp<std::int64_t>(q, task.low, task.high));
      }
    }
  }

  TEST_CASE("all variants agree, at the limits too") {
    Random random(2);
    REQUIRE(addVariants().back().name == "scalar");
    for (const auto& variant : addVariants()) {
      CAPTURE(variant.name);
      for (int round = 0; round < 400; ++round) {
        AddTask task = randomTask(random, static_cast<std::size_t>(random.integer(1, 70)));
        const Shape shape{static_cast<int>(task.count), 1, 1};
        if (round % 8 == 0) {  // the largest sums there are
          task.multipliers[0] = task.multipliers[1] = round % 16 ? 1 << 21 : -(1 << 21);
          task.zero_points[0] = task.zero_points[1] = round % 32 < 16 ? 0 : 255;
        }
        const AlignedBuffer a = testing::randomPlanes(random, shape);
        const AlignedBuffer b = testing::randomPlanes(random, shape);
        testing::Target expected(shape);
        addScalar(task, a.data(), b.data(), expected.data());
        for (const int parts : testing::kPartCounts) {
          testing::Target actual(shape);
          REQUIRE(actual.runParts(parts, [&](Part part, std::uint8_t* out) {
            variant.run(task, a.data(), b.data(), out, part);
          }));
          REQUIRE(testing::denseBytes(shape, actual.data()) == testing::denseBytes(shape, expected.data()));
          REQUIRE(actual.endIntact());
        }
      }
    }
  }

  TEST_CASE("short multipliers give the same sums of every pair of values") {
    Random random(3);
    constexpr int kRounds = 200;
    for (const int bits : {4, 6}) {  // of the inputs; the result has 4
      const int most = (1 << bits) - 1;
      int found = 0;
      for (int round = 0; round < kRounds; ++round) {
        AddTask task;
        task.shift = random.integer(18, 21);
        const int unit = task.shift + 4 - bits;
        for (std::int32_t& m : task.multipliers)
          m = std::min(random.integer(1 << (unit - 2), 7 << (unit - 2)) - 1, 1 << 21);
        for (int& zero_point : task.zero_points) zero_point = random.integer(0, most);
        task.zero_point = random.integer(0, 15);
        task.high = 15;
        const AddTask other = withShortMultipliers(task, most, most);
        found += other.shift == kShortAddShift;
        bool equal = true;
        for (int pair = 0; pair < 1 << (2 * bits); ++pair) {
          const auto a = static_cast<std::uint8_t>(pair >> bits), b = static_cast<std::uint8_t>(pair & most);
          std::uint8_t expected, actual;
          AddTask one = task, one_short = other;
          one.count = one_short.count = 1;
          addScalar(one, &a, &b, &expected);
          addScalar(one_short, &a, &b, &actual);
          equal &= actual == expected;
        }
        REQUIRE(equal);
        // Values of 8 bits are left alone.
        REQUIRE(withShortMultipliers(task, 255, 15).shift == task.shift);
      }
      CAPTURE(found);
      CHECK(found > kRounds * (bits == 4 ? 9 : 6) / 10);
    }
  }

}  // TEST_SUITE

}  // namespace
