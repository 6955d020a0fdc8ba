// Convolutions, fully connected layers and pools.
#include <doctest/doctest.h>

#include "unit/onnx_cases.h"

namespace trefoil {
namespace {

using namespace trefoil::testing;

OnnxBuilder conv(const OnnxDims& image, const OnnxDims& weights, const OnnxAttributes& attributes) {
  std::size_t count = 1;
  for (const std::int64_t dim : weights) count *= static_cast<std::size_t>(dim);
  return single("Conv", image, {"w"}, attributes).floats("w", weights, ramp(count));
}

Window convWindow(const OnnxAttributes& attributes, Shape* shape, const OnnxDims& image = {2, 9, 11}) {
  const Graph graph = mustRead(conv(image, {4, 2, 3, 2}, attributes));
  *shape = shapeOf(graph, "tested");
  return opOf<ConvOp>(graph, "tested").window;
}

TEST_SUITE("onnx_window") {
  TEST_CASE("Conv keeps weights, bias and geometry") {
    OnnxBuilder model = single(
        "Conv", {4, 9, 11}, {"w", "b"},
        {attribute("group", 2), attribute("strides", OnnxDims{2, 3}), attribute("dilations", OnnxDims{2, 1}),
         attribute("pads", OnnxDims{1, 0, 2, 3}), attribute("kernel_shape", OnnxDims{3, 2})});
    model.floats("w", {6, 2, 3, 2}, ramp(72)).floats("b", {6}, ramp(6, -1));
    const Graph graph = mustRead(model);
    const auto& op = opOf<ConvOp>(graph, "tested");
    CHECK(op.window == Window{3, 2, 2, 3, 2, 1, 1, 0, 2, 3});
    CHECK(op.groups == 2);
    CHECK(op.weights == ramp(72));
    CHECK(op.bias == ramp(6, -1));
    CHECK(shapeOf(graph, "tested") == Shape{6, 4, 5});
  }

  TEST_CASE("Conv without attributes has stride 1, no padding and zero bias") {
    const Graph graph = mustRead(conv({2, 9, 11}, {4, 2, 3, 2}, {}));
    const auto& op = opOf<ConvOp>(graph, "tested");
    CHECK(op.window == Window{3, 2});
    CHECK(op.groups == 1);
    CHECK(op.bias == std::vector<float>(4, 0));
    CHECK(shapeOf(graph, "tested") == Shape{4, 7, 10});
  }

  TEST_CASE("auto_pad") {
    Shape shape;
    const auto strides = attribute("strides", OnnxDims{2, 1});
    Window window = convWindow({attribute("auto_pad", "SAME_UPPER"), strides}, &shape);
    CHECK(shape == Shape{4, 5, 11});
    CHECK(window == Window{3, 2, 2, 1, 1, 1, 1, 0, 1, 1});
    window = convWindow({attribute("auto_pad", "SAME_LOWER"), strides}, &shape, {2, 10, 11});
    CHECK(shape == Shape{4, 5, 11});
    CHECK(window == Window{3, 2, 2, 1, 1, 1, 1, 1, 0, 0});
    window = convWindow({attribute("auto_pad", "VALID"), strides}, &shape);
    CHECK(shape == Shape{4, 4, 10});
    CHECK(window == Window{3, 2, 2, 1});
    CHECK(mustFail(conv({2, 9, 9}, {4, 2, 3, 2}, {attribute("auto_pad", "SAME")})).code ==
          ErrorCode::kUnsupportedOp);
  }

  TEST_CASE("Conv's shapes must agree") {
    const auto code = [](const OnnxDims& image, const OnnxDims& weights, const OnnxAttributes& attributes) {
      return mustFail(conv(image, weights, attributes)).code;
    };
    CHECK(code({3, 9, 9}, {4, 2, 3, 3}, {}) == ErrorCode::kBadShape);
    CHECK(code({4, 9, 9}, {3, 2, 3, 3}, {attribute("group", 2)}) == ErrorCode::kBadShape);
    CHECK(code({4, 9, 9}, {4, 4, 3, 3}, {attribute("group", 0)}) == ErrorCode::kBadShape);
    CHECK(code({4, 9, 9}, {4, 4, 3, 3}, {attribute("kernel_shape", OnnxDims{5, 5})}) == ErrorCode::kBadShape);
    CHECK(code({4, 2, 9}, {4, 4, 3, 3}, {}) == ErrorCode::kBadShape);
    CHECK(code({4, 9, 9}, {4, 4, 3, 3}, {attribute("strides", OnnxDims{0, 1})}) == ErrorCode::kBadShape);
    CHECK(code({4, 9, 9}, {4, 4, 3, 3}, {attribute("pads", OnnxDims{-1, 0, 0, 0})}) == ErrorCode::kBadShape);
    CHECK(code({4, 9, 9}, {4, 4, 3, 3}, {attribute("dilations", OnnxDims{1 << 30, 1})}) ==
          ErrorCode::kBadShape);
    CHECK(code({4, 9, 9}, {4, 4, 3, 3}, {attribute("pads", OnnxDims{0, 0})}) == ErrorCode::kUnsupportedOp);
    CHECK(code({4, 9}, {4, 4, 3}, {}) == ErrorCode::kUnsupportedOp);
    const Error error = mustFail(conv({3, 9, 9}, {4, 2, 3, 3}, {}));
    CHECK(contains(error.message, "'tested'"));
    CHECK(contains(error.message, "[4,2,3,3]"));
    CHECK(contains(error.message, "[1,3,9,9]"));
  }

  TEST_CASE("Gemm becomes a 1x1 convolution of [K][F]") {
    const auto gemm = [](int trans_b, const OnnxDims& bias, float alpha, float beta) {
      OnnxBuilder model;
      model.input("x", {0, 3}).output("y");
      model.node("Gemm", {"x", "w", "c"}, {"y"},
                 {attribute("transB", trans_b), attribute("alpha", alpha), attribute("beta", beta)}, "fc");
      model.floats("w", trans_b != 0 ? OnnxDims{2, 3} : OnnxDims{3, 2}, {1, 2, 3, 4, 5, 6});
      model.floats("c", bias,
                   bias.empty() || bias.back() == 1 ? std::vector<float>{7} : std::vector<float>{7, 8});
      return opOf<ConvOp>(mustRead(model), "fc");
    };
    CHECK(gemm(1, {2}, 1, 1).weights == std::vector<float>{1, 2, 3, 4, 5, 6});
    CHECK(gemm(0, {2}, 1, 1).weights == std::vector<float>{1, 3, 5, 2, 4, 6});
    CHECK(gemm(0, {2}, 0.5F, 1).weights == std::vector<float>{.5F, 1.5F, 2.5F, 1, 2, 3});
    CHECK(gemm(1, {1, 2}, 1, 1).bias == std::vector<float>{7, 8});
    CHECK(gemm(1, {2}, 1, 2).bias == std::vector<float>{14, 16});
    CHECK(gemm(1, {1}, 1, 1).bias == std::vector<float>{7, 7});
    CHECK(gemm(1, {}, 1, 1).bias == std::vector<float>{7, 7});
    CHECK(gemm(1, {1, 1}, 1, 1).bias == std::vector<float>{7, 7});
  }

  TEST_CASE("Gemm and MatMul compute what they say, also after Flatten of an image") {
    OnnxBuilder model;
    model.input("x", {0, 2, 1, 2}).output("z").node("Flatten", {"x"}, {"f"});
    model.node("Gemm", {"f", "w"}, {"y"}, {attribute("transB", 1)}).floats("w", {2, 4}, ramp(8));
    model.node("MatMul", {"y", "v"}, {"m"}).floats("v", {2, 3}, {1, 0, 2, 0, 1, 3});
    model.node("Add", {"b", "m"}, {"z"}).floats("b", {3}, {100, 200, 300});
    CHECK(run(model, {1, 10, 100, 1000}) ==
          std::vector<float>{4321 + 100, 8765 + 200, 2 * 4321 + 3 * 8765 + 300});
  }

  TEST_CASE("what Gemm and MatMul don't do") {
    OnnxBuilder trans_a;
    trans_a.input("x", {1, 3}).output("y").floats("w", {3, 2}, ramp(6));
    trans_a.node("Gemm", {"x", "w"}, {"y"}, {attribute("transA", 1)});
    CHECK(mustFail(trans_a).code == ErrorCode::kUnsupportedOp);

    OnnxBuilder both;
    both.input("x", {1, 3}).output("y").node("Relu", {"x"}, {"r"}).node("MatMul", {"x", "r"}, {"y"});
    CHECK(mustFail(both).code == ErrorCode::kUnsupportedOp);

    OnnxBuilder wrong;
    wrong.input("x", {1, 3}).output("y").floats("w", {4, 2}, ramp(8)).node("MatMul", {"x", "w"}, {"y"});
    CHECK(mustFail(wrong).code == ErrorCode::kBadShape);

    OnnxBuilder bias;
    bias.input("x", {1, 3}).output("y").floats("w", {3, 2}, ramp(6)).floats("c", {3}, ramp(3));
    bias.node("Gemm", {"x", "w", "c"}, {"y"});
    CHECK(mustFail(bias).code == ErrorCode::kBadShape);
  }

  TEST_CASE("pools: geometry, ceil_mode, dilations") {
    const auto pool = [](std::string_view type, const OnnxDims& image, OnnxAttributes attributes,
                         Shape* shape) {
      attributes.push_back(attribute("kernel_shape", OnnxDims{3, 3}));
      const Graph graph = mustRead(single(type, image, {}, attributes));
      *shape = shapeOf(graph, "tested");
      return opOf<PoolOp>(graph, "tested");
    };
    Shape shape;
    const auto strides = attribute("strides", OnnxDims{2, 2});
    CHECK(pool("MaxPool", {2, 8, 7}, {}, &shape).kind == Pool::kMax);
    CHECK(shape == Shape{2, 6, 5});
    CHECK(pool("MaxPool", {2, 8, 7}, {strides}, &shape).window == Window{3, 3, 2, 2});
    CHECK(shape == Shape{2, 3, 3});
    CHECK(pool("MaxPool", {2, 8, 7}, {strides, attribute("ceil_mode", 1)}, &shape).window ==
          Window{3, 3, 2, 2, 1, 1, 0, 0, 1, 0});
    CHECK(shape == Shape{2, 4, 3});
    // A window that would start in the padding below doesn't exist.
    const auto stride3 = attribute("strides", OnnxDims{3, 3});
    const auto pads = attribute("pads", OnnxDims{1, 1, 1, 1});
    CHECK(pool("MaxPool", {2, 8, 7}, {stride3, pads, attribute("ceil_mode", 1)}, &shape).window.pad_top == 1);
    CHECK(shape == Shape{2, 3, 3});
    CHECK(pool("MaxPool", {2, 8, 7}, {attribute("dilations", OnnxDims{2, 3})}, &shape).window ==
          Window{3, 3, 1, 1, 2, 3});
    CHECK(shape == Shape{2, 4, 1});
    CHECK(pool("AveragePool", {2, 8, 7}, {attribute("auto_pad", "SAME_UPPER"), strides}, &shape).window ==
          Window{3, 3, 2, 2, 1, 1, 0, 1, 1, 1});
    CHECK(shape == Shape{2, 4, 4});
  }

  TEST_CASE("what an average pool divides by") {
    const auto average = [](OnnxAttributes attributes) {
      attributes.push_back(attribute("kernel_shape", OnnxDims{1, 2}));
      attributes.push_back(attribute("strides", OnnxDims{1, 2}));
      return run(single("AveragePool", {1, 1, 4}, {}, attributes), {2, 4, 6, 8});
    };
    const auto left = attribute("pads", OnnxDims{0, 1, 0, 0});
    const auto include = attribute("count_include_pad", 1);
    const auto ceil = attribute("ceil_mode", 1);
    CHECK(average({}) == std::vector<float>{3, 7});
    CHECK(average({left}) == std::vector<float>{2, 5});
    CHECK(average({left, include}) == std::vector<float>{1, 5});
    CHECK(average({left, ceil}) == std::vector<float>{2, 5, 8});
    // The padding counts; what ceil_mode reaches beyond it does not.
    CHECK(average({left, include, ceil}) == std::vector<float>{1, 5, 8});
  }

  TEST_CASE("global pools and means over rows and columns") {
    const std::vector<float> image = {1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 50, 60};
    const OnnxDims dims = {2, 2, 3};
    CHECK(run(single("GlobalAveragePool", dims), image) == std::vector<float>{3.5F, 35});
    CHECK(run(single("GlobalMaxPool", dims), image) == std::vector<float>{6, 60});
    for (const int keep : {0, 1}) {
      const auto keepdims = attribute("keepdims", keep);
      const auto mean = [&](const OnnxDims& axes) {
        return run(single("ReduceMean", dims, {}, {attribute("axes", axes), keepdims}), image);
      };
      CHECK(mean({2, 3}) == std::vector<float>{3.5F, 35});
      CHECK(mean({-1, -2}) == std::vector<float>{3.5F, 35});
      CHECK(mean({3}) == std::vector<float>{2, 5, 20, 50});
      CHECK(mean({2}) == std::vector<float>{2.5F, 3.5F, 4.5F, 25, 35, 45});
      OnnxBuilder newer = single("ReduceMean", dims, {"axes"}, {keepdims}, 18);
      CHECK(run(newer.ints("axes", {2, 3}), image) == std::vector<float>{3.5F, 35});
    }
    CHECK(mustFail(single("ReduceMean", dims, {}, {attribute("axes", OnnxDims{1})})).code ==
          ErrorCode::kUnsupportedOp);
    CHECK(mustFail(single("ReduceMean", dims)).code == ErrorCode::kUnsupportedOp);
    CHECK(run(single("ReduceMean", {2}, {}, {attribute("noop_with_empty_axes", 1)}, 18), {3, 4}) ==
          std::vector<float>{3, 4});
  }

  TEST_CASE("pools that can't be") {
    CHECK(mustFail(single("MaxPool", {2, 8, 8})).code == ErrorCode::kBadOnnx);
    CHECK(mustFail(single("MaxPool", {2, 8, 8}, {}, {attribute("kernel_shape", OnnxDims{9, 3})})).code ==
          ErrorCode::kBadShape);
    CHECK(mustFail(single("MaxPool", {2, 8, 8}, {}, {attribute("kernel_shape", OnnxDims{3})})).code ==
          ErrorCode::kUnsupportedOp);
    // A window of nothing but padding has no largest pixel.
    CHECK(
        mustFail(single("MaxPool", {2, 8, 8}, {},
                        {attribute("kernel_shape", OnnxDims{2, 2}), attribute("pads", OnnxDims{2, 0, 0, 0})}))
            .code == ErrorCode::kBadShape);
  }

  TEST_CASE("MaxPool's indices may exist, but not be used") {
    const auto model = [](const char* read) {
      OnnxBuilder model(13);
      model.input("x", {1, 1, 4, 4}).output("out").node("Flatten", {read}, {"out"});
      model.node("MaxPool", {"x"}, {"y", "indices"}, {attribute("kernel_shape", OnnxDims{2, 2})}, "pool");
      return model;
    };
    CHECK(mustRead(model("y")).nodes.size() == 3);
    const Error error = mustFail(model("indices"));
    CHECK(error.code == ErrorCode::kUnsupportedOp);
    CHECK(contains(error.message, "MaxPool"));
    CHECK(contains(error.message, "'pool'"));
  }
}

}  // namespace
}  // namespace trefoil
