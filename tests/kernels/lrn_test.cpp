#include "kernels/lrn/lrn.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "helpers/planes.h"
#include "helpers/reference_interpreter.h"

namespace {

using namespace trefoil;
using testing::Random;

TEST_SUITE("lrn") {
  TEST_CASE("every variant is the definition") {
    Random random(6);
    REQUIRE(lrnVariants().back().name == "scalar");
    std::vector<Shape> shapes = testing::awkwardShapes();
    shapes.push_back({20, 9, 31});
    for (const Shape& shape : shapes) {
      for (int round = 0; round < 8; ++round) {
        LrnTask task;
        task.shape = shape;
        task.size = random.pick<int>({1, 2, 3, 5, 8, 40, 4096});
        task.table_shift = random.integer(0, round == 0 ? 31 : 12);
        std::vector<std::int32_t> table(static_cast<std::size_t>(random.integer(1, 400)));
        for (auto& entry : table) entry = random.integer(0, 1 << 21);
        task.table = table;
        task.shift = random.integer(round == 0 ? 0 : 14, round == 0 ? 62 : 22);
        task.input_zero_point = random.integer(0, 255);
        task.zero_point = random.integer(0, 255);
        task.high = random.integer(15, 255);
        const AlignedBuffer in = testing::randomPlanes(random, shape);
        std::vector<std::uint8_t> expected;
        const auto value = [&](int c, std::int64_t i) {
          return std::int64_t{in.data()[static_cast<std::size_t>(c) * planeStride(shape) +
                                        static_cast<std::size_t>(i)]} -
                 task.input_zero_point;
        };
        for (int c = 0; c < shape.channels; ++c) {
          for (std::int64_t i = 0; i < shape.plane(); ++i) {
            std::int64_t sum = 0;
            const int first = c - (task.size - 1) / 2;
            for (int k = std::max(first, 0); k < std::min(first + task.size, shape.channels); ++k)
              sum += value(k, i) * value(k, i);
            const auto entry =
                std::min<std::size_t>(static_cast<std::size_t>(sum >> task.table_shift), table.size() - 1);
            const std::int64_t q =
                task.zero_point + testing::roundedQuotient(value(c, i) * table[entry], task.shift);
            expected.push_back(static_cast<std::uint8_t>(std::clamp<std::int64_t>(q, 0, task.high)));
          }
        }
        for (const auto& variant : lrnVariants()) {
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

}  // TEST_SUITE

}  // namespace
