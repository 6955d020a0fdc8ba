// Bytes from outside: whatever they are, reading ends soon, with a graph or with an error that says why.
#include <doctest/doctest.h>

#include <cstdint>
#include <string>

#include "helpers/onnx_builder.h"
#include "onnx/onnx_reader.h"

namespace trefoil {
namespace {

using namespace trefoil::testing;

// A network with a bit of everything: shape arithmetic, typed and raw tensors, two branches, a classifier.
std::string goodModel() {
  OnnxBuilder model(13);
  model.input("image", {0, 3, 8, 8}).output("scores");
  model.floats("w1", {4, 3, 3, 3}, ramp(108, 0.01F)).floats("b1", {4}, ramp(4));
  model.initializer(onnxTensor("w2", {3, 16}, OnnxType::kFloat, [](protozero::pbf_writer& tensor) {
    const std::vector<float> values = ramp(48);
    tensor.add_packed_float(4, values.begin(), values.end());
  }));
  model.ints("pads", {0, 0, 1, 1, 0, 0, 1, 1}).ints("first", {0}).ints("minus", {-1});
  model.node("Pad", {"image", "pads"}, {"padded"});
  model.node("Conv", {"padded", "w1", "b1"}, {"conv"}, {attribute("strides", OnnxDims{2, 2})});
  model.node("Relu", {"conv"}, {"relu"}, {}, "first relu");
  model.node("MaxPool", {"relu"}, {"pool"},
             {attribute("kernel_shape", OnnxDims{2, 2}), attribute("strides", OnnxDims{2, 2})});
  model.node("Sigmoid", {"pool"}, {"gate"}).node("Mul", {"pool", "gate"}, {"swish"});
  model.node("Shape", {"swish"}, {"shape"}).node("Gather", {"shape", "first"}, {"batch"});
  model.node("Concat", {"batch", "minus"}, {"target"}, {attribute("axis", 0)});
  model.node("Reshape", {"swish", "target"}, {"flat"});
  model.node("Gemm", {"flat", "w2"}, {"scores"}, {attribute("transB", 1)});
  return model.bytes();
}

// Either a graph (which readOnnx has validated) or a message.
bool endsCleanly(const std::string& bytes) {
  const Result<Graph> result = readOnnx(asBytes(bytes));
  return result.ok() ? !result->nodes.empty() : !result.error().message.empty();
}

Error errorOf(const std::string& bytes) {
  const Result<Graph> result = readOnnx(asBytes(bytes));
  REQUIRE_FALSE(result.ok());
  return result.error();
}

ErrorCode codeOf(const std::string& bytes) { return errorOf(bytes).code; }

class ByteRandom {
 public:
  std::uint32_t operator()() {
    state_ = state_ * 1664525U + 1013904223U;
    return state_ >> 8;
  }

 private:
  std::uint32_t state_ = 7;
};

TEST_SUITE("onnx_hostile") {
  TEST_CASE("the good model is good") {
    const Result<Graph> graph = readOnnx(asBytes(goodModel()));
    REQUIRE_MESSAGE(graph.ok(), (graph.ok() ? "" : graph.error().message));
    CHECK(graph->nodes[static_cast<std::size_t>(graph->output)].shape == Shape{3, 1, 1});
  }

  TEST_CASE("every prefix of a good model is refused cleanly") {
    const std::string good = goodModel();
    for (std::size_t length = 0; length < good.size(); ++length) {
      // A copy of exactly that size, so that the address sanitizer sees a read beyond it.
      const std::string prefix = good.substr(0, length);
      CAPTURE(length);
      CHECK(codeOf(prefix) == ErrorCode::kBadOnnx);
    }
  }

  TEST_CASE("damaged bytes end cleanly") {
    const std::string good = goodModel();
    ByteRandom random;
    for (int round = 0; round < 6000; ++round) {
      std::string bytes = good;
      const std::uint32_t changes = 1 + random() % 4;
      for (std::uint32_t i = 0; i < changes; ++i) {
        bytes[random() % bytes.size()] = static_cast<char>(random());
      }
      CAPTURE(round);
      CHECK(endsCleanly(bytes));
    }
  }

  TEST_CASE("parts cut out or doubled end cleanly") {
    const std::string good = goodModel();
    ByteRandom random;
    for (int round = 0; round < 1500; ++round) {
      const std::size_t from = random() % good.size(), to = from + random() % (good.size() - from);
      const std::string middle = good.substr(from, to - from);
      CHECK(endsCleanly(good.substr(0, from) + good.substr(to)));
      CHECK(endsCleanly(good.substr(0, to) + middle + good.substr(to)));
    }
  }

  TEST_CASE("random bytes end cleanly") {
    ByteRandom random;
    for (int round = 0; round < 2000; ++round) {
      std::string bytes(random() % 64, '\0');
      for (char& byte : bytes) byte = static_cast<char>(random());
      CHECK(endsCleanly(bytes));
    }
  }

  TEST_CASE("lengths beyond the file, also those that look negative in 32 bits") {
    for (const char* length : {"\x7F", "\xFF\xFF\xFF\xFF\x07", "\xF0\xFF\xFF\xFF\x0F", "\x80\x80\x80\x80\x08",
                               "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"}) {
      // Field 7 (graph), an unknown field, and a field within a graph, each claiming more than there is.
      CHECK(codeOf(std::string("\x3A") + length + "abc") == ErrorCode::kBadOnnx);
      CHECK(codeOf(std::string("\xF2\x01") + length + "abc") == ErrorCode::kBadOnnx);
      CHECK(codeOf(std::string("\x3A\x08\x0A") + length) == ErrorCode::kBadOnnx);
    }
  }

  TEST_CASE("no bytes, text, and a model of nothing") {
    CHECK(codeOf("") == ErrorCode::kBadOnnx);
    CHECK(codeOf("<html>not found</html>") == ErrorCode::kBadOnnx);
    CHECK(codeOf(OnnxBuilder().bytes()) == ErrorCode::kBadOnnx);
    CHECK(codeOf(OnnxBuilder().input("x", {1, 4}).bytes()) == ErrorCode::kBadOnnx);
    CHECK(codeOf(OnnxBuilder().output("x").bytes()) == ErrorCode::kBadOnnx);
  }

  TEST_CASE("two graphs are not merged") {
    const Error error = errorOf(goodModel() + goodModel());
    CHECK(error.code == ErrorCode::kBadOnnx);
    CHECK(error.message.find("two graphs") != std::string::npos);
  }

  TEST_CASE("millions of empty messages are refused before they take memory") {
    std::string graph;
    for (int i = 0; i < 200000; ++i) graph += std::string("\x0A\x00", 2);
    std::string model;
    protozero::pbf_writer(model).add_message(7, graph);
    const Error error = errorOf(model);
    CHECK(error.code == ErrorCode::kBadOnnx);
    CHECK(error.message.find("far more nodes") != std::string::npos);
  }

  TEST_CASE("constants can't be made to grow without bound") {
    OnnxBuilder model(13);
    model.input("x", {1, 4}).output("y").ints("shape", {1 << 20});
    model.node("ConstantOfShape", {"shape"}, {"c0"});
    for (int i = 0; i < 100; ++i) {
      model.node("Add", {"c" + std::to_string(i), "c" + std::to_string(i)}, {"c" + std::to_string(i + 1)});
    }
    model.node("Add", {"x", "c100"}, {"y"});
    CHECK(codeOf(model.bytes()) == ErrorCode::kBadOnnx);

    OnnxBuilder huge(13);
    huge.input("x", {1, 4}).output("y").ints("shape", {std::int64_t{1} << 40, std::int64_t{1} << 40});
    huge.node("ConstantOfShape", {"shape"}, {"c"}).node("Add", {"x", "c"}, {"y"});
    CHECK(codeOf(huge.bytes()) == ErrorCode::kBadShape);
  }

  TEST_CASE("one weight read by many nodes doesn't multiply without bound") {
    OnnxBuilder model(13);
    model.input("x", {1, 512}).output("x200").floats("w", {512, 512}, ramp(512 * 512, 1e-6F));
    std::string last = "x";
    for (int i = 1; i <= 200; ++i) {
      const std::string next = "x" + std::to_string(i);
      model.node("MatMul", {last, "w"}, {next});
      last = next;
    }
    CHECK(codeOf(model.bytes()) == ErrorCode::kBadOnnx);
  }

  TEST_CASE("names are made fit to show and to store") {
    OnnxBuilder model(13);
    model.input(std::string("x\n\xFF\x01", 4), {1, 4}).output("y");
    model.node("Relu", {std::string("x\n\xFF\x01", 4)}, {"y"}, {}, std::string(5000, 'a'));
    const Result<Graph> graph = readOnnx(asBytes(model.bytes()));
    REQUIRE(graph.ok());
    CHECK(graph->nodes[0].name == "x???");
    CHECK(graph->nodes[1].name == std::string(200, 'a'));
  }
}

}  // namespace
}  // namespace trefoil
