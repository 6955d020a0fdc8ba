#include "kernels/pool/pool.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

#include "helpers/planes.h"
#include "helpers/reference_interpreter.h"

namespace {

using namespace trefoil;
using testing::Random;

struct Expected {
  std::vector<std::uint8_t> max, average;
  std::vector<std::int32_t> sums;
};

// By the definition, one output at a time.
Expected expectedOf(const PoolTask& task, const std::uint8_t* in) {
  Expected expected;
  const Window& w = task.window;
  for (int c = 0; c < task.out.channels; ++c) {
    for (int y = 0; y < task.out.height; ++y) {
      for (int x = 0; x < task.out.width; ++x) {
        std::int64_t sum = 0;
        int largest = -1;
        int count = 0;
        for (int r = 0; r < w.kernel_h; ++r) {
          for (int s = 0; s < w.kernel_w; ++s) {
            const int in_y = y * w.stride_h - w.pad_top + r * w.dilation_h;
            const int in_x = x * w.stride_w - w.pad_left + s * w.dilation_w;
            if (in_y < 0 || in_x < 0 || in_y >= task.in.height || in_x >= task.in.width) continue;
            const int q = in[static_cast<std::size_t>(c) * planeStride(task.in) +
                             static_cast<std::size_t>(in_y * task.in.width + in_x)];
            sum += q - task.input_zero_point;
            largest = std::max(largest, q);
            ++count;
          }
        }
        REQUIRE(count > 0);
        const FixedPoint factor =
            task.factors[task.factors.size() == 1 ? 0 : static_cast<std::size_t>(count - 1)];
        const std::int64_t q =
            task.zero_point + testing::roundedQuotient(sum * factor.multiplier, factor.shift);
        expected.max.push_back(static_cast<std::uint8_t>(largest));
        expected.average.push_back(
            static_cast<std::uint8_t>(std::clamp<std::int64_t>(q, task.low, task.high)));
        expected.sums.push_back(static_cast<std::int32_t>(sum));
      }
    }
  }
  return expected;
}

struct Case {
  Shape in;
  Window window;
};

int outputSize(int in, int kernel, int stride, int dilation, int before, int after) {
  return (in + before + after - (kernel - 1) * dilation - 1) / stride + 1;
}

std::vector<Case> cases() {
  std::vector<Case> cases = {
      {{2, 112, 112}, {3, 3, 2, 2, 1, 1, 1, 1, 1, 1}}, {{3, 13, 13}, {3, 3, 2, 2, 1, 1, 0, 0, 0, 0}},
      {{2, 7, 7}, {7, 7, 1, 1, 1, 1, 0, 0, 0, 0}},     {{2, 35, 35}, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}},
      {{5, 1, 1}, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}},     {{1, 300, 3}, {300, 1, 1, 1, 1, 1, 0, 0, 0, 0}},
      {{1, 300, 2}, {290, 2, 3, 1, 1, 1, 0, 0, 0, 0}}, {{2, 6, 6}, {2, 2, 2, 2, 1, 1, 0, 0, 0, 0}},
      {{1, 5, 40}, {1, 5, 1, 3, 1, 2, 0, 2, 0, 3}},    {{3, 16, 16}, {16, 16, 1, 1, 1, 1, 0, 0, 0, 0}},
      {{2, 5, 5}, {5, 5, 1, 1, 1, 1, 4, 4, 4, 4}},     {{1, 20, 30}, {16, 17, 1, 1, 1, 1, 0, 0, 0, 0}},
  };
  Random random(7);
  while (cases.size() < 150) {
    Case made;
    made.in = {random.integer(1, 3), random.integer(1, 24), random.integer(1, 40)};
    Window& w = made.window;
    w = {random.integer(1, 5),
         random.integer(1, 5),
         random.integer(1, 4),
         random.integer(1, 4),
         random.integer(1, 2),
         random.integer(1, 2),
         0,
         0,
         0,
         0};
    const int reach_h = (w.kernel_h - 1) * w.dilation_h;
    const int reach_w = (w.kernel_w - 1) * w.dilation_w;
    if (made.in.height >= w.dilation_h && made.in.width >= w.dilation_w) {
      w.pad_top = random.integer(0, reach_h);
      w.pad_left = random.integer(0, reach_w);
      w.pad_bottom = random.integer(0, reach_h);
      w.pad_right = random.integer(0, reach_w);
    }
    if (made.in.height + w.pad_top + w.pad_bottom <= reach_h) continue;
    if (made.in.width + w.pad_left + w.pad_right <= reach_w) continue;
    cases.push_back(made);
  }
  return cases;
}

TEST_SUITE("pool") {
  TEST_CASE("every variant of max and average pools is the definition") {
    Random random(8);
    REQUIRE(maxPoolVariants().back().name == "scalar");
    REQUIRE(averagePoolVariants().back().name == "scalar");
    for (const Case& c : cases()) {
      PoolTask task;
      task.in = c.in;
      task.window = c.window;
      const Window& w = task.window;
      task.out = {c.in.channels,
                  outputSize(c.in.height, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom),
                  outputSize(c.in.width, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left, w.pad_right)};
      std::vector<FixedPoint> factors(random.chance(50) ? 1
                                                        : static_cast<std::size_t>(w.kernel_h * w.kernel_w));
      for (auto& f : factors) REQUIRE(fixedPointFromReal(random.integer(1, 999) / 1000.0, &f));
      task.factors = factors;
      task.input_zero_point = random.integer(0, 255);
      task.zero_point = random.integer(0, 255);
      task.high = random.integer(100, 255);
      task.low = random.integer(0, 50);
      AlignedBuffer in = testing::randomPlanes(random, task.in);
      const bool large = w.kernel_h * w.kernel_w > 257;  // 257 * 255 is the last sum that fits 16 bits
      if (large || random.chance(25)) std::memset(in.data(), 255, in.size());
      const Expected expected = expectedOf(task, in.data());
      AlignedBuffer scratch(poolScratchBytes(task));
      std::memset(scratch.data(), random.integer(0, 255), scratch.size());

      const auto check = [&](const auto& variant, const PoolTask& asked, testing::Target out, int parts) {
        REQUIRE(out.runParts(parts, [&](Part part, std::uint8_t* to) {
          variant.run(asked, in.data(), to, scratch.data(), part);
        }));
        REQUIRE(out.endIntact());
        return out;
      };
      for (const int parts : testing::kPartCounts) {
        for (const auto& variant : maxPoolVariants()) {
          CAPTURE(variant.name);
          testing::Target out = check(variant, task, testing::Target(task.out), parts);
          REQUIRE(testing::denseBytes(task.out, out.data()) == expected.max);
        }
        for (const auto& variant : averagePoolVariants()) {
          CAPTURE(variant.name);
          testing::Target out = check(variant, task, testing::Target(task.out), parts);
          REQUIRE(testing::denseBytes(task.out, out.data()) == expected.average);

          PoolTask sums = task;
          sums.accumulators = true;
          const std::size_t bytes = expected.sums.size() * sizeof(std::int32_t);
          testing::Target accumulators = check(variant, sums, testing::Target(bytes), parts);
          REQUIRE(std::memcmp(accumulators.data(), expected.sums.data(), bytes) == 0);
        }
      }
    }
  }

}  // TEST_SUITE

}  // namespace
