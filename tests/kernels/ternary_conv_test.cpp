// Every kernel of ternary convolution against the definition, in 64-bit integers.
#include "kernels/ternary_conv/ternary_conv.h"

#include <doctest/doctest.h>

#include <map>

#include "kernels/conv_cases.h"

TEST_SUITE_BEGIN("ternary_conv");

namespace {

using namespace conv_cases;

enum class Codes { kRandom, kSparse, kZero, kPlus, kMinus };
enum class Scales { kRandom, kFewLevels, kLargest, kZero };

struct Recipe {
  int group_size = 4;
  int planes = 1;
  bool two_sided = false;
  Codes codes = Codes::kRandom;
  Scales scales = Scales::kRandom;
};

constexpr int kGroupSizes[] = {1, 2, 3, 4, 6, 8, 16, 32, 64, 200, kWholeFilter};

std::string describe(const Recipe& r) {
  return "N=" + std::to_string(r.group_size) + " planes=" + std::to_string(r.planes) +
         " two_sided=" + std::to_string(r.two_sided) + " codes=" + std::to_string(static_cast<int>(r.codes)) +
         " scales=" + std::to_string(static_cast<int>(r.scales));
}

Recipe randomRecipe(Random& random) {
  Recipe r;
  r.group_size = kGroupSizes[random.range(0, static_cast<int>(std::size(kGroupSizes)) - 1)];
  r.planes = random.range(1, 2);
  r.two_sided = random.chance(30);
  r.codes = random.chance(80) ? Codes::kRandom : static_cast<Codes>(random.range(0, 4));
  r.scales = random.chance(60) ? Scales::kRandom : static_cast<Scales>(random.range(0, 3));
  return r;
}

TernaryWeights makeWeights(const ConvTask& task, const Recipe& recipe, Random& random) {
  const int channels = task.channelsPerGroup();
  TernaryWeights weights;
  weights.group_size = recipe.group_size;
  weights.planes.resize(static_cast<std::size_t>(recipe.planes));
  for (TernaryPlane& plane : weights.planes) {
    plane.codes.resize(static_cast<std::size_t>(task.out.channels) * task.taps() * channels);
    for (auto& code : plane.codes) {
      switch (recipe.codes) {
        case Codes::kRandom:
          code = static_cast<std::int8_t>(random.range(-1, 1));
          break;
        case Codes::kSparse:
          code = static_cast<std::int8_t>(random.chance(5) ? random.range(-1, 1) : 0);
          break;
        case Codes::kZero:
          code = 0;
          break;
        case Codes::kPlus:
          code = 1;
          break;
        case Codes::kMinus:
          code = -1;
          break;
      }
    }
    const std::size_t scales = static_cast<std::size_t>(task.out.channels) *
                               scalesPerFilter(channels, task.taps(), recipe.group_size);
    const auto fill = [&](std::vector<std::uint8_t>& to) {
      to.resize(scales);
      for (auto& scale : to) {
        switch (recipe.scales) {
          case Scales::kRandom:
            scale = static_cast<std::uint8_t>(random.range(0, 255));
            break;
          case Scales::kFewLevels:
            scale = static_cast<std::uint8_t>(85 * random.range(0, 3));
            break;
          case Scales::kLargest:
            scale = 255;
            break;
          case Scales::kZero:
            scale = 0;
            break;
        }
      }
    };
    fill(plane.scales);
    if (recipe.two_sided) fill(plane.negative_scales);
  }
  return weights;
}

// Runs all kernels that support a case; returns which.
std::vector<std::string_view> checkAll(const Geometry& geometry, const Recipe& recipe, Inputs inputs,
                                       bool accumulators, std::uint32_t seed) {
  Random random(seed);
  const Case c(geometry, inputs, accumulators, random);
  const TernaryWeights weights = makeWeights(c.task, recipe, random);
  const int channels = c.task.channelsPerGroup(), taps = c.task.taps();
  const auto expected = c.expected([&](int k, int r, int s, int channel) {
    const int tap = r * c.task.window.kernel_w + s;
    const std::size_t code_at = (static_cast<std::size_t>(k) * taps + tap) * channels + channel;
    const std::size_t scale_at =
        static_cast<std::size_t>(k) * scalesPerFilter(channels, taps, recipe.group_size) +
        scaleIndex(channel, tap, channels, recipe.group_size);
    int weight = 0;
    for (const TernaryPlane& plane : weights.planes) {
      const int code = plane.codes[code_at];
      weight += code * (code < 0 && recipe.two_sided ? plane.negative_scales : plane.scales)[scale_at];
    }
    return weight;
  });
  std::vector<std::string_view> names;
  for (const TernaryConvVariant& variant : ternaryConvVariants()) {
    if (!variant.supports(c.task, weights)) continue;
    names.push_back(variant.name);
    const AlignedBuffer packed = variant.pack(c.task, weights);
    for (const int parts : testing::kPartCounts) {
      const Outcome outcome = runVariant(variant, c, packed, parts);
      INFO(std::string(variant.name), " in ", parts, " parts: ", describe(geometry), " ", describe(recipe),
           " seed ", seed);
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
  for (const auto& variant : ternaryConvVariants()) ++names[variant.name];
  for (const auto& [name, count] : names) CHECK(count == 1);
  CHECK(ternaryConvVariants().back().name == "scalar");
  CHECK(ternaryConvVariants().back().isa == Isa::kScalar);
}

TEST_CASE("awkward sizes, every group size") {
  std::map<std::string_view, int> runs;
  std::uint32_t seed = 1;
  for (Geometry geometry : awkwardGeometries()) {
    for (const int group_size : kGroupSizes) {
      Recipe recipe;
      recipe.group_size = group_size;
      recipe.planes = 1 + static_cast<int>(seed % 3 == 0);
      recipe.two_sided = seed % 4 == 0;
      for (const auto name : checkAll(geometry, recipe, Inputs::kRandom, seed % 5 == 0, seed)) ++runs[name];
      // The same with few inputs' bits, and a few scales a filter, as of a codebook.
      geometry.bits = 3 + static_cast<int>(seed % 4);
      recipe.scales = seed % 7 < 5 ? Scales::kFewLevels : Scales::kRandom;
      for (const auto name : checkAll(geometry, recipe, Inputs::kRandom, seed % 5 == 1, seed)) ++runs[name];
      geometry.bits = 8;
      for (const auto name : checkAll(geometry, recipe, Inputs::kRandom, seed % 5 == 2, seed)) ++runs[name];
      ++seed;
    }
  }
  for (const auto& variant : ternaryConvVariants()) {
    INFO(std::string(variant.name));
    CHECK(runs[variant.name] >= 10);  // each kernel had its share
  }
}

TEST_CASE("random layers") {
  Random random(77);
  for (std::uint32_t seed = 1000; seed < 1250; ++seed) {
    const Geometry geometry = randomGeometry(random);
    const Recipe recipe = randomRecipe(random);
    checkAll(geometry, recipe, random.chance(85) ? Inputs::kRandom : Inputs::kLargest, random.chance(20),
             seed);
  }
}

// The largest inputs, codes all alike and the largest scales: sums that just fit, or would not, into 16 bits.
TEST_CASE("extreme sums") {
  const Window same{3, 3, 1, 1, 1, 1, 1, 1, 1, 1};
  const Geometry geometries[] = {{{200, 4, 5}, 28, {}},
                                 {{600, 2, 4}, 28, {}},
                                 {{140, 7, 7}, 8, same},
                                 {{1200, 1, 1}, 8, {}},
                                 {{8, 6, 6}, 8, same, 8},
                                 {{64, 5, 5}, 16, same, 2},
                                 {{2500, 2, 2}, 28, {}, 1, 4},
                                 {{5000, 1, 1}, 3, {}, 1, 4},
                                 // Byte sums that just fit: 17 codes of 4 bits, 8 of 5.
                                 {{17, 3, 3}, 28, {}, 1, 4},
                                 {{18, 3, 3}, 28, {}, 1, 4},
                                 {{140, 7, 7}, 8, same, 1, 4},
                                 {{8, 3, 3}, 28, {}, 1, 5},
                                 {{9, 5, 5}, 28, {}, 1, 5},
                                 {{70, 6, 6}, 8, same, 1, 5},
                                 {{300, 3, 3}, 28, {}, 1, 6}};
  std::uint32_t seed = 5000;
  for (const Geometry& geometry : geometries) {
    for (const Codes codes : {Codes::kPlus, Codes::kMinus, Codes::kRandom, Codes::kZero, Codes::kSparse}) {
      for (const int group_size : {1, 4, 64, 200, kWholeFilter}) {
        Recipe recipe{group_size, 1, false, codes, Scales::kLargest};
        checkAll(geometry, recipe, Inputs::kLargest, true, seed++);
        recipe.planes = 2;
        recipe.two_sided = seed % 2 == 0;
        checkAll(geometry, recipe, Inputs::kLargest, false, seed++);
      }
    }
  }
}

TEST_CASE("scales of 0 leave the bias") {
  for (const int planes : {1, 2}) {
    const Recipe recipe{8, planes, false, Codes::kRandom, Scales::kZero};
    checkAll({{24, 9, 9}, 16, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}}, recipe, Inputs::kRandom, true, 9000);
    checkAll({{24, 9, 9}, 16, {}}, recipe, Inputs::kRandom, false, 9001);
    checkAll({{24, 1, 1}, 16, {}}, recipe, Inputs::kRandom, true, 9002);
  }
}

TEST_CASE("factors that the vector rounding can't hold go to the scalar kernel") {
  Random random(3);
  Case c({{16, 4, 4}, 16, {}}, Inputs::kRandom, false, random);
  const TernaryWeights weights = makeWeights(c.task, {}, random);
  c.factors[3] = {5, 20};
  for (const auto& variant : ternaryConvVariants()) {
    INFO(std::string(variant.name));
    if (variant.name != "scalar") CHECK_FALSE(variant.supports(c.task, weights));
  }
}

TEST_SUITE_END();
