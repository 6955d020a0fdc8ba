// Shape arithmetic on constants, as exporters leave it in front of Reshape, Pad and Slice.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "onnx/fold.h"
#include "unit/onnx_cases.h"

namespace trefoil {
namespace {

using namespace trefoil::testing;

constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

// A model whose scores are x (four zeros) plus the tensor "c" of four values, cast to reals.
OnnxBuilder showing(const OnnxDims& image = {1, 4}) {
  OnnxBuilder model(15);
  model.input("x", image).output("y");
  model.node("Cast", {"c"}, {"real"}, {attribute("to", 1)}).node("Add", {"x", "real"}, {"y"});
  return model;
}

std::vector<float> shown(const OnnxBuilder& model) { return run(model, {0, 0, 0, 0}); }

OnnxAttribute tensorValue(const OnnxDims& dims, const OnnxDims& values) {
  return {"value", OnnxTensorMessage{onnxRawTensor("", dims, OnnxType::kInt64, values)}};
}

TEST_SUITE("onnx_fold") {
  TEST_CASE("slices by ONNX's rules") {
    using onnx::resolveSlice;
    const auto slice = [](std::int64_t start, std::int64_t end, std::int64_t step, std::int64_t size) {
      const onnx::SliceRange range = resolveSlice(start, end, step, size);
      OnnxDims indices;
      for (std::int64_t i = 0; i < range.count; ++i) indices.push_back(range.start + i * range.step);
      return indices;
    };
    CHECK(slice(0, kMost, 1, 4) == OnnxDims{0, 1, 2, 3});
    CHECK(slice(-3, -1, 1, 4) == OnnxDims{1, 2});
    CHECK(slice(1, 99, 2, 6) == OnnxDims{1, 3, 5});
    CHECK(slice(0, 4, kMost, 4) == OnnxDims{0});
    CHECK(slice(kMost, kLeast, -1, 4) == OnnxDims{3, 2, 1, 0});
    CHECK(slice(-1, -99, -2, 4) == OnnxDims{3, 1});
    CHECK(slice(3, 0, kLeast, 4) == OnnxDims{3});
    CHECK(slice(-9, kLeast, -1, 4) == OnnxDims{0});
    CHECK(slice(3, 1, 1, 4).empty());
    CHECK(slice(4, 9, 1, 4).empty());
    CHECK(slice(0, 9, 1, 0).empty());
    CHECK(slice(0, kLeast, -1, 0).empty());
    CHECK(slice(kLeast, kMost, 1, 3) == OnnxDims{0, 1, 2});
  }

  TEST_CASE("Constant in all its forms") {
    OnnxBuilder ints = showing();
    CHECK(shown(ints.node("Constant", {}, {"c"}, {attribute("value_ints", OnnxDims{1, 2, 3, 4})})) ==
          std::vector<float>{1, 2, 3, 4});
    OnnxBuilder one = showing();
    CHECK(shown(one.node("Constant", {}, {"c"}, {attribute("value_int", 7)})) ==
          std::vector<float>{7, 7, 7, 7});
    OnnxBuilder real = showing();
    CHECK(shown(real.node("Constant", {}, {"c"}, {attribute("value_float", 1.5F)})) ==
          std::vector<float>{1.5F, 1.5F, 1.5F, 1.5F});
    OnnxBuilder reals = showing();
    CHECK(shown(reals.node("Constant", {}, {"c"}, {{"value_floats", ramp(4)}})) == ramp(4));
    OnnxBuilder tensor = showing();
    CHECK(shown(tensor.node("Constant", {}, {"c"}, {tensorValue({4}, {4, 3, 2, 1})})) ==
          std::vector<float>{4, 3, 2, 1});
    OnnxBuilder none = showing();
    CHECK(mustFail(none.node("Constant", {}, {"c"})).code == ErrorCode::kBadOnnx);
    OnnxBuilder text = showing();
    CHECK(mustFail(text.node("Constant", {}, {"c"}, {attribute("value_string", "four")})).code ==
          ErrorCode::kUnsupportedOp);
  }

  TEST_CASE("Shape, whole and in part") {
    OnnxBuilder whole = showing({0, 4, 1, 1});
    whole.node("Shape", {"x"}, {"s"}).node("Reshape", {"s", "four"}, {"c"}).ints("four", {4, 1, 1});
    CHECK(run(whole, {0, 0, 0, 0}) == std::vector<float>{1, 4, 1, 1});
    OnnxBuilder part = showing();
    part.node("Shape", {"w"}, {"c"}, {attribute("start", 1), attribute("end", -1)});
    CHECK(shown(part.floats("w", {1, 2, 3, 4, 5, 1}, ramp(120))) == std::vector<float>{2, 3, 4, 5});
  }

  TEST_CASE("Gather, Concat, Unsqueeze, Squeeze: the usual way to a new shape") {
    OnnxBuilder model;
    model.input("x", {0, 2, 2, 3}).output("y").ints("one", {1}).ints("rest", {-1, 3});
    model.initializer(onnxRawTensor("zero", {}, OnnxType::kInt64, OnnxDims{0}));
    model.node("Shape", {"x"}, {"shape"}).node("Gather", {"shape", "zero"}, {"n"});
    model.node("Unsqueeze", {"n"}, {"n1"}, {attribute("axes", OnnxDims{0})});
    model.node("Concat", {"n1", "rest"}, {"target"}, {attribute("axis", 0)});
    model.node("Reshape", {"x", "target"}, {"r"});
    model.node("ReduceMean", {"r"}, {"y"}, {attribute("axes", OnnxDims{2}), attribute("keepdims", 0)});
    CHECK(run(model, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}) == std::vector<float>{2, 5, 8, 11});
  }

  TEST_CASE("torch's way to the pads of Pad: reshape, flip, transpose, cast") {
    // Pads are stated from the last axis on, as pairs; ONNX wants all befores, then all afters.
    OnnxBuilder model(13);
    model.input("x", {1, 4, 2, 2}).output("out").node("Flatten", {"y"}, {"out"});
    model.node("Constant", {}, {"given"}, {tensorValue({6}, {0, 0, 0, 1, 4, 3})}).ints("two", {2});
    model.node("ConstantOfShape", {"two"}, {"zeros"}, {tensorValue({1}, {0})});
    model.node("Concat", {"given", "zeros"}, {"all"}, {attribute("axis", 0)});
    model.node("Reshape", {"all", "pairs"}, {"by_axis"}).ints("pairs", {-1, 2});
    model.ints("s", {-1}).ints("e", {-kMost}).ints("a", {0}).ints("t", {-1});
    model.node("Slice", {"by_axis", "s", "e", "a", "t"}, {"flipped"});
    model.node("Transpose", {"flipped"}, {"halves"}, {attribute("perm", OnnxDims{1, 0})});
    model.node("Reshape", {"halves", "flat"}, {"list"}).ints("flat", {-1});
    model.node("Cast", {"list"}, {"pads"}, {attribute("to", 7)}).node("Pad", {"x", "pads"}, {"y"}, {}, "pad");
    const Graph graph = mustRead(model);
    const auto& op = opOf<PadOp>(graph, "pad");
    CHECK(op.before[0] == 4);
    CHECK(op.after[0] == 3);
    CHECK(op.after[1] == 1);
    CHECK(shapeOf(graph, "pad") == Shape{11, 3, 2});
  }

  TEST_CASE("integer arithmetic") {
    const auto fold = [](const char* type, const OnnxDims& a, const OnnxDims& b) {
      OnnxBuilder model = showing();
      return shown(model.ints("a", a).ints("b", b).node(type, {"a", "b"}, {"c"}));
    };
    const OnnxDims a = {7, -7, 8, 0};
    CHECK(fold("Add", a, {1}) == std::vector<float>{8, -6, 9, 1});
    CHECK(fold("Sub", {1}, a) == std::vector<float>{-6, 8, -7, 1});
    CHECK(fold("Mul", a, a) == std::vector<float>{49, 49, 64, 0});
    CHECK(fold("Div", a, {2}) == std::vector<float>{3, -3, 4, 0});
    CHECK(fold("Min", a, {1}) == std::vector<float>{1, -7, 1, 0});
    CHECK(fold("Max", a, {1}) == std::vector<float>{7, 1, 8, 1});
    CHECK(fold("Equal", a, {8}) == std::vector<float>{0, 0, 1, 0});
    // Wrapping, as ONNX's integers do, and nothing that C++ leaves undefined.
    CHECK(fold("Add", {kMost, 0, 0, 0}, {1})[0] == static_cast<float>(kLeast));
    CHECK(fold("Div", {kLeast, 6, 0, 0}, {-1}) == std::vector<float>{static_cast<float>(kLeast), -6, 0, 0});
    OnnxBuilder by_zero = showing();
    by_zero.ints("a", a).ints("b", {1, 0, 1, 1}).node("Div", {"a", "b"}, {"c"}, {}, "ratio");
    const Error error = mustFail(by_zero);
    CHECK(error.code == ErrorCode::kBadOnnx);
    CHECK(contains(error.message, "'ratio'"));
    OnnxBuilder mismatch = showing();
    CHECK(mustFail(mismatch.ints("a", a).ints("b", {1, 2}).node("Add", {"a", "b"}, {"c"})).code ==
          ErrorCode::kBadShape);
    OnnxBuilder types = showing();
    CHECK(mustFail(types.ints("a", a).floats("b", {4}, ramp(4)).node("Add", {"a", "b"}, {"c"})).code ==
          ErrorCode::kBadOnnx);
  }

  TEST_CASE("real arithmetic, one operand at a time and broadcast both ways") {
    const auto fold = [](const char* type, const OnnxNames& inputs) {
      OnnxBuilder model = showing();
      model.floats("v", {4}, {1.5F, -1.5F, 4, 0.25F})
          .floats("row", {1, 2}, {1, 2})
          .floats("column", {2, 1}, {10, 20});
      model.node(type, inputs, {"m"}).node("Reshape", {"m", "s"}, {"c"}).ints("s", {4});
      return shown(model);
    };
    CHECK(fold("Floor", {"v"}) == std::vector<float>{1, -2, 4, 0});
    CHECK(fold("Ceil", {"v"}) == std::vector<float>{2, -1, 4, 1});
    CHECK(fold("Neg", {"v"}) == std::vector<float>{-1.5F, 1.5F, -4, -0.25F});
    CHECK(fold("Mul", {"row", "column"}) == std::vector<float>{10, 20, 20, 40});
    CHECK(fold("Div", {"column", "row"}) == std::vector<float>{10, 5, 20, 10});
    CHECK(fold("Max", {"v", "v", "v"}) == std::vector<float>{1.5F, -1.5F, 4, 0.25F});
    OnnxBuilder root = showing();
    CHECK(shown(root.floats("v", {4}, {1, 4, 9, 16}).node("Sqrt", {"v"}, {"c"})) == ramp(4));
  }

  TEST_CASE("Range, Equal, Where, Expand") {
    OnnxBuilder model = showing();
    for (const auto& [name, value] :
         {std::pair{"zero", 0}, {"eight", 8}, {"two", 2}, {"four", 4}, {"minus", -1}}) {
      model.initializer(onnxRawTensor(name, {}, OnnxType::kInt64, OnnxDims{value}));
    }
    model.node("Range", {"zero", "eight", "two"}, {"even"}).node("Equal", {"even", "four"}, {"is_four"});
    model.node("Expand", {"minus", "size"}, {"minuses"}).ints("size", {4});
    model.node("Where", {"is_four", "minuses", "even"}, {"c"});
    CHECK(shown(model) == std::vector<float>{0, 2, -1, 6});

    const auto range = [](std::int64_t start, std::int64_t limit, std::int64_t step) {
      OnnxBuilder model = showing();
      model.ints("a", {start}).ints("b", {limit}).ints("s", {step});
      return model.node("Range", {"a", "b", "s"}, {"c"});
    };
    CHECK(shown(range(3, -1, -1)) == std::vector<float>{3, 2, 1, 0});
    CHECK(mustFail(range(0, 4, 0)).code == ErrorCode::kBadOnnx);
    CHECK(mustFail(range(kLeast, kMost, 1)).code == ErrorCode::kBadOnnx);  // too many
  }

  TEST_CASE("Expand of a result that changes nothing") {
    OnnxBuilder same = single("Expand", {4}, {"s"});
    CHECK(mustRead(same.ints("s", {1, 1})).nodes.size() == 1);
    OnnxBuilder more = single("Expand", {4}, {"s"});
    CHECK(mustFail(more.ints("s", {3, 4})).code == ErrorCode::kUnsupportedOp);
  }

  TEST_CASE("Gather and Slice outside the tensor") {
    OnnxBuilder gather = showing();
    gather.ints("v", {1, 2, 3}).ints("i", {0, 1, 2, 3}).node("Gather", {"v", "i"}, {"c"});
    CHECK(mustFail(gather).code == ErrorCode::kBadShape);
    OnnxBuilder negative = showing();
    negative.ints("v", {1, 2, 3}).ints("i", {0, -1, 2, -3});
    CHECK(shown(negative.node("Gather", {"v", "i"}, {"c"})) == std::vector<float>{1, 3, 3, 1});
    OnnxBuilder rows = showing();
    rows.floats("v", {2, 3}, ramp(6))
        .ints("i", {2, 0})
        .node("Gather", {"v", "i"}, {"m"}, {attribute("axis", -1)});
    rows.node("Reshape", {"m", "s"}, {"c"}).ints("s", {4});
    CHECK(shown(rows) == std::vector<float>{3, 1, 6, 4});
  }

  TEST_CASE("casts of constants") {
    const auto cast = [](const std::vector<float>& values, int type) {
      OnnxBuilder model = showing();
      return model.floats("v", {4}, values).node("Cast", {"v"}, {"c"}, {attribute("to", type)});
    };
    CHECK(shown(cast({1.9F, -1.9F, 0, 7}, 7)) == std::vector<float>{1, -1, 0, 7});
    CHECK(shown(cast({1.9F, -1.9F, 0, 0.5F}, 9)) == std::vector<float>{1, 1, 0, 1});
    CHECK(mustFail(cast({std::nanf(""), 0, 0, 0}, 7)).code == ErrorCode::kBadOnnx);
    CHECK(mustFail(cast({1e30F, 0, 0, 0}, 7)).code == ErrorCode::kBadOnnx);
  }

  TEST_CASE("weights behind Identity and Transpose") {
    OnnxBuilder model;
    model.input("x", {1, 2}).output("y").floats("w", {3, 2}, ramp(6));
    model.node("Identity", {"w"}, {"same"}).node("Transpose", {"same"}, {"turned"});
    model.node("MatMul", {"x", "turned"}, {"y"});
    CHECK(run(model, {1, 10}) == std::vector<float>{21, 43, 65});
  }

  TEST_CASE("what works on constants only says so") {
    const Error error = mustFail(single("Gather", {4}, {"i"}).ints("i", {0}));
    CHECK(error.code == ErrorCode::kUnsupportedOp);
    CHECK(contains(error.message, "must be a constant"));
    OnnxBuilder constant = showing();
    CHECK(mustFail(constant.floats("v", {4}, ramp(4)).node("Relu", {"v"}, {"c"})).code ==
          ErrorCode::kUnsupportedOp);
  }
}

}  // namespace
}  // namespace trefoil
