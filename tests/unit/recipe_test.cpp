#include "quantize/recipe.h"

#include <doctest/doctest.h>

#include <string>

namespace {

using namespace trefoil;  // NOLINT

bool names(const Error& error, std::string_view text) {
  return error.message.find(text) != std::string::npos;
}

}  // namespace

TEST_SUITE("recipe") {
  TEST_CASE("the default is valid and its JSON is canonical") {
    const Recipe recipe;
    CHECK(validateRecipe(recipe).ok());
    CHECK(
        recipeJson(recipe) ==
        R"({"activationBits":8,"affineCorrection":true,"clip":"mse","groupSize":4,"layers":[],"levelKind":"fitted",)"
        R"("method":"compensated","planes":1,"residualBits":8,"scaleLevels":4})");
  }

  TEST_CASE("JSON holds all that is set") {
    Recipe recipe;
    recipe.method = Method::kFgqTwoSided;
    recipe.scale_levels = kFreeScales;
    recipe.group_size = kWholeFilter;
    recipe.clip = ClipRule::kPercentile;
    recipe.affine_correction = false;
    LayerRecipe layer;
    layer.layer = "a\"b\\\n";
    layer.weights = WeightKind::kInt8;
    layer.method = Method::kFgq;
    layer.group_size = 16;
    layer.activation_bits = 4;
    layer.scale_levels = kFreeScales;
    layer.level_kind = LevelKind::kPowersOf2;
    layer.planes = 2;
    recipe.layers.push_back(layer);
    CHECK(
        recipeJson(recipe) ==
        R"({"activationBits":8,"affineCorrection":false,"clip":"percentile","groupSize":"filter","layers":[{)"
        R"("activationBits":4,"groupSize":16,"layer":"a\"b\\\u000a","levelKind":"powers-of-2","method":"fgq",)"
        R"("planes":2,"scaleLevels":"free","weights":"int8"}],)"
        R"("method":"fgq-two-sided","percentile":99.99,"planes":1,"residualBits":8,"scaleLevels":"free"})");
  }

  TEST_CASE("values out of range are named") {
    const auto refused = [](auto change, std::string_view text) {
      Recipe recipe;
      change(&recipe);
      const auto result = validateRecipe(recipe);
      REQUIRE(!result.ok());
      CHECK(result.error().code == ErrorCode::kBadOption);
      CAPTURE(result.error().message);
      CHECK(names(result.error(), text));
    };
    refused([](Recipe* r) { r->group_size = -1; }, "group size");
    refused([](Recipe* r) { r->group_size = (1 << 20) + 1; }, "group size");
    refused([](Recipe* r) { r->activation_bits = 3; }, "activation bits is 3");
    refused([](Recipe* r) { r->activation_bits = 9; }, "4 to 8");
    refused([](Recipe* r) { r->residual_bits = 9; }, "residual bits");
    refused([](Recipe* r) { r->percentile = 100.5; }, "percentile");
    refused([](Recipe* r) { r->percentile = 50; }, "percentile");
    refused([](Recipe* r) { r->scale_levels = 3; }, "2, 4, 8 or free");
    refused([](Recipe* r) { r->planes = 3; }, "1 or 2");
    refused(
        [](Recipe* r) {
          r->method = Method::kFgqTwoSided;
          r->planes = 2;
        },
        "use fgq");
    refused([](Recipe* r) { r->layers.emplace_back(); }, "name");
    refused([](Recipe* r) { r->layers.emplace_back().layer = "x", r->layers[0].group_size = -4; },
            "group size");
    refused([](Recipe* r) { r->layers.emplace_back().layer = "x", r->layers[0].activation_bits = 2; },
            "4 to 8");
  }

  TEST_CASE("layer options") {
    Recipe recipe;
    REQUIRE(addLayerOption("conv1:weights=int8", &recipe).ok());
    REQUIRE(addLayerOption("a/b:0:method=fgq-two-sided,group-size=filter,activation-bits=5,weights=ternary",
                           &recipe)
                .ok());
    REQUIRE(addLayerOption("c:group-size=64", &recipe).ok());
    REQUIRE(addLayerOption("d:scale-levels=4,level-kind=powers-of-sqrt-2,planes=2", &recipe).ok());
    REQUIRE(addLayerOption("e:scale-levels=free", &recipe).ok());
    REQUIRE(recipe.layers.size() == 5);
    CHECK(recipe.layers[0].layer == "conv1");
    CHECK(recipe.layers[0].weights == WeightKind::kInt8);
    CHECK(!recipe.layers[0].method);
    CHECK(recipe.layers[1].layer == "a/b:0");
    CHECK(recipe.layers[1].method == Method::kFgqTwoSided);
    CHECK(recipe.layers[1].group_size == kWholeFilter);
    CHECK(recipe.layers[1].activation_bits == 5);
    CHECK(recipe.layers[1].weights == WeightKind::kTernary);
    CHECK(recipe.layers[2].group_size == 64);
    CHECK(recipe.layers[3].scale_levels == 4);
    CHECK(recipe.layers[3].level_kind == LevelKind::kPowersOfSqrt2);
    CHECK(recipe.layers[3].planes == 2);
    CHECK(recipe.layers[4].scale_levels == kFreeScales);
  }

  TEST_CASE("layer options that make no sense add nothing") {
    for (const std::string_view option : {"",
                                          "conv1",
                                          ":weights=int8",
                                          "conv1:",
                                          "conv1:weights",
                                          "conv1:weights=int4",
                                          "conv1:size=4",
                                          "conv1:group-size=0",
                                          "conv1:group-size=-4",
                                          "conv1:group-size=4x",
                                          "conv1:group-size=",
                                          "conv1:activation-bits=3",
                                          "conv1:activation-bits=eight",
                                          "conv1:method=best",
                                          "conv1:scale-levels=0",
                                          "conv1:scale-levels=3",
                                          "conv1:level-kind=best",
                                          "conv1:planes=0",
                                          "conv1:planes=two",
                                          "conv1:weights=int8,",
                                          "conv1:weights=int8,,method=fgq",
                                          "conv1:group-size=99999999999999999999"}) {
      CAPTURE(option);
      Recipe recipe;
      const auto result = addLayerOption(option, &recipe);
      REQUIRE(!result.ok());
      CHECK(result.error().code == ErrorCode::kBadOption);
      CHECK(recipe.layers.empty());
    }
  }

  TEST_CASE("methods by name") {
    CHECK(methodFromName("fgq").value() == Method::kFgq);
    CHECK(methodFromName("fgq-two-sided").value() == Method::kFgqTwoSided);
    for (const std::string_view name : {"best", "FGQ", ""}) {
      const auto method = methodFromName(name);
      REQUIRE(!method.ok());
      CHECK(method.error().code == ErrorCode::kBadOption);
      CHECK(names(method.error(), "fgq, fgq-two-sided or compensated"));
    }
    CHECK(methodFromName("compensated").value() == Method::kCompensated);
  }
}
