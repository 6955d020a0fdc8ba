// Every kernel of int8 convolution against the definition, in 64-bit integers.
#include "kernels/int8_conv/int8_conv.h"

#include <doctest/doctest.h>

#include <map>

#include "kernels/conv_cases.h"

TEST_SUITE_BEGIN("int8_conv");

namespace {

using namespace conv_cases;

enum class Values { kRandom, kZero, kLargest, kSmallest };

std::vector<std::string_view> checkAll(const Geometry& geometry, Values values, Inputs inputs,
                                       bool accumulators, std::uint32_t seed) {
  Random random(seed);
  const Case c(geometry, inputs, accumulators, random);
  const int channels = c.task.channelsPerGroup();
  std::vector<std::int8_t> weights(static_cast<std::size_t>(geometry.filters) * c.task.taps() * channels);
  for (auto& weight : weights) {
    switch (values) {
      case Values::kRandom:
        weight = static_cast<std::int8_t>(random.range(-128, 127));
        break;
      case Values::kZero:
        weight = 0;
        break;
      case Values::kLargest:
        weight = 127;
        break;
      case Values::kSmallest:
        weight = -128;
        break;
    }
  }
  const auto expected = c.expected([&](int k, int r, int s, int channel) {
    const int tap = r * c.task.window.kernel_w + s;
    return weights[(static_cast<std::size_t>(k) * c.task.taps() + tap) * channels + channel];
  });
  std::vector<std::string_view> names;
  const std::span<const std::int8_t> view = weights;
  for (const Int8ConvVariant& variant : int8ConvVariants()) {
    if (!variant.supports(c.task, view)) continue;
    names.push_back(variant.name);
    const AlignedBuffer packed = variant.pack(c.task, view);
    for (const int parts : testing::kPartCounts) {
      const Outcome outcome = runVariant(variant, c, packed, parts);
      INFO(std::string(variant.name), " in ", parts, " parts: ", describe(geometry), " seed ", seed);
      CHECK(outcome.in_bounds);
      CHECK(outcome.disjoint);
      const bool equal = outcome.values == expected;
      CHECK(equal);
    }
  }
  return names;
}

}  // namespace

TEST_CASE("the table ends with the scalar kernel and its names are unique") {
  std::map<std::string_view, int> names;
  for (const auto& variant : int8ConvVariants()) ++names[variant.name];
  for (const auto& [name, count] : names) CHECK(count == 1);
  CHECK(int8ConvVariants().back().name == "scalar");
  CHECK(int8ConvVariants().back().isa == Isa::kScalar);
}

TEST_CASE("awkward sizes") {
  std::map<std::string_view, int> runs;
  std::uint32_t seed = 1;
  for (const Geometry& geometry : awkwardGeometries()) {
    for (const bool accumulators : {false, true}) {
      for (const auto name : checkAll(geometry, Values::kRandom, Inputs::kRandom, accumulators, seed++))
        ++runs[name];
    }
  }
  for (const auto& variant : int8ConvVariants()) {
    INFO(std::string(variant.name));
    CHECK(runs[variant.name] >= 6);
  }
}

TEST_CASE("random layers") {
  Random random(99);
  for (std::uint32_t seed = 1000; seed < 1200; ++seed) {
    checkAll(randomGeometry(random), Values::kRandom, Inputs::kRandom, random.chance(20), seed);
  }
}

TEST_CASE("extreme sums") {
  const Window same{3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, halving{3, 3, 2, 2, 1, 1, 1, 1, 1, 1},
      first{7, 7, 2, 2, 1, 1, 3, 3, 3, 3};
  std::uint32_t seed = 5000;
  for (const Geometry& geometry : std::initializer_list<Geometry>{{{300, 3, 3}, 5, {}},
                                                                  {{2000, 1, 1}, 6, {}},
                                                                  {{20, 9, 9}, 5, same},
                                                                  {{9, 9, 9}, 9, same, 9},
                                                                  {{3, 9, 32}, 5, first},
                                                                  {{160, 3, 16}, 2, first},
                                                                  {{300, 3, 16}, 4, same},
                                                                  {{300, 5, 32}, 3, halving}}) {
    for (const Values values : {Values::kZero, Values::kLargest, Values::kSmallest}) {
      checkAll(geometry, values, Inputs::kLargest, true, seed++);
      checkAll(geometry, values, Inputs::kLargest, false, seed++);
    }
  }
}

TEST_SUITE_END();
