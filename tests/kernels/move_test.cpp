#include "kernels/move/move.h"

#include <doctest/doctest.h>

#include "helpers/planes.h"

namespace {

using namespace trefoil;
using testing::Random;

TEST_SUITE("move") {
  TEST_CASE("copies between all layouts keep the order of elements") {
    Random random(9);
    const std::vector<Shape> shapes = {{24, 1, 1}, {1, 1, 24}, {2, 3, 4},  {4, 2, 3},  {6, 2, 2},
                                       {1, 4, 6},  {3, 1, 8},  {48, 1, 1}, {3, 4, 4},  {1, 1, 48},
                                       {2, 4, 6},  {32, 1, 1}, {2, 4, 4},  {1, 32, 1}, {8, 2, 2}};
    for (const Shape& from : shapes) {
      for (const Shape& to : shapes) {
        if (from.size() != to.size()) continue;
        const AlignedBuffer in = testing::randomPlanes(random, from);
        const auto bytes = testing::denseBytes(from, in.data());
        testing::Target out(to);
        copyPlanes(planeLayout(from), in.data(), planeLayout(to), out.data(), bytes.size());
        CHECK(testing::denseBytes(to, out.data()) == bytes);
        CHECK(out.endIntact());
        if (samePlaces(planeLayout(from), planeLayout(to), bytes.size()))
          CHECK(testing::denseBytes(to, in.data()) == bytes);

        std::vector<std::uint8_t> dense(bytes.size());
        copyPlanes(planeLayout(from), in.data(), denseLayout(from), dense.data(), dense.size());
        CHECK(dense == bytes);
      }
    }
    CHECK(samePlaces(planeLayout({32, 1, 1}), planeLayout({2, 4, 4}), 32));
    CHECK(samePlaces(planeLayout({2, 3, 4}), planeLayout({2, 4, 3}), 24));
    CHECK(samePlaces(planeLayout({5, 1, 1}), planeLayout({1, 1, 5}), 5));
    CHECK_FALSE(samePlaces(planeLayout({2, 3, 4}), planeLayout({24, 1, 1}), 24));
    CHECK_FALSE(samePlaces(planeLayout({2, 4, 4}), planeLayout({4, 2, 4}), 32));
  }

  TEST_CASE("padding and slicing undo one another") {
    Random random(10);
    for (const Shape& shape : testing::awkwardShapes()) {
      const AlignedBuffer in = testing::randomPlanes(random, shape);
      const int before[3] = {random.integer(0, 2), random.integer(0, 3), random.integer(0, 3)};
      const Shape padded{shape.channels + before[0] + 1, shape.height + before[1] + 2,
                         shape.width + before[2]};
      testing::Target wide(padded);
      padPlanes(shape, in.data(), before, 77, padded, wide.data());
      CHECK(wide.endIntact());
      int outside = 0;
      for (const int q : testing::denseBytes(padded, wide.data())) outside += q == 77;
      CHECK(outside >= padded.size() - shape.size());

      const int ones[3] = {1, 1, 1};
      testing::Target back(shape);
      slicePlanes(padded, wide.data(), before, ones, shape, back.data());
      CHECK(back.endIntact());
      CHECK(testing::denseBytes(shape, back.data()) == testing::denseBytes(shape, in.data()));
    }
  }

  TEST_CASE("slices take every step-th channel, row and column") {
    Random random(11);
    const Shape from{7, 9, 20};
    const AlignedBuffer in = testing::randomPlanes(random, from);
    const int start[3] = {1, 2, 3};
    const int step[3] = {3, 2, 5};
    const Shape to{2, 4, 4};
    testing::Target out(to);
    slicePlanes(from, in.data(), start, step, to, out.data());
    const auto source = testing::denseBytes(from, in.data());
    std::vector<std::uint8_t> expected;
    for (int c = 0; c < 2; ++c) {
      for (int y = 0; y < 4; ++y) {
        for (int x = 0; x < 4; ++x) {
          const int from_index = ((1 + 3 * c) * 9 + 2 + 2 * y) * 20 + 3 + 5 * x;
          expected.push_back(source[static_cast<std::size_t>(from_index)]);
        }
      }
    }
    CHECK(testing::denseBytes(to, out.data()) == expected);
  }

}  // TEST_SUITE

}  // namespace
