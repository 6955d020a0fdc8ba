// What a float network becomes: operations, grids, constants, metadata.
#include "quantize/quantize.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include "quantize_runs.h"

namespace {

using namespace trefoil;           // NOLINT
using namespace trefoil::testing;  // NOLINT

}  // namespace

TEST_SUITE("quantize") {
  TEST_CASE("every lowering stays close to the float network") {
    for (const NetCase& net : netCases()) {
      CAPTURE(net.name);
      QuantizeInput input = quantizeInput(buildCase(net));
      input.recipe = fineRecipe();
      const Preprocess preprocess = input.preprocess;
      const Quantized quantized = quantizeOrFail(std::move(input));
      REQUIRE(validateModel(quantized.model).ok());
      std::set<std::string> operations;
      for (const QNode& node : quantized.model.nodes) operations.emplace(opName(node.op));
      operations.erase("input");
      CHECK(operations == std::set<std::string>(net.operations.begin(), net.operations.end()));
      CHECK(outputSnr(buildCase(net), quantized.model, preprocess) > 36);
    }
  }

  TEST_CASE("plain codes are corrected without running the float network again") {
    QuantizeInput input = quantizeInput(buildCase(netCase("relu")));
    input.recipe.method = Method::kFgq;
    const std::size_t images = input.images.size();
    std::size_t calls = 0;  // one at least for every step and image that is run
    const auto quantized = quantize(std::move(input), [&](std::string_view phase, double, std::string_view) {
      calls += phase == "correct" ? 1 : 0;
      return true;
    });
    REQUIRE(quantized.ok());
    const auto& nodes = quantized->model.nodes;
    const auto convolutions =
        static_cast<std::size_t>(std::count_if(nodes.begin(), nodes.end(), [](const QNode& node) {
          return std::holds_alternative<QConvOp>(node.op);
        }));
    // Convolutions in two passes, and the noise of the results on some images.
    CHECK(calls <= images * (nodes.size() + convolutions + 1));
  }

  TEST_CASE("gray pictures") {
    QuantizeInput input = quantizeInput(buildCase(netCase("relu"), {1, 12, 12}));
    input.recipe = fineRecipe();
    const Preprocess preprocess = input.preprocess;
    const Quantized quantized = quantizeOrFail(std::move(input));
    CHECK(outputSnr(buildCase(netCase("relu"), {1, 12, 12}), quantized.model, preprocess) > 36);
  }

  TEST_CASE("means and deviations of all kinds are folded") {
    struct Range {
      float mean[3], std[3];
    };
    // Plain bytes, -1..1, and a mean that no pixel has.
    for (const Range& range : {Range{{0, 0, 0}, {1 / 255.F, 1 / 255.F, 1 / 255.F}},
                               Range{{.5F, .5F, .5F}, {.5F, .5F, .5F}}, Range{{-.2F, 0, 1}, {.1F, 1, 3}}}) {
      QuantizeInput input = quantizeInput(buildCase(netCase("linear bottleneck")));
      for (int c = 0; c < 3; ++c) {
        input.preprocess.mean[c] = range.mean[c];
        input.preprocess.std[c] = range.std[c];
      }
      input.recipe = fineRecipe();
      const Preprocess preprocess = input.preprocess;
      const Quantized quantized = quantizeOrFail(std::move(input));
      CAPTURE(range.mean[0]);
      CHECK(outputSnr(buildCase(netCase("linear bottleneck")), quantized.model, preprocess) > 36);
    }
  }

  TEST_CASE("the first convolution reads the pixels, padded with the mean") {
    const Quantized quantized = quantizeOrFail(quantizeInput(buildCase(netCase("relu"))));
    const QNode& input = quantized.model.nodes[0];
    CHECK(input.grid.bits == 8);
    CHECK(input.grid.zero_point == 0);
    const auto& conv = std::get<QConvOp>(quantized.model.nodes[1].op);
    CHECK(conv.pad_values == std::vector<std::uint8_t>{124, 116, 104});
    CHECK(quantized.model.metadata.mean[0] == .485F);
    CHECK(quantized.model.metadata.std[2] == .225F);
  }

  TEST_CASE("grids: unsigned after ReLU, an exact zero elsewhere") {
    const Quantized quantized = quantizeOrFail(quantizeInput(buildCase(netCase("linear bottleneck"))));
    int linear = 0;
    for (const QNode& node : quantized.model.nodes) {
      const auto* conv = std::get_if<QConvOp>(&node.op);
      if (conv == nullptr || &node == &quantized.model.nodes.back()) continue;
      if (node.grid.zero_point == 0) continue;
      ++linear;
      CHECK(node.grid.zero_point > 20);
      CHECK(conv->output.low == 0);
      CHECK(conv->output.high == 255);
    }
    CHECK(linear == 1);
  }

  TEST_CASE("a clip's bounds are the clamp's") {
    const Quantized quantized = quantizeOrFail(quantizeInput(buildCase(netCase("clip with two bounds"))));
    const QNode& node = quantized.model.nodes[2];
    const auto& conv = std::get<QConvOp>(node.op);
    CHECK((conv.output.low - node.grid.zero_point) * node.grid.scale == doctest::Approx(-.25).epsilon(.02));
    CHECK((conv.output.high - node.grid.zero_point) * node.grid.scale == doctest::Approx(.5).epsilon(.02));
  }

  TEST_CASE("the last layer yields accumulators unless something follows it") {
    const auto accumulators = [](std::string_view name) {
      return quantizeOrFail(quantizeInput(buildCase(netCase(name)))).model.output_accumulators;
    };
    CHECK(accumulators("relu"));
    CHECK(accumulators("ends in an average pool"));
    CHECK(accumulators("ends in a reshape and softmax"));
    CHECK(!accumulators("ends in a relu"));
  }

  TEST_CASE("metadata") {
    QuantizeInput input = quantizeInput(buildCase(netCase("relu")), 3);
    input.labels = {"a", "b", "c", "d", "e"};
    input.source_hash = "abc";
    input.source_bytes = 77;
    input.preprocess.resize = 256;
    const QuantModel model = quantizeOrFail(std::move(input)).model;
    CHECK(model.metadata.name == "relu");
    CHECK(model.metadata.labels.size() == 5);
    CHECK(model.metadata.resize == 256);
    CHECK(model.metadata.letterbox.empty());
    CHECK_FALSE(model.metadata.bgr);
    CHECK(model.metadata.recipe == recipeJson(quantizeInput(buildCase(netCase("relu"))).recipe));
    CHECK(model.metadata.provenance ==
          R"({"calibrationImages":3,"correctionImages":3,"sourceBytes":77,"sourceHash":"abc"})");

    QuantizeInput boxed = quantizeInput(buildCase(netCase("relu")), 3);
    boxed.preprocess.letterbox = true;
    boxed.preprocess.bars[2] = 9;
    boxed.preprocess.bgr = true;
    const Metadata metadata = quantizeOrFail(std::move(boxed)).model.metadata;
    CHECK(metadata.letterbox == std::vector<std::uint8_t>{114, 114, 9});
    CHECK(metadata.bgr);
  }
}
