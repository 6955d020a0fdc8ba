#include "kernels/lookup/lookup.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "helpers/planes.h"
#include "helpers/reference_interpreter.h"
#include "kernels/rescale/rescale.h"

namespace {

using namespace trefoil;
using testing::Random;

TEST_SUITE("lookup") {
  TEST_CASE("every variant looks up every value of every grid") {
    Random random(4);
    REQUIRE(lookupVariants().back().name == "scalar");
    for (const int input_max : {15, 31, 63, 127, 255}) {
      for (Shape shape : testing::awkwardShapes()) {
        for (const bool per_channel : {false, true}) {
          const std::size_t tables = per_channel ? static_cast<std::size_t>(shape.channels) : 1;
          const auto table = random.bytes(256 * tables);
          const LookupTask task{shape, table, input_max};
          const AlignedBuffer in = testing::randomPlanes(random, shape, input_max);
          std::vector<std::uint8_t> expected = testing::denseBytes(shape, in.data());
          for (std::size_t i = 0; i < expected.size(); ++i) {
            const std::size_t channel = i / static_cast<std::size_t>(shape.plane());
            expected[i] = table[(per_channel ? 256 * channel : 0) + expected[i]];
          }
          for (const auto& variant : lookupVariants()) {
            CAPTURE(variant.name);
            CAPTURE(input_max);
            for (const int parts : testing::kPartCounts) {
              testing::Target out(shape);
              REQUIRE(out.runParts(
                  parts, [&](Part part, std::uint8_t* to) { variant.run(task, in.data(), to, part); }));
              REQUIRE(testing::denseBytes(shape, out.data()) == expected);
              REQUIRE(out.endIntact());
            }
          }
        }
      }
    }
  }

  TEST_CASE("the table of a rescale is its definition") {
    Random random(5);
    for (int round = 0; round < 100; ++round) {
      RescaleTask task;
      task.input_zero_point = random.integer(0, 255);
      task.factor = {random.integer(0, 0x7fffffff),
                     static_cast<std::uint8_t>(random.integer(31, round % 2 ? 33 : 62))};
      task.zero_point = random.integer(0, 255);
      task.high = random.integer(0, 255);
      task.low = random.integer(0, task.high);
      const auto table = rescaleTable(task);
      for (int q = 0; q < 256; ++q) {
        const std::int64_t scaled = testing::roundedQuotient(
            std::int64_t{q - task.input_zero_point} * task.factor.multiplier, task.factor.shift);
        REQUIRE(table[static_cast<std::size_t>(q)] ==
                std::clamp<std::int64_t>(task.zero_point + scaled, task.low, task.high));
      }
    }
  }

}  // TEST_SUITE

}  // namespace
