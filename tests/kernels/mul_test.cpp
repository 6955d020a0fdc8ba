#include "kernels/mul/mul.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "helpers/planes.h"
#include "helpers/reference_interpreter.h"

namespace {

using namespace trefoil;
using testing::Random;

MulTask randomTask(Random& random, const Shape& shape) {
  MulTask task;
  task.shape = shape;
  task.per_channel = random.chance(50);
  for (int& zero_point : task.zero_points) zero_point = random.integer(0, 255);
  task.factor = {random.integer(0, 0x7fffffff), static_cast<std::uint8_t>(random.integer(31, 62))};
  if (random.chance(70))
    task.factor = {random.integer(1 << 30, 0x7fffffff), static_cast<std::uint8_t>(random.integer(36, 40))};
  task.zero_point = random.integer(0, 255);
  task.low = random.chance(50) ? 0 : random.integer(0, 255);
  task.high = random.integer(task.low, 255);
  return task;
}

TEST_SUITE("mul") {
  TEST_CASE("scalar is the definition, and all variants agree") {
    Random random(3);
    REQUIRE(mulVariants().back().name == "scalar");
    for (const Shape& shape : testing::awkwardShapes()) {
      for (int round = 0; round < 20; ++round) {
        const MulTask task = randomTask(random, shape);
        const Shape other = task.per_channel ? Shape{shape.channels, 1, 1} : shape;
        const AlignedBuffer a = testing::randomPlanes(random, shape);
        const AlignedBuffer b = testing::randomPlanes(random, other);
        std::vector<std::uint8_t> expected;
        for (int c = 0; c < shape.channels; ++c) {
          for (int i = 0; i < shape.plane(); ++i) {
            const std::int64_t x =
                a.data()[static_cast<std::size_t>(c) * planeStride(shape) + static_cast<std::size_t>(i)];
            const std::int64_t y = b.data()[static_cast<std::size_t>(c) * planeStride(other) +
                                            static_cast<std::size_t>(task.per_channel ? 0 : i)];
            const std::int64_t scaled = testing::roundedQuotient(
                (x - task.zero_points[0]) * (y - task.zero_points[1]) * task.factor.multiplier,
                task.factor.shift);
            expected.push_back(static_cast<std::uint8_t>(
                std::clamp<std::int64_t>(task.zero_point + scaled, task.low, task.high)));
          }
        }
        for (const auto& variant : mulVariants()) {
          CAPTURE(variant.name);
          for (const int parts : testing::kPartCounts) {
            testing::Target out(shape);
            REQUIRE(out.runParts(parts, [&](Part part, std::uint8_t* to) {
              variant.run(task, a.data(), b.data(), to, part);
            }));
            REQUIRE(testing::denseBytes(shape, out.data()) == expected);
            REQUIRE(out.endIntact());
          }
        }
      }
    }
  }

}  // TEST_SUITE

}  // namespace
