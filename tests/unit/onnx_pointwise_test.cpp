// Arithmetic, batch norm, activations, LRN, softmax.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "unit/onnx_cases.h"

namespace trefoil {
namespace {

using namespace trefoil::testing;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
const OnnxDims kDims = {2, 1, 2};
const std::vector<float> kImage = {1, -2, 3, -4};

OnnxBuilder withConstant(std::string_view type, bool constant_first, const OnnxDims& dims,
                         const std::vector<float>& values, const OnnxDims& image = kDims) {
  OnnxDims input = {1};
  input.insert(input.end(), image.begin(), image.end());
  OnnxBuilder model;
  model.input("x", input).output("out").floats("c", dims, values).node("Flatten", {"y"}, {"out"});
  model.node(type, constant_first ? OnnxNames{"c", "x"} : OnnxNames{"x", "c"}, {"y"}, {}, "tested");
  return model;
}

OnnxBuilder scalar(OnnxBuilder model, const char* name, float value) {
  return model.floats(name, {}, {value});
}

TEST_SUITE("onnx_pointwise") {
  TEST_CASE("arithmetic with a constant, in either order and of every shape that means a channel") {
    for (const OnnxDims& dims : {OnnxDims{2, 1, 1}, OnnxDims{1, 2, 1, 1}}) {
      const std::vector<float> c = {10, 100};
      const auto result = [&](const char* type, bool first) {
        return run(withConstant(type, first, dims, c), kImage);
      };
      CHECK(result("Add", false) == std::vector<float>{11, 8, 103, 96});
      CHECK(result("Add", true) == std::vector<float>{11, 8, 103, 96});
      CHECK(result("Sub", false) == std::vector<float>{-9, -12, -97, -104});
      CHECK(result("Sub", true) == std::vector<float>{9, 12, 97, 104});
      CHECK(result("Mul", false) == std::vector<float>{10, -20, 300, -400});
      CHECK(result("Mul", true) == std::vector<float>{10, -20, 300, -400});
    }
    CHECK(run(withConstant("Div", false, {2, 1, 1}, {2, 4}), kImage) ==
          std::vector<float>{.5F, -1, .75F, -1});
    for (const OnnxDims& dims : {OnnxDims{}, OnnxDims{1}, OnnxDims{1, 1, 1, 1}}) {
      CHECK(run(withConstant("Mul", false, dims, {2}), kImage) == std::vector<float>{2, -4, 6, -8});
    }
  }

  TEST_CASE("constants that no ChannelAffine can hold") {
    const auto code = [](const char* type, bool first, const OnnxDims& dims,
                         const std::vector<float>& values) {
      return mustFail(withConstant(type, first, dims, values)).code;
    };
    CHECK(code("Add", false, {2}, {1, 2}) == ErrorCode::kUnsupportedOp);           // along the columns
    CHECK(code("Add", false, {3, 1, 1}, {1, 2, 3}) == ErrorCode::kUnsupportedOp);  // of another size
    CHECK(code("Add", false, {1, 1, 2, 1, 1}, {1, 2}) == ErrorCode::kUnsupportedOp);
    CHECK(code("Div", true, {2, 1, 1}, {1, 2}) == ErrorCode::kUnsupportedOp);
    CHECK(code("Div", false, {2, 1, 1}, {1, 0}) == ErrorCode::kBadOnnx);
    CHECK(code("Div", false, {2, 1, 1}, {1, 1e-45F}) == ErrorCode::kBadOnnx);
    CHECK(code("Mul", false, {2, 1, 1}, {1, kInfinity}) == ErrorCode::kBadOnnx);
  }

  TEST_CASE("arithmetic between results") {
    const auto between = [](const char* type, const OnnxNames& inputs) {
      OnnxBuilder model;
      model.input("x", {1, 2, 1, 2}).output("out").node("Flatten", {"y"}, {"out"});
      model.node("Relu", {"x"}, {"r"}).node("GlobalAveragePool", {"x"}, {"mean"});
      model.node(type, inputs, {"y"}, {}, "tested");
      return model;
    };
    CHECK(run(between("Add", {"x", "r"}), kImage) == std::vector<float>{2, -2, 6, -4});
    CHECK(run(between("Add", {"x", "x"}), kImage) == std::vector<float>{2, -4, 6, -8});
    CHECK(run(between("Sum", {"x", "r", "x"}), kImage) == std::vector<float>{3, -4, 9, -8});
    CHECK(run(between("Mul", {"x", "r"}), kImage) == std::vector<float>{1, 0, 9, 0});
    // Squeeze and excite, the smaller one first or second: the graph has it second.
    for (const OnnxNames& inputs : {OnnxNames{"x", "mean"}, OnnxNames{"mean", "x"}}) {
      const Graph graph = mustRead(between("Mul", inputs));
      CHECK(shapeOf(graph, "tested") == Shape{2, 1, 2});
      CHECK(run(between("Mul", inputs), kImage) == std::vector<float>{-.5F, 1, -1.5F, 2});
    }
    CHECK(mustFail(between("Add", {"x", "mean"})).code == ErrorCode::kUnsupportedOp);
    CHECK(mustFail(between("Sub", {"x", "r"})).code == ErrorCode::kUnsupportedOp);
    CHECK(mustFail(between("Div", {"x", "r"})).code == ErrorCode::kUnsupportedOp);
  }

  TEST_CASE("a factor of [N,C] is not one a channel of an image") {
    OnnxBuilder model;
    model.input("x", {1, 2, 2, 2}).output("out").node("Flatten", {"y"}, {"out"});
    model.node("ReduceMean", {"x"}, {"mean"}, {attribute("axes", OnnxDims{2, 3}), attribute("keepdims", 0)});
    model.node("Mul", {"x", "mean"}, {"y"});
    CHECK(mustFail(model).code == ErrorCode::kUnsupportedOp);
  }

  TEST_CASE("batch norm becomes scale and shift") {
    for (const std::int64_t opset : {7, 9, 14, 15}) {
      OnnxBuilder model =
          single("BatchNormalization", kDims, {"s", "b", "m", "v"}, {attribute("epsilon", 0.25F)}, opset);
      model.floats("s", {2}, {2, 3})
          .floats("b", {2}, {1, -1})
          .floats("m", {2}, {4, 5})
          .floats("v", {2}, {3.75F, 0});
      const Graph graph = mustRead(model);
      const auto& op = opOf<ChannelAffineOp>(graph, "tested");
      CHECK(op.scale == std::vector<float>{1, 6});
      CHECK(op.shift == std::vector<float>{-3, -31});
    }
  }

  TEST_CASE("batch norm that can't be used") {
    const auto model = [](const std::vector<float>& variance, const OnnxAttributes& attributes) {
      OnnxBuilder model = single("BatchNormalization", kDims, {"s", "b", "m", "v"}, attributes, 14);
      const auto count = static_cast<std::int64_t>(variance.size());
      for (const char* name : {"s", "b", "m"}) model.floats(name, {2}, {1, 1});
      return model.floats("v", {count}, variance);
    };
    CHECK(mustFail(model({1, -1}, {})).code == ErrorCode::kBadOnnx);
    CHECK(mustFail(model({1, 0}, {attribute("epsilon", 0.F)})).code == ErrorCode::kBadOnnx);
    CHECK(mustFail(model({1, 1, 1}, {})).code == ErrorCode::kBadShape);
    CHECK(mustFail(model({1, 1}, {attribute("training_mode", 1)})).code == ErrorCode::kUnsupportedOp);
    CHECK(mustFail(model({1, 1}, {attribute("spatial", 0)})).code == ErrorCode::kUnsupportedOp);
  }

  TEST_CASE("Clip by attributes and by inputs") {
    const auto clip = [](const OnnxBuilder& model) { return opOf<ActivationOp>(mustRead(model), "tested"); };
    const auto low = attribute("min", -1.F), high = attribute("max", 6.F);
    ActivationOp op = clip(single("Clip", kDims, {}, {low, high}, 7));
    CHECK(op.kind == Activation::kClip);
    CHECK(op.low == -1);
    CHECK(op.high == 6);
    op = clip(single("Clip", kDims, {}, {high}, 10));
    CHECK(op.low == -kInfinity);
    CHECK(op.high == 6);
    op = clip(scalar(single("Clip", kDims, {"", "hi"}), "hi", 6));
    CHECK(op.low == -kInfinity);
    CHECK(op.high == 6);
    op = clip(scalar(single("Clip", kDims, {"lo"}), "lo", -1));
    CHECK(op.low == -1);
    CHECK(op.high == kInfinity);
    CHECK(clip(scalar(single("Clip", kDims, {"lo"}), "lo", 0)).kind == Activation::kRelu);
    // Where the bounds cross, the upper one wins.
    op = clip(scalar(scalar(single("Clip", kDims, {"lo", "hi"}), "lo", 5), "hi", 2));
    CHECK(op.low == 2);
    CHECK(op.high == 2);
    // Without bounds nothing is left of it.
    CHECK(mustRead(single("Clip", kDims)).nodes.size() == 2);
    constexpr float kLargest = std::numeric_limits<float>::max();
    CHECK(mustRead(single("Clip", kDims, {}, {attribute("min", -kLargest), attribute("max", kLargest)}, 7))
              .nodes.size() == 2);
    CHECK(mustFail(scalar(single("Clip", kDims, {"lo"}), "lo", std::nanf(""))).code == ErrorCode::kBadOnnx);
    CHECK(mustFail(scalar(single("Clip", kDims, {"lo"}), "lo", kInfinity)).code == ErrorCode::kBadOnnx);
    CHECK(mustFail(single("Clip", kDims, {"lo"}).floats("lo", {2}, {1, 2})).code == ErrorCode::kBadOnnx);
  }

  TEST_CASE("activations and their default parameters") {
    CHECK(run(single("Relu", kDims), kImage) == std::vector<float>{1, 0, 3, 0});
    const auto op = [](const char* type, const OnnxAttributes& attributes) {
      return opOf<ActivationOp>(mustRead(single(type, kDims, {}, attributes, 14)), "tested");
    };
    CHECK(op("LeakyRelu", {}).alpha == 0.01F);
    CHECK(op("LeakyRelu", {attribute("alpha", .3F)}).alpha == .3F);
    CHECK(op("HardSigmoid", {}).alpha == 0.2F);
    CHECK(op("HardSigmoid", {}).beta == 0.5F);
    CHECK(op("HardSigmoid", {attribute("beta", .4F)}).beta == .4F);
    CHECK(op("Sigmoid", {}).kind == Activation::kSigmoid);
    CHECK(op("HardSwish", {}).kind == Activation::kHardSwish);
    CHECK(mustFail(single("LeakyRelu", kDims, {}, {attribute("alpha", kInfinity)})).code ==
          ErrorCode::kBadOnnx);
  }

  TEST_CASE("PRelu by channel") {
    for (const OnnxDims& dims : {OnnxDims{2, 1, 1}, OnnxDims{1, 2, 1, 1}, OnnxDims{2}}) {
      const OnnxBuilder model = single("PRelu", {2, 1, 2}, {"s"}).floats("s", dims, {.5F, .25F});
      CHECK(run(model, kImage) == std::vector<float>{1, -1, 3, -1});
    }
    CHECK(run(single("PRelu", {2, 1, 2}, {"s"}).floats("s", {1}, {.5F}), kImage) ==
          std::vector<float>{1, -1, 3, -2});
    CHECK(mustFail(single("PRelu", {2, 1, 3}, {"s"}).floats("s", {3}, ramp(3))).code ==
          ErrorCode::kUnsupportedOp);
  }

  TEST_CASE("x * hardSigmoid(x) is hard-swish") {
    for (const bool gate_first : {false, true}) {
      OnnxBuilder model;
      model.input("x", {1, 2, 1, 2}).output("out").node("Flatten", {"y"}, {"out"});
      model.node("HardSigmoid", {"x"}, {"g"}, {attribute("alpha", 1.F / 6)});
      model.node("Mul", gate_first ? OnnxNames{"g", "x"} : OnnxNames{"x", "g"}, {"y"}, {}, "tested");
      CHECK(opOf<ActivationOp>(mustRead(model), "tested").kind == Activation::kHardSwish);
      CHECK(mustRead(model).nodes.size() == 3);
    }
    OnnxBuilder other;
    other.input("x", {1, 2, 1, 2}).output("out").node("Flatten", {"y"}, {"out"});
    other.node("HardSigmoid", {"x"}, {"g"}).node("Mul", {"x", "g"}, {"y"}, {}, "tested");
    CHECK_NOTHROW(opOf<MulOp>(mustRead(other), "tested"));
  }

  TEST_CASE("LRN") {
    const OnnxBuilder model = single(
        "LRN", {4, 1, 1}, {},
        {attribute("size", 3), attribute("alpha", 3.F), attribute("beta", 1.F), attribute("bias", 2.F)});
    const std::vector<float> scores = run(model, {1, 2, 3, 4});
    CHECK(scores[0] == doctest::Approx(1.0 / 7));
    CHECK(scores[1] == doctest::Approx(2.0 / 16));
    CHECK(scores[3] == doctest::Approx(4.0 / 27));
    CHECK(opOf<LrnOp>(mustRead(single("LRN", {4, 1, 1}, {}, {attribute("size", 5)})), "tested").beta == .75F);
    CHECK(mustFail(single("LRN", {4, 1, 1})).code == ErrorCode::kBadOnnx);
  }

  TEST_CASE("Softmax over all features, by the rule of the opset") {
    const auto sum = [](const std::vector<float>& values) {
      double total = 0;
      for (const float value : values) total += double{value};
      return total;
    };
    // Before opset 13 the axes from 1 on are one vector; since then one axis is meant, the last unless
    // stated.
    CHECK(sum(run(single("Softmax", {2, 1, 2}, {}, {}, 11), kImage)) == doctest::Approx(1));
    CHECK(sum(run(single("Softmax", {4}, {}, {}, 13), kImage)) == doctest::Approx(1));
    CHECK(sum(run(single("Softmax", {4, 1, 1}, {}, {attribute("axis", 1)}, 13), kImage)) ==
          doctest::Approx(1));
    CHECK(mustFail(single("Softmax", {2, 1, 2}, {}, {attribute("axis", 1)}, 13)).code ==
          ErrorCode::kUnsupportedOp);
    CHECK(mustFail(single("Softmax", {4, 1, 1}, {}, {}, 13)).code == ErrorCode::kUnsupportedOp);
  }

  TEST_CASE("an attribute that the table doesn't list is refused by name") {
    const Error error = mustFail(single("Relu", kDims, {}, {attribute("leak", 1)}));
    CHECK(error.code == ErrorCode::kUnsupportedOp);
    CHECK(contains(error.message, "'leak'"));
    CHECK(contains(error.message, "'tested' (Relu, opset 13)"));
  }
}

}  // namespace
}  // namespace trefoil
