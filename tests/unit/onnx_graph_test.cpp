// The graph as a whole: order, names, inputs, outputs, opsets, and what is refused.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

#include "onnx/operators.h"
#include "unit/onnx_cases.h"

namespace trefoil {
namespace {

using namespace trefoil::testing;

OnnxBuilder relu(const OnnxDims& image, std::int64_t opset = 13) {
  OnnxBuilder model(opset);
  model.input("x", image).output("out").node("Relu", {"x"}, {"y"}).node("Flatten", {"y"}, {"out"});
  return model;
}

std::string readFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST_SUITE("onnx_graph") {
  TEST_CASE("nodes in any order, and only those that the output needs") {
    OnnxBuilder model;
    model.input("x", {1, 4}).output("y");
    model.node("Relu", {"b"}, {"y"}, {}, "last").node("Loop", {"x"}, {"unused"});
    model.node("Sigmoid", {"x"}, {"a"}, {}, "first").node("Relu", {"missing"}, {"unused too"});
    model.node("Add", {"a", "x"}, {"b"}, {}, "middle").node("Relu", {"x"}, {"also unused"});
    const Graph graph = mustRead(model);
    REQUIRE(graph.nodes.size() == 4);
    CHECK(graph.nodes[0].name == "x");
    CHECK(graph.nodes[1].name == "first");
    CHECK(graph.nodes[2].name == "middle");
    CHECK(graph.nodes[2].inputs == std::vector<int>{1, 0});
    CHECK(graph.nodes[3].name == "last");
    CHECK(graph.output == 3);
    CHECK(graph.name == "test");
  }

  TEST_CASE("where the file's order is valid it stays") {
    OnnxBuilder model;
    model.input("x", {1, 4}).output("y").node("Relu", {"x"}, {"a"}).node("Sigmoid", {"x"}, {"b"});
    const Graph graph = mustRead(model.node("Add", {"b", "a"}, {"y"}));
    CHECK(graph.nodes[1].name == "a");
    CHECK(graph.nodes[2].name == "b");
  }

  TEST_CASE("a node whose result is only asked for its shape is left out") {
    OnnxBuilder model;
    model.input("x", {1, 4}).output("y").node("Sigmoid", {"x"}, {"a"}).node("Shape", {"a"}, {"s"});
    model.node("Reshape", {"x", "s"}, {"r"}).node("Relu", {"r"}, {"y"});
    CHECK(mustRead(model).nodes.size() == 2);
  }

  TEST_CASE("cycles name a node in them") {
    OnnxBuilder model;
    model.input("x", {1, 4}).output("y");
    model.node("Add", {"x", "c"}, {"a"}, {}, "one").node("Relu", {"a"}, {"b"}, {}, "two");
    model.node("Relu", {"b"}, {"c"}, {}, "three").node("Relu", {"c"}, {"y"}, {}, "after");
    const Error error = mustFail(model);
    CHECK(error.code == ErrorCode::kGraphCycle);
    CHECK(contains(error.message, "'after'") == false);
    CHECK((contains(error.message, "'one'") || contains(error.message, "'two'") ||
           contains(error.message, "'three'")));
    OnnxBuilder self;
    CHECK(mustFail(self.input("x", {1, 4}).output("y").node("Add", {"x", "y"}, {"y"})).code ==
          ErrorCode::kGraphCycle);
  }

  TEST_CASE("a long chain needs no stack") {
    OnnxBuilder model;
    model.input("t0", {1, 4}).output("t20000");
    for (int i = 20000; i > 0; --i) {
      model.node("Identity", {"t" + std::to_string(i - 1)}, {"t" + std::to_string(i)});
    }
    CHECK(mustRead(model).nodes.size() == 1);
  }

  TEST_CASE("missing tensors name the tensor and the node") {
    const Error error = mustFail(single("Conv", {3, 4, 4}, {"kernel"}));
    CHECK(error.code == ErrorCode::kMissingInitializer);
    CHECK(contains(error.message, "'kernel'"));
    CHECK(contains(error.message, "'tested'"));
    OnnxBuilder second;
    second.input("x", {1, 4}).input("mask", {1, 4}).output("y").node("Mul", {"x", "mask"}, {"y"});
    const Error mask = mustFail(second);
    CHECK(mask.code == ErrorCode::kMissingInitializer);
    CHECK(contains(mask.message, "second input"));
    CHECK(mustFail(single("Conv", {3, 4, 4})).code == ErrorCode::kBadOnnx);
  }

  TEST_CASE("names: the node's, or its output's, and unique") {
    OnnxBuilder model;
    model.input("x", {1, 4}).output("y");
    model.node("Relu", {"x"}, {"a"}, {}, "same").node("Sigmoid", {"a"}, {"b"}, {}, "same");
    model.node("Relu", {"b"}, {"same_2"}).node("Sigmoid", {"same_2"}, {"y"}, {}, "x");
    const Graph graph = mustRead(model);
    std::set<std::string> names;
    for (const Node& node : graph.nodes) names.insert(node.name);
    CHECK(names.size() == graph.nodes.size());
    CHECK(graph.nodes[1].name == "same");
    CHECK(graph.nodes[2].name == "same_2");
    CHECK(graph.nodes[3].name == "same_2_2");
    CHECK(graph.nodes[4].name == "x_2");
  }

  TEST_CASE("a tensor defined twice") {
    OnnxBuilder nodes;
    nodes.input("x", {1, 4}).output("y").node("Relu", {"x"}, {"y"}).node("Sigmoid", {"x"}, {"y"});
    CHECK(mustFail(nodes).code == ErrorCode::kBadOnnx);
    CHECK(mustFail(relu({1, 4}).ints("w", {1}).ints("w", {2})).code == ErrorCode::kBadOnnx);
  }

  TEST_CASE("opsets") {
    for (std::int64_t opset = 7; opset <= 21; ++opset) CHECK(mustRead(relu({1, 4}, opset)).nodes.size() == 2);
    for (const std::int64_t opset : {-1, 1, 6, 22, 1000}) {
      const Error error = mustFail(relu({1, 4}, opset));
      CHECK(error.code == ErrorCode::kUnsupportedOpset);
      CHECK(contains(error.message, std::to_string(opset)));
      CHECK(contains(error.message, "7 to 21"));
    }
  }

  TEST_CASE("operators that are not supported are all named, in the message and apart from it") {
    OnnxBuilder model(17);
    model.input("x", {1, 4}).output("y").node("Relu", {"x"}, {"a"});
    model.node("Einsum", {"a"}, {"b"}, {}, "the first").node("Einsum", {"b"}, {"c"}, {}, "the second");
    model.node("Loop", {"unused"}, {"unneeded"});
    model.node("Pool", {"c"}, {"y"}, {}, "the third", "com.example");
    const auto bytes = model.bytes();
    UnsupportedNode unsupported;
    const auto read = OnnxReading::begin(asBytes(bytes), {}, &unsupported);
    REQUIRE_FALSE(read.ok());
    CHECK(contains(
        read.error().message,
        "operator Einsum of node 'the first' (opset 17) is not supported, nor is com.example:Pool."));
    CHECK(unsupported.op == "Einsum");
    CHECK(unsupported.node == "the first");
    CHECK(unsupported.opset == 17);
    CHECK(unsupported.unknown == std::vector<std::string>{"Einsum", "com.example:Pool"});
  }

  TEST_CASE("an operator in a form that is not supported") {
    const OnnxBuilder model = single("Relu", {2, 3, 3}, {}, {attribute("odd", 1)}, 15);
    const auto bytes = model.bytes();
    UnsupportedNode unsupported;
    auto reading = OnnxReading::begin(asBytes(bytes), {}, &unsupported);
    REQUIRE(reading.ok());
    CHECK(reading->step().error().code == ErrorCode::kUnsupportedOp);
    CHECK(unsupported.op == "Relu");
    CHECK(unsupported.node == "tested");
    CHECK(unsupported.opset == 15);
    CHECK(unsupported.unknown.empty());
  }

  TEST_CASE("operators that are not supported") {
    OnnxBuilder model(17);
    model.input("x", {1, 4})
        .output("y")
        .node("Relu", {"x"}, {"a"})
        .node("Einsum", {"a"}, {"y"}, {}, "the node");
    const Error error = mustFail(model);
    CHECK(error.code == ErrorCode::kUnsupportedOp);
    CHECK(contains(error.message, "Einsum"));
    CHECK(contains(error.message, "'the node'"));
    CHECK(contains(error.message, "opset 17"));
    CHECK(contains(error.message, "Add AveragePool BatchNormalization"));
    for (const char* type : {"If", "Loop", "Scan", "", "relu"}) {
      OnnxBuilder control;
      CHECK(mustFail(control.input("x", {1, 4}).output("y").node(type, {"x"}, {"y"})).code ==
            ErrorCode::kUnsupportedOp);
    }
    OnnxBuilder domain;
    domain.input("x", {1, 4}).output("y").node("Relu", {"x"}, {"y"}, {}, "", "com.example");
    CHECK(contains(mustFail(domain).message, "com.example:Relu"));
    OnnxBuilder spelled;
    spelled.input("x", {1, 4}).output("y").node("Relu", {"x"}, {"y"}, {}, "", "ai.onnx");
    CHECK(mustRead(spelled).nodes.size() == 2);
    OnnxBuilder quantized;
    quantized.input("x", {1, 4}).output("y").node("DequantizeLinear", {"x"}, {"y"});
    CHECK(contains(mustFail(quantized).message, "give the float one"));
  }

  TEST_CASE("image sizes") {
    CHECK(mustRead(relu({0, 3, 4, 5})).inputShape() == Shape{3, 4, 5});
    CHECK(mustRead(relu({16, 3, 4, 5})).inputShape() == Shape{3, 4, 5});
    CHECK(mustRead(relu({-7, 3, 4, 5})).inputShape() == Shape{3, 4, 5});  // some exporters' way to say any
    CHECK(mustRead(relu({1, 7})).inputShape() == Shape{7, 1, 1});
    CHECK(mustRead(relu({1, 4, 5})).inputShape() == Shape{1, 4, 5});
    const OnnxOptions options = {.input_height = 6, .input_width = 7};
    CHECK(mustRead(relu({0, 3, 0, 0}), options).inputShape() == Shape{3, 6, 7});
    CHECK(mustRead(relu({0, 3, 4, 5}), options).inputShape() == Shape{3, 4, 5});
    const Error open = mustFail(relu({0, 3, 0, 0}));
    CHECK(open.code == ErrorCode::kBadShape);
    CHECK(contains(open.message, "input_height"));
    CHECK(mustFail(relu({0, 3, 0, 0}), {.input_height = 6, .input_width = 0}).code == ErrorCode::kBadShape);
    CHECK(mustFail(relu({0, 0, 4, 4})).code == ErrorCode::kBadShape);
    CHECK(mustFail(relu({4})).code == ErrorCode::kBadShape);
    CHECK(mustFail(relu({1, 3, 4, 4, 4})).code == ErrorCode::kBadShape);
    CHECK(mustFail(relu({1, 3, 1 << 20, 1 << 20})).code == ErrorCode::kBadShape);
    CHECK(mustFail(relu({1, 3, 4, std::int64_t{1} << 33})).code == ErrorCode::kBadShape);
    CHECK(mustFail(relu({0, 3, 0, 0}), {.input_height = -1, .input_width = 5}).code == ErrorCode::kBadOption);
  }

  TEST_CASE("an open image size in N,H,W,C") {
    OnnxBuilder model;
    model.input("x", {0, 0, 0, 3})
        .output("y")
        .node("Transpose", {"x"}, {"t"}, {attribute("perm", OnnxDims{0, 3, 1, 2})});
    model.node("GlobalAveragePool", {"t"}, {"p"}).node("Flatten", {"p"}, {"y"});
    CHECK(mustRead(model, {.input_height = 6, .input_width = 7}).inputShape() == Shape{3, 6, 7});
  }

  TEST_CASE("weights listed among the inputs, as before IR 4") {
    OnnxBuilder model(8);
    model.input("w", {2, 3}).input("x", {1, 3}).output("y").floats("w", {2, 3}, ramp(6));
    model.node("Gemm", {"x", "w", "b"}, {"y"}, {attribute("transB", 1)})
        .input("b", {2})
        .floats("b", {2}, ramp(2));
    CHECK(mustRead(model).inputShape() == Shape{3, 1, 1});
  }

  TEST_CASE("the first output is the result") {
    OnnxBuilder model;
    model.input("x", {1, 4}).output("a").output("b").node("Relu", {"x"}, {"a"}).node("Loop", {"x"}, {"b"});
    CHECK(mustRead(model).nodes.size() == 2);
  }

  TEST_CASE("outputs that are no class scores") {
    OnnxBuilder image;
    image.input("x", {1, 3, 4, 4}).output("y").node("Relu", {"x"}, {"y"});
    const Error error = mustFail(image);
    CHECK(error.code == ErrorCode::kBadShape);
    CHECK(contains(error.message, "[1,3,4,4]"));
    OnnxBuilder constant;
    constant.input("x", {1, 4}).output("y").ints("v", {1}).node("Identity", {"v"}, {"y"});
    CHECK(mustFail(constant).code == ErrorCode::kBadOnnx);
    OnnxBuilder unmade;
    unmade.input("x", {1, 4}).output("z").node("Relu", {"x"}, {"y"});
    CHECK(mustFail(unmade).code == ErrorCode::kBadOnnx);
  }

  TEST_CASE("the list of operators is sorted, and README tells the same") {
    const std::vector<std::string> types = supportedOnnxOperators();
    CHECK(std::is_sorted(types.begin(), types.end()));
    const std::string readme = readFile(std::string(TREFOIL_SOURCE_DIR) + "/src/onnx/README.md");
    REQUIRE_FALSE(readme.empty());
    for (const onnx::Operator& row : onnx::operators()) {
      std::string attributes;
      for (const char c : row.attributes) attributes += c == ' ' ? std::string(", ") : std::string(1, c);
      const std::string expected =
          "| " + std::string(row.type) + " | " + (attributes.empty() ? "-" : attributes) + " |";
      CHECK_MESSAGE(contains(readme, expected), expected);
    }
  }

  TEST_CASE("real networks") {
    struct Row {
      const char* file;
      Shape input;
      int classes;
    };
    const Row rows[] = {{"mobilenet_v2", {3, 224, 224}, 1001},      {"squeezenet1_1", {3, 224, 224}, 1000},
                        {"tiny_darknet", {3, 224, 224}, 1000},      {"resnet20_cifar10", {3, 32, 32}, 10},
                        {"resnet20_cifar10_jpeg", {3, 32, 32}, 10}, {"resnet8_cifar10", {3, 32, 32}, 10}};
    for (const Row& row : rows) {
      const std::string path = std::string(TREFOIL_SOURCE_DIR) + "/../shared/models/" + row.file + ".onnx";
      const std::string bytes = readFile(path);
      if (bytes.empty()) {
        MESSAGE("skipped, as it is not on this machine: ", row.file);
        continue;
      }
      const Result<Graph> graph = readOnnx(asBytes(bytes));
      REQUIRE_MESSAGE(graph.ok(), (graph.ok() ? "" : graph.error().message));
      CHECK(graph->inputShape() == row.input);
      CHECK(graph->nodes[static_cast<std::size_t>(graph->output)].shape == Shape{row.classes, 1, 1});
      // Shape arithmetic, constants and relabelling leave nothing behind.
      for (const Node& node : graph->nodes) {
        if (std::holds_alternative<ReshapeOp>(node.op)) CHECK(node.shape.plane() == 1);
      }
    }
  }
}

}  // namespace
}  // namespace trefoil
