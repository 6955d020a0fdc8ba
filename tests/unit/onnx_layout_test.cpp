// Reshaping, transposing, cutting, padding and joining, in N,C,H,W and in N,H,W,C.
#include <doctest/doctest.h>

#include "unit/onnx_cases.h"

namespace trefoil {
namespace {

using namespace trefoil::testing;

const OnnxDims kFirst = {0, 3, 1, 2};  // N,H,W,C to N,C,H,W
const OnnxDims kLast = {0, 2, 3, 1};   // and back

OnnxBuilder& transpose(OnnxBuilder& model, const char* from, const char* to, const OnnxDims& perm) {
  return model.node("Transpose", {from}, {to}, {attribute("perm", perm)}, std::string("to ") + to);
}

// An image of 2 channels, 2 rows, 3 columns whose values say channel, row, column.
const std::vector<float> kDigits = {111, 112, 113, 121, 122, 123, 211, 212, 213, 221, 222, 223};

OnnxBuilder channelsLast() {
  OnnxBuilder model;
  model.input("x", {1, 2, 3, 2}).output("out").node("Flatten", {"y"}, {"out"});
  return transpose(model, "x", "first", kFirst);
}

TEST_SUITE("onnx_layout") {
  TEST_CASE("an input of N,H,W,C is one of C,H,W here") {
    OnnxBuilder model = channelsLast().node("Relu", {"first"}, {"y"});
    const Graph graph = mustRead(model);
    CHECK(graph.inputShape() == Shape{2, 2, 3});
    CHECK(run(model, kDigits) == kDigits);
  }

  TEST_CASE("pairs of transposes cancel, and what stands between needs no order") {
    OnnxBuilder model = channelsLast();
    model.node("Conv", {"first", "w"}, {"conv"}).floats("w", {2, 2, 1, 1}, {1, 0, 0, 1});
    transpose(model, "conv", "last", kLast);
    model.node("Add", {"last", "bias"}, {"biased"})
        .floats("bias", {2}, {1000, 2000})
        .node("Relu", {"biased"}, {"relu"});
    transpose(model, "relu", "y", kFirst);
    std::vector<float> expected = kDigits;
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += i < 6 ? 1000 : 2000;
    CHECK(run(model, kDigits) == expected);
    CHECK(mustRead(model).nodes.size() == 5);  // input, conv, affine, relu, the final reshape
  }

  TEST_CASE("Pad, Slice, Concat, ReduceMean and MatMul along the axes of N,H,W,C") {
    OnnxBuilder model;
    model.input("x", {1, 2, 3, 2}).output("out").node("Flatten", {"y"}, {"out"});
    model.node("Pad", {"x", "pads"}, {"padded"}, {}, "pad").ints("pads", {0, 1, 0, 0, 0, 0, 2, 0});
    transpose(model, "padded", "first", kFirst);
    model.node("Relu", {"first"}, {"relu"});
    transpose(model, "relu", "last", kLast);
    model.node("Slice", {"last", "s", "e", "a"}, {"cut"}, {}, "slice");
    model.ints("s", {1, 0}).ints("e", {3, -2}).ints("a", {1, 2});
    model.node("Concat", {"cut", "cut"}, {"joined"}, {attribute("axis", 3)}, "concat");
    model.node("MatMul", {"joined", "m"}, {"mixed"}, {}, "matmul").floats("m", {4, 1}, {1, 0, 0, 10});
    model.node("ReduceMean", {"mixed"}, {"y"}, {attribute("axes", OnnxDims{1, 2}), attribute("keepdims", 0)},
               "mean");
    const Graph graph = mustRead(model);
    CHECK(opOf<PadOp>(graph, "pad").before[1] == 1);
    CHECK(opOf<PadOp>(graph, "pad").after[2] == 2);
    CHECK(shapeOf(graph, "pad") == Shape{2, 3, 5});
    CHECK(shapeOf(graph, "slice") == Shape{2, 2, 3});
    CHECK(shapeOf(graph, "concat") == Shape{4, 2, 3});
    CHECK(shapeOf(graph, "matmul") == Shape{1, 2, 3});
    CHECK(run(model, kDigits) == std::vector<float>{117 + 2170});
  }

  TEST_CASE("squeeze and excite in N,H,W,C") {
    OnnxBuilder model = channelsLast();
    model.node("Relu", {"first"}, {"relu"});
    transpose(model, "relu", "last", kLast);
    model.node("ReduceMean", {"last"}, {"mean"},
               {attribute("axes", OnnxDims{1, 2}), attribute("keepdims", 1)});
    model.node("Sub", {"mean", "c"}, {"gate"}).floats("c", {2}, {115, 216});  // 2 and 1
    model.node("Mul", {"gate", "last"}, {"scaled"});
    transpose(model, "scaled", "y", kFirst);
    std::vector<float> expected = kDigits;
    for (std::size_t i = 0; i < 6; ++i) expected[i] *= 2;
    CHECK(run(model, kDigits) == expected);
  }

  TEST_CASE("a fully connected layer after flattening N,H,W,C gets its weights reordered") {
    OnnxBuilder model;
    model.input("x", {0, 2, 3, 2}).output("y");
    transpose(model, "x", "first", kFirst).node("Relu", {"first"}, {"relu"});
    transpose(model, "relu", "last", kLast);
    model.node("Reshape", {"last", "flat"}, {"features"})
        .ints("flat", {-1, 12})
        .node("Relu", {"features"}, {"r"});
    std::vector<float> weights(24, 0);
    weights[0 * 2 + 0] = 1;    // first output: row 0, column 0, channel 0
    weights[1 * 2 + 1] = 1;    // second output: row 0, column 0, channel 1 ...
    weights[10 * 2 + 1] = 10;  // ... and row 1, column 2, channel 0
    model.node("MatMul", {"r", "w"}, {"y"}).floats("w", {12, 2}, weights);
    CHECK(run(model, kDigits) == std::vector<float>{111, 211 + 1230});
  }

  TEST_CASE("a transpose that really moves values is refused by name") {
    OnnxBuilder shuffle;
    shuffle.input("x", {1, 4, 2, 2}).output("out").node("Flatten", {"y"}, {"out"});
    shuffle.node("Reshape", {"x", "split"}, {"s"}).ints("split", {1, 2, 2, 2, 2});
    transpose(shuffle, "s", "t", {0, 2, 1, 3, 4});
    shuffle.node("Reshape", {"t", "join"}, {"j"}).ints("join", {1, 4, 2, 2});
    shuffle.node("Conv", {"j", "w"}, {"y"}).floats("w", {1, 4, 1, 1}, ramp(4));
    Error error = mustFail(shuffle);
    CHECK(error.code == ErrorCode::kUnsupportedOp);
    CHECK(contains(error.message, "Transpose 'to t'"));

    OnnxBuilder sum;  // the shapes are equal, the places of their values are not
    sum.input("x", {1, 2, 2, 2}).output("out").node("Flatten", {"y"}, {"out"}).node("Relu", {"x"}, {"r"});
    transpose(sum, "r", "t", kLast).node("Add", {"x", "t"}, {"y"});
    CHECK(mustFail(sum).code == ErrorCode::kUnsupportedOp);

    OnnxBuilder flat = channelsLast();
    transpose(flat.node("Relu", {"first"}, {"relu"}), "relu", "y", kLast);
    error = mustFail(flat);  // the output would be in another order
    CHECK(error.code == ErrorCode::kBadShape);
  }

  TEST_CASE("a transpose of axes of size 1 moves nothing") {
    OnnxBuilder model;
    model.input("x", {0, 6, 4, 4}).output("y").node("GlobalAveragePool", {"x"}, {"p"});
    transpose(model, "p", "last", kLast).node("Flatten", {"last"}, {"y"});
    CHECK(mustRead(model).nodes.size() == 2);
  }

  TEST_CASE("Reshape, Flatten, Squeeze and Unsqueeze keep the order") {
    const auto reshaped = [](std::string_view type, const OnnxDims& image, const OnnxDims& parameter) {
      return mustRead(single(type, image, {"p"}).ints("p", parameter)).nodes.size();
    };
    // Nothing is emitted but, where the shape isn't flat yet, the reshape to the vector of scores.
    CHECK(reshaped("Reshape", {2, 2, 3}, {0, -1}) == 2);
    CHECK(reshaped("Reshape", {2, 2, 3}, {1, 4, 3, -1}) == 2);
    CHECK(reshaped("Reshape", {6}, {0, 0, 1, 1}) == 1);
    CHECK(reshaped("Squeeze", {6, 1, 1}, {2, -1}) == 1);
    CHECK(reshaped("Unsqueeze", {6}, {2, 3}) == 1);
    CHECK(mustRead(single("Squeeze", {6, 1, 1})).nodes.size() == 1);
    CHECK(mustRead(single("Squeeze", {6, 1, 1}, {}, {attribute("axes", OnnxDims{3, 2})}, 11)).nodes.size() ==
          1);
    CHECK(mustRead(single("Unsqueeze", {6}, {}, {attribute("axes", OnnxDims{-1})}, 11)).nodes.size() == 1);

    const auto code = [](std::string_view type, const OnnxDims& image, const OnnxDims& parameter) {
      return mustFail(single(type, image, {"p"}).ints("p", parameter)).code;
    };
    CHECK(code("Reshape", {6}, {1, 5}) == ErrorCode::kBadShape);
    CHECK(code("Reshape", {6}, {-1, -1}) == ErrorCode::kBadShape);
    CHECK(code("Reshape", {6}, {1, 4, -1}) == ErrorCode::kBadShape);
    CHECK(code("Reshape", {6}, {1, 6, 0}) == ErrorCode::kBadShape);
    CHECK(code("Reshape", {6}, {-7, 2}) == ErrorCode::kBadShape);
    CHECK(code("Squeeze", {6, 1, 2}, {3}) == ErrorCode::kBadShape);
    CHECK(code("Squeeze", {6, 1, 1}, {2, 2}) == ErrorCode::kBadShape);
    CHECK(code("Unsqueeze", {6}, {5}) == ErrorCode::kBadShape);
    CHECK(mustFail(single("Reshape", {6}, {"p"}, {attribute("allowzero", 1)}, 14).ints("p", {0, 6})).code ==
          ErrorCode::kBadShape);
  }

  TEST_CASE("a reshape that mixes the batch with the image is refused where it matters") {
    OnnxBuilder model;
    model.input("x", {0, 4}).output("y").node("Reshape", {"x", "s"}, {"r"}).ints("s", {2, 2});
    model.node("MatMul", {"r", "w"}, {"y"}).floats("w", {2, 2}, ramp(4));
    CHECK(mustFail(model).code == ErrorCode::kBadShape);
    OnnxBuilder bias;
    bias.input("x", {0, 4}).output("y").node("Reshape", {"x", "s"}, {"r"}).ints("s", {2, 2});
    bias.node("Add", {"r", "b"}, {"z"}).floats("b", {2}, ramp(2));
    const Error error = mustFail(bias.node("Reshape", {"z", "t"}, {"y"}).ints("t", {1, 4}));
    CHECK(error.code == ErrorCode::kBadShape);
    CHECK(contains(error.message, "batch of 1"));
  }

  TEST_CASE("a fixed batch of any size is one image here") {
    OnnxBuilder model;
    model.input("x", {8, 2, 1, 2}).output("y").node("Reshape", {"x", "s"}, {"r"}).ints("s", {8, -1});
    model.node("Gemm", {"r", "w"}, {"y"}, {attribute("transB", 1)}).floats("w", {1, 4}, {1, 10, 100, 1000});
    CHECK(run(model, {1, 2, 3, 4}) == std::vector<float>{4321});
    OnnxBuilder wrong;
    wrong.input("x", {8, 2, 1, 2}).output("y").node("Reshape", {"x", "s"}, {"r"}).ints("s", {4, -1});
    wrong.node("Gemm", {"r", "w"}, {"y"}, {attribute("transB", 1)}).floats("w", {1, 8}, ramp(8));
    CHECK(mustFail(wrong).code == ErrorCode::kBadShape);
  }

  TEST_CASE("Slice before and since opset 10") {
    const OnnxBuilder old = single("Slice", {4, 5, 6}, {},
                                   {attribute("axes", OnnxDims{1, 3}), attribute("starts", OnnxDims{1, -4}),
                                    attribute("ends", OnnxDims{99, -1})},
                                   9);
    Graph graph = mustRead(old);
    CHECK(opOf<SliceOp>(graph, "tested").start[0] == 1);
    CHECK(opOf<SliceOp>(graph, "tested").start[2] == 2);
    CHECK(shapeOf(graph, "tested") == Shape{3, 5, 3});

    const std::int64_t end = std::numeric_limits<std::int64_t>::max();
    OnnxBuilder newer = single("Slice", {4, 5, 6}, {"s", "e", "a", "t"}, {}, 10);
    newer.ints("s", {0, -4}).ints("e", {end, end}).ints("a", {-2, -1}).ints("t", {2, 3});
    graph = mustRead(newer);
    CHECK(opOf<SliceOp>(graph, "tested").start[2] == 2);
    CHECK(opOf<SliceOp>(graph, "tested").step[1] == 2);
    CHECK(opOf<SliceOp>(graph, "tested").step[2] == 3);
    CHECK(shapeOf(graph, "tested") == Shape{4, 3, 2});

    const auto code = [](const OnnxDims& start, const OnnxDims& stop, const OnnxDims& axes,
                         const OnnxDims& step) {
      OnnxBuilder model = single("Slice", {4, 5, 6}, {"s", "e", "a", "t"});
      return mustFail(model.ints("s", start).ints("e", stop).ints("a", axes).ints("t", step)).code;
    };
    CHECK(code({2}, {2}, {1}, {1}) == ErrorCode::kBadShape);
    CHECK(code({0}, {2}, {4}, {1}) == ErrorCode::kBadShape);
    CHECK(code({0, 0}, {2, 2}, {1, 1}, {1, 1}) == ErrorCode::kBadShape);
    CHECK(code({0}, {2}, {1}, {0}) == ErrorCode::kBadShape);
    CHECK(code({0}, {2}, {1, 2}, {1}) == ErrorCode::kBadShape);
    CHECK(code({3}, {0}, {1}, {-1}) == ErrorCode::kUnsupportedOp);
    CHECK(code({0}, {0}, {0}, {1}) == ErrorCode::kBadShape);
    // Everything from everything is nothing to do.
    OnnxBuilder whole = single("Slice", {4}, {"s", "e"});
    CHECK(mustRead(whole.ints("s", {0, 0}).ints("e", {end, end})).nodes.size() == 1);
  }

  TEST_CASE("Pad by attributes, by inputs, and by axes") {
    const auto check = [](const OnnxBuilder& model, float value) {
      const Graph graph = mustRead(model);
      const auto& op = opOf<PadOp>(graph, "tested");
      CHECK(op.before[0] == 1);
      CHECK(op.after[0] == 0);
      CHECK(op.before[2] == 3);
      CHECK(op.after[2] == 2);
      CHECK(op.value == value);
      CHECK(shapeOf(graph, "tested") == Shape{5, 5, 11});
    };
    const OnnxDims pads = {0, 1, 0, 3, 0, 0, 0, 2};
    check(single("Pad", {4, 5, 6}, {}, {attribute("pads", pads), attribute("value", .5F)}, 10), .5F);
    check(single("Pad", {4, 5, 6}, {"p", "v"}, {attribute("mode", "constant")})
              .ints("p", pads)
              .floats("v", {}, {.5F}),
          .5F);
    check(single("Pad", {4, 5, 6}, {"p", "", "a"}, {}, 18).ints("p", {3, 1, 2, 0}).ints("a", {-1, 1}), 0);

    const auto code = [](const OnnxDims& given, const OnnxAttributes& attributes = {}) {
      return mustFail(single("Pad", {4, 5, 6}, {"p"}, attributes).ints("p", given)).code;
    };
    CHECK(code({1, 0, 0, 0, 0, 0, 0, 0}) == ErrorCode::kUnsupportedOp);   // the batch
    CHECK(code({0, 0, -1, 0, 0, 0, 0, 0}) == ErrorCode::kUnsupportedOp);  // a crop
    CHECK(code(pads, {attribute("mode", "reflect")}) == ErrorCode::kUnsupportedOp);
    CHECK(code({0, 1, 0, 0}) == ErrorCode::kBadShape);
    CHECK(code({0, 1, 0, 0, 0, 0, 0, std::int64_t{1} << 40}) == ErrorCode::kBadShape);
    CHECK(mustRead(single("Pad", {4}, {"p"}).ints("p", {0, 0, 0, 0})).nodes.size() == 1);
  }

  TEST_CASE("Concat joins channels only") {
    const auto concat = [](std::int64_t axis, const OnnxNames& names) {
      OnnxBuilder model;
      model.input("x", {1, 2, 1, 2}).output("out").node("Flatten", {"y"}, {"out"});
      model.node("Relu", {"x"}, {"r"}).node("GlobalAveragePool", {"x"}, {"p"});
      return model.node("Concat", names, {"y"}, {attribute("axis", axis)});
    };
    const std::vector<float> image = {1, -2, 3, -4};
    CHECK(run(concat(1, {"x", "r"}), image) == std::vector<float>{1, -2, 3, -4, 1, 0, 3, 0});
    CHECK(run(concat(-3, {"r", "x", "r"}), image).size() == 12);
    CHECK(run(concat(1, {"x"}), image) == image);
    CHECK(mustFail(concat(3, {"x", "r"})).code == ErrorCode::kUnsupportedOp);
    CHECK(mustFail(concat(1, {"x", "p"})).code == ErrorCode::kBadShape);
    CHECK(mustFail(concat(4, {"x", "r"})).code == ErrorCode::kBadShape);
  }

  TEST_CASE("Identity, Dropout and Cast to a real type vanish") {
    CHECK(mustRead(single("Identity", {4})).nodes.size() == 1);
    CHECK(mustRead(single("Dropout", {4}, {}, {attribute("ratio", .5F)}, 7)).nodes.size() == 1);
    OnnxBuilder dropout = single("Dropout", {4}, {"r", "t"});
    dropout.floats("r", {}, {.5F});
    OnnxBuilder training = dropout;
    const std::vector<std::uint8_t> yes = {1}, no = {0};
    CHECK(mustRead(dropout.initializer(onnxRawTensor("t", {}, OnnxType::kBool, no))).nodes.size() == 1);
    CHECK(mustFail(training.initializer(onnxRawTensor("t", {}, OnnxType::kBool, yes))).code ==
          ErrorCode::kUnsupportedOp);
    for (const int type : {1, 10, 11, 16})
      CHECK(mustRead(single("Cast", {4}, {}, {attribute("to", type)})).nodes.size() == 1);
    CHECK(mustFail(single("Cast", {4}, {}, {attribute("to", 7)})).code == ErrorCode::kUnsupportedOp);
    CHECK(mustFail(single("Cast", {4}, {}, {attribute("to", 99)})).code == ErrorCode::kUnsupportedOp);
  }
}

}  // namespace
}  // namespace trefoil
