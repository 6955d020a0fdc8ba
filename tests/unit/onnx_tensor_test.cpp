// Weights in every form that ONNX stores numbers in.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "helpers/onnx_builder.h"
#include "onnx/onnx_reader.h"
#include "onnx/tensor.h"

namespace trefoil {
namespace {

using namespace trefoil::testing;
using onnx::halfToFloat;

// y = x + weights, so that the weights can be seen in the graph's ChannelAffine.
Result<Graph> withWeights(const std::string& tensor) {
  OnnxBuilder model;
  model.input("x", {1, 4}).output("y").initializer(tensor).node("Add", {"x", "w"}, {"y"});
  return readOnnx(asBytes(model.bytes()));
}

std::vector<float> read(const std::string& tensor) {
  const Result<Graph> graph = withWeights(tensor);
  REQUIRE_MESSAGE(graph.ok(), (graph.ok() ? "" : graph.error().message));
  return std::get<ChannelAffineOp>(graph->nodes[1].op).shift;
}

Error failure(const std::string& tensor) {
  const Result<Graph> graph = withWeights(tensor);
  REQUIRE_FALSE(graph.ok());
  return graph.error();
}

// Cast makes integers visible through the same network.
std::vector<float> readIntegers(const std::string& tensor) {
  OnnxBuilder model;
  model.input("x", {1, 4}).output("y").initializer(tensor);
  model.node("Cast", {"w"}, {"c"}, {attribute("to", 1)}).node("Add", {"x", "c"}, {"y"});
  const Result<Graph> graph = readOnnx(asBytes(model.bytes()));
  REQUIRE_MESSAGE(graph.ok(), (graph.ok() ? "" : graph.error().message));
  return std::get<ChannelAffineOp>(graph->nodes[1].op).shift;
}

const std::vector<float> kValues = {1.5F, -2, 0, 3};

TEST_SUITE("onnx_tensor") {
  TEST_CASE("floats: raw, packed, one by one") {
    CHECK(read(onnxRawTensor("w", {4}, OnnxType::kFloat, kValues)) == kValues);
    CHECK(read(onnxTensor("w", {4}, OnnxType::kFloat, [](protozero::pbf_writer& w) {
            w.add_packed_float(4, kValues.begin(), kValues.end());
          })) == kValues);
    CHECK(read(onnxTensor("w", {1, 4}, OnnxType::kFloat, [](protozero::pbf_writer& w) {
            for (const float value : kValues) w.add_float(4, value);
          })) == kValues);
  }

  TEST_CASE("doubles: raw, packed, one by one") {
    const std::vector<double> doubles(kValues.begin(), kValues.end());
    CHECK(read(onnxRawTensor("w", {4}, OnnxType::kDouble, doubles)) == kValues);
    CHECK(read(onnxTensor("w", {4}, OnnxType::kDouble, [&](protozero::pbf_writer& w) {
            w.add_packed_double(10, doubles.begin(), doubles.end());
          })) == kValues);
    CHECK(read(onnxTensor("w", {4}, OnnxType::kDouble, [&](protozero::pbf_writer& w) {
            for (const double value : doubles) w.add_double(10, value);
          })) == kValues);
  }

  TEST_CASE("half and bfloat16: raw and in int32_data") {
    const std::vector<std::uint16_t> half = {0x3E00, 0xC000, 0x0000, 0x4200};
    const std::vector<std::uint16_t> bfloat = {0x3FC0, 0xC000, 0x0000, 0x4040};
    const auto asIntegers = [](const std::vector<std::uint16_t>& bits) {
      return [bits](protozero::pbf_writer& w) {
        const std::vector<std::int32_t> wide(bits.begin(), bits.end());
        w.add_packed_int32(5, wide.begin(), wide.end());
      };
    };
    CHECK(read(onnxRawTensor("w", {4}, OnnxType::kHalf, half)) == kValues);
    CHECK(read(onnxTensor("w", {4}, OnnxType::kHalf, asIntegers(half))) == kValues);
    CHECK(read(onnxRawTensor("w", {4}, OnnxType::kBfloat, bfloat)) == kValues);
    CHECK(read(onnxTensor("w", {4}, OnnxType::kBfloat, asIntegers(bfloat))) == kValues);
  }

  TEST_CASE("every half") {
    CHECK(halfToFloat(0x0001) == std::ldexp(1.F, -24));
    CHECK(halfToFloat(0x83FF) == -1023 * std::ldexp(1.F, -24));
    CHECK(halfToFloat(0x0400) == std::ldexp(1.F, -14));
    CHECK(halfToFloat(0x7BFF) == 65504.F);
    CHECK(halfToFloat(0x7C00) == std::numeric_limits<float>::infinity());
    CHECK(std::isnan(halfToFloat(0x7C01)));
    CHECK(std::signbit(halfToFloat(0x8000)));
    float previous = -1;
    for (std::uint16_t bits = 0; bits <= 0x7C00; ++bits) {  // positive halves are ordered as their bits are
      CHECK(halfToFloat(bits) > previous);
      previous = halfToFloat(bits);
    }
  }

  TEST_CASE("integers of every width: raw and typed") {
    const std::vector<float> expected = {1, 2, 100, 127};
    const auto raw = [&](auto sample, OnnxType type) {
      std::vector<decltype(sample)> values(expected.begin(), expected.end());
      return readIntegers(onnxRawTensor("w", {4}, type, values));
    };
    CHECK(raw(std::uint8_t{}, OnnxType::kUint8) == expected);
    CHECK(raw(std::int8_t{}, OnnxType::kInt8) == expected);
    CHECK(raw(std::uint16_t{}, OnnxType::kUint16) == expected);
    CHECK(raw(std::int16_t{}, OnnxType::kInt16) == expected);
    CHECK(raw(std::int32_t{}, OnnxType::kInt32) == expected);
    CHECK(raw(std::uint32_t{}, OnnxType::kUint32) == expected);
    CHECK(raw(std::int64_t{}, OnnxType::kInt64) == expected);
    CHECK(raw(std::uint64_t{}, OnnxType::kUint64) == expected);

    const std::vector<std::int64_t> negative = {-1, 5, -128, 0};
    const std::vector<float> negative_reals = {-1, 5, -128, 0};
    const auto typed = [&](std::uint32_t field, OnnxType type) {
      return readIntegers(onnxTensor("w", {4}, type, [&](protozero::pbf_writer& w) {
        w.add_packed_int64(field, negative.begin(), negative.end());
      }));
    };
    CHECK(typed(5, OnnxType::kInt8) == negative_reals);
    CHECK(typed(5, OnnxType::kInt32) == negative_reals);
    CHECK(typed(7, OnnxType::kInt64) == negative_reals);
    CHECK(readIntegers(onnxRawTensor("w", {4}, OnnxType::kInt8, std::vector<std::int8_t>{-1, 5, -128, 0})) ==
          negative_reals);
    CHECK(readIntegers(onnxRawTensor("w", {4}, OnnxType::kBool, std::vector<std::uint8_t>{0, 1, 2, 255})) ==
          std::vector<float>{0, 1, 1, 1});
  }

  TEST_CASE("a number of values that contradicts the shape") {
    for (const std::size_t count : {0, 3, 5}) {
      CAPTURE(count);
      const Error raw = failure(onnxRawTensor("w", {4}, OnnxType::kFloat, ramp(count)));
      CHECK(raw.code == ErrorCode::kBadOnnx);
      CHECK(raw.message.find("'w'") != std::string::npos);
      CHECK(failure(onnxTensor("w", {4}, OnnxType::kFloat, [&](protozero::pbf_writer& w) {
              for (const float value : ramp(count)) w.add_float(4, value);
            })).code == ErrorCode::kBadOnnx);
    }
    // A length that is no multiple of a value's, and values of another type's field.
    CHECK(failure(onnxTensor("w", {4}, OnnxType::kFloat, [](protozero::pbf_writer& w) {
            w.add_bytes(9, "123456789012345");
          })).code == ErrorCode::kBadOnnx);
    CHECK(failure(onnxTensor("w", {4}, OnnxType::kFloat, [](protozero::pbf_writer& w) {
            for (int i = 0; i < 4; ++i) w.add_double(10, 1);
          })).code == ErrorCode::kBadOnnx);
  }

  TEST_CASE("shapes that would overflow or ask for absurd memory") {
    const std::int64_t big = std::int64_t{1} << 32;
    for (const OnnxDims& dims : {OnnxDims{big, big}, OnnxDims{big, big, 0}, OnnxDims{0, big}, OnnxDims{-4},
                                 OnnxDims{-2, -2}, OnnxDims{std::numeric_limits<std::int64_t>::min(), 2}}) {
      CHECK(failure(onnxRawTensor("w", dims, OnnxType::kFloat, kValues)).code == ErrorCode::kBadShape);
    }
    // Within the limit, but the file doesn't hold it: seen before anything of that size is made.
    CHECK(failure(onnxRawTensor("w", {1 << 28}, OnnxType::kFloat, kValues)).code == ErrorCode::kBadOnnx);
    const Error absent = failure(
        onnxTensor("w", {1 << 28}, OnnxType::kFloat, [](protozero::pbf_writer& w) { w.add_float(4, 1); }));
    CHECK(absent.code == ErrorCode::kBadOnnx);
    CHECK(absent.message.find("holds fewer") != std::string::npos);
    CHECK(failure(onnxRawTensor("w", OnnxDims(17, 1), OnnxType::kFloat, ramp(1))).code ==
          ErrorCode::kBadOnnx);
  }

  TEST_CASE("weights that are not finite") {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      const Error error =
          failure(onnxRawTensor("w", {4}, OnnxType::kFloat, std::vector<float>{0, 1, bad, 2}));
      CHECK(error.code == ErrorCode::kBadOnnx);
      CHECK(error.message.find("'w'") != std::string::npos);
    }
    CHECK(failure(onnxRawTensor("w", {4}, OnnxType::kDouble, std::vector<double>{0, 1, 1e300, 2})).code ==
          ErrorCode::kBadOnnx);
  }

  TEST_CASE("strings and unknown types are no weights") {
    CHECK(failure(onnxRawTensor("w", {4}, OnnxType::kString, kValues)).code == ErrorCode::kBadOnnx);
    CHECK(failure(onnxRawTensor("w", {4}, static_cast<OnnxType>(99), kValues)).code == ErrorCode::kBadOnnx);
    CHECK(failure(onnxRawTensor("w", {4}, OnnxType::kInt64, std::vector<std::int64_t>(4))).code ==
          ErrorCode::kBadOnnx);
  }

  TEST_CASE("external data") {
    const Error located =
        failure(onnxTensor("w", {4}, OnnxType::kFloat, [](protozero::pbf_writer& w) { w.add_int32(14, 1); }));
    CHECK(located.code == ErrorCode::kExternalData);
    CHECK(located.message.find("'w'") != std::string::npos);
    const Error listed = failure(onnxTensor("w", {4}, OnnxType::kFloat, [](protozero::pbf_writer& w) {
      w.add_message(13, std::string("\x0A\x08location"));
    }));
    CHECK(listed.code == ErrorCode::kExternalData);
  }
}

}  // namespace
}  // namespace trefoil
