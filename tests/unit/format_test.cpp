#include "format/format.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "format/sections.h"
#include "format/trefoil_generated.h"
#include "format/trits.h"
#include "helpers/random.h"
#include "helpers/random_model.h"

namespace {

using namespace trefoil;
using testing::Random;
using testing::randomModel;

std::vector<std::byte> bytesOf(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> written(const QuantModel& model) {
  auto bytes = writeModel(model);
  REQUIRE_MESSAGE(bytes.ok(), (bytes.ok() ? "" : bytes.error().message));
  return std::move(*bytes);
}

Error readError(std::span<const std::byte> bytes) {
  const auto model = readModel(bytes);
  REQUIRE(!model.ok());
  CHECK(!model.error().message.empty());
  return model.error();
}

TEST_SUITE("format") {
  TEST_CASE("five codes make a byte") {
    CHECK(packTrits(std::vector<std::int8_t>{-1, -1, -1, -1, -1}) == std::vector<std::uint8_t>{0});
    CHECK(packTrits(std::vector<std::int8_t>{0, 0, 0, 0, 0}) == std::vector<std::uint8_t>{121});
    CHECK(packTrits(std::vector<std::int8_t>{1, 1, 1, 1, 1}) == std::vector<std::uint8_t>{242});
    CHECK(packTrits(std::vector<std::int8_t>{1, -1}) == std::vector<std::uint8_t>{2});
    Random random(1);
    for (std::size_t count = 0; count < 6000; count = count < 64 ? count + 1 : count + 97) {
      TernaryCodes codes(count);
      for (auto& code : codes) code = static_cast<std::int8_t>(random.integer(-1, 1));
      const auto packed = packTrits(codes);
      CHECK(packed.size() == (count + 4) / 5);
      TernaryCodes unpacked{7};
      REQUIRE(unpackTrits(packed, count, &unpacked).ok());
      CHECK(unpacked == codes);
    }
  }

  TEST_CASE("bytes that are no codes are refused") {
    for (int byte = 0; byte < 256; ++byte) {
      const std::vector<std::uint8_t> bytes{static_cast<std::uint8_t>(byte)};
      TernaryCodes codes;
      CHECK(unpackTrits(bytes, 5, &codes).ok() == (byte < 243));
      CHECK(unpackTrits(bytes, 3, &codes).ok() == (byte < 27));
      CHECK_FALSE(unpackTrits(bytes, 6, &codes).ok());
      CHECK_FALSE(unpackTrits(bytes, 0, &codes).ok());
    }
  }

  TEST_CASE("every model survives the file, and the same model makes the same bytes") {
    for (std::uint32_t seed = 1; seed <= 300; ++seed) {
      CAPTURE(seed);
      const QuantModel model = randomModel(seed);
      const auto bytes = written(model);
      CHECK(std::memcmp(bytes.data() + 4, "TREF", 4) == 0);
      const auto back = readModel(bytes);
      REQUIRE_MESSAGE(back.ok(), (back.ok() ? "" : back.error().message));
      REQUIRE(*back == model);
      REQUIRE(written(*back) == bytes);
    }
  }

  TEST_CASE("bytes at any alignment can be read") {
    const QuantModel model = randomModel(3);
    const auto bytes = written(model);
    std::vector<std::byte> shifted(bytes.size() + 8);
    for (std::size_t offset = 0; offset < 8; ++offset) {
      std::copy(bytes.begin(), bytes.end(), shifted.begin() + static_cast<std::ptrdiff_t>(offset));
      const auto back = readModel(std::span(shifted).subspan(offset, bytes.size()));
      REQUIRE(back.ok());
      CHECK(*back == model);
    }
  }

  // Two convolutions of two planes each, with scales that can be told apart: 11, 12 and 21, 22.
  QuantModel twoPlaneModel() {
    QuantModel model;
    model.nodes.push_back({"image", QInputOp{}, {}, {1, 4, 4}, {}});
    for (int layer = 1; layer <= 2; ++layer) {
      QConvOp conv;
      conv.ternary.group_size = 1;
      const int channels = model.nodes.back().shape.channels;
      for (int p = 1; p <= 2; ++p) {
        TernaryPlane plane;
        plane.codes.assign(std::size_t{32} * static_cast<std::size_t>(channels), 1);
        plane.scales.assign(plane.codes.size(), static_cast<std::uint8_t>(10 * layer + p));
        conv.ternary.planes.push_back(plane);
      }
      conv.bias.assign(32, 1);
      conv.filter_scales.assign(32, 1);
      conv.pad_values.assign(static_cast<std::size_t>(channels), 0);
      conv.output.factors.assign(32, {1 << 30, 40});
      model.nodes.push_back({"conv" + std::to_string(layer), conv, {layer - 1}, {32, 4, 4}, {}});
    }
    model.logit_scales.assign(512, 1);
    model.logit_offsets.assign(512, 0);
    return model;
  }

  TEST_CASE("second planes lie behind all first ones") {
    const auto bytes = written(twoPlaneModel());
    const auto find = [&](int value) {
      const std::vector<std::byte> run(32, static_cast<std::byte>(value));
      const auto at = std::search(bytes.begin(), bytes.end(), run.begin(), run.end());
      REQUIRE(at != bytes.end());
      return at - bytes.begin();
    };
    CHECK(std::max(find(11), find(21)) < std::min(find(12), find(22)));
  }

  TEST_CASE("codes take a fifth of a byte") {
    QuantModel model = twoPlaneModel();
    auto& plane = std::get<QConvOp>(model.nodes[2].op).ternary;
    plane.group_size = kWholeFilter;
    for (auto& p : plane.planes) p.scales.assign(32, 1);
    const std::size_t before = written(model).size();
    plane.planes.pop_back();
    CHECK(before - written(model).size() < 1024 / 5 + 32 + 64);
  }

  TEST_CASE("every prefix of a file is refused") {
    for (const std::uint32_t seed : {2U, 5U, 8U}) {
      const auto bytes = written(randomModel(seed));
      for (std::size_t size = 0; size < bytes.size(); ++size) {
        // A copy of its own, so that a sanitizer sees the first byte beyond it.
        const std::vector<std::byte> prefix(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
        const auto model = readModel(prefix);
        REQUIRE(!model.ok());
        REQUIRE(model.error().code == ErrorCode::kBadModel);
      }
    }
  }

  TEST_CASE("files with changed bytes are refused or make valid models") {
    Random random(2);
    int survived = 0;
    for (const std::uint32_t seed : {1U, 4U, 6U, 9U, 12U, 21U}) {
      const auto bytes = written(randomModel(seed));
      for (int round = 0; round < 1200; ++round) {
        auto changed = bytes;
        for (int flips = random.integer(1, 4); flips > 0; --flips) {
          const auto at = static_cast<std::size_t>(random.integer(0, static_cast<int>(bytes.size()) - 1));
          // Offsets and sizes matter most: small changes and extreme values beside single bits.
          const int kind = random.integer(0, 3);
          if (kind == 0) changed[at] = static_cast<std::byte>(random.integer(0, 255));
          if (kind == 1) changed[at] ^= static_cast<std::byte>(1 << random.integer(0, 7));
          if (kind == 2) changed[at] = static_cast<std::byte>(random.chance(50) ? 0xff : 0);
          if (kind == 3)
            changed[at] = static_cast<std::byte>(static_cast<int>(changed[at]) + random.integer(-4, 4));
        }
        const auto model = readModel(changed, random.integer(1, 2));
        if (!model.ok()) continue;
        ++survived;
        REQUIRE(validateModel(*model).ok());
        REQUIRE(writeModel(*model).ok());
      }
    }
    CHECK(survived > 0);  // a changed scale or name is still a model
  }

  TEST_CASE("other files are told apart") {
    const auto message = [](std::string_view text) {
      const Error error = readError(bytesOf(text));
      CHECK(error.code == ErrorCode::kBadModel);
      return error.message;
    };
    const auto contains = [](const std::string& text, const char* part) {
      return text.find(part) != std::string::npos;
    };
    CHECK(
        contains(message("<!DOCTYPE html><html>"), "starts with '<!DOCTYPE': an HTML page, perhaps a 404?"));
    CHECK(contains(message("<html><body>"), "an HTML page"));
    CHECK(contains(message("{\"error\": \"not found\"}"), "JSON"));
    CHECK(contains(message("\x08\x08\x12\x07pytorch"), "ONNX model; quantize it first"));
    CHECK(contains(message(std::string_view("\x1c\0\0\0TFL3abcd", 12)), "TensorFlow Lite"));
    CHECK(contains(message("version https://git-lfs.github.com/spec/v1\n"), "LFS"));
    CHECK(contains(message(std::string_view("PK\x03\x04", 4)), "zip"));
    CHECK(contains(message(""), "empty"));
    CHECK(contains(message("abc"), "3 bytes"));
    CHECK(contains(message("abcdefghijkl"), "no 'TREF' mark"));
    CHECK(contains(message(std::string_view("\0\0\0\0TREF\0\0\0\0", 12)), "damaged"));
  }

  TEST_CASE("a file of another version is refused as such") {
    for (const std::uint32_t version : {1U, 3U, 9U, 0xffffffffU}) {
      flatbuffers::FlatBufferBuilder builder;
      fb::FinishModelBuffer(builder, fb::CreateModel(builder, version));
      const Error error = readError(std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize())));
      CHECK(error.code == ErrorCode::kModelVersion);
      CHECK(error.message.find("version " + std::to_string(version)) != std::string::npos);
      const char* advice = version < kFormatVersion ? "quantize the network anew" : "update trefoil";
      CHECK(error.message.find(advice) != std::string::npos);
    }
    flatbuffers::FlatBufferBuilder builder;
    fb::FinishModelBuffer(builder, fb::CreateModel(builder, kFormatVersion));
    CHECK(readError(std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()))).code ==
          ErrorCode::kBadModel);
  }

  TEST_CASE("a small file can't unpack to a huge model") {
    // One name of 64 KB, shared by 16,000 nodes: 1 GB unpacked.
    flatbuffers::FlatBufferBuilder builder;
    const auto name = builder.CreateString(std::string(1 << 16, 'x'));
    const auto inputs = builder.CreateVector(std::vector<std::int32_t>{0});
    const fb::Shape shape(1, 1, 1);
    const fb::Grid grid(1, 8, 0);
    const auto reshape = fb::CreateReshape(builder).Union();
    const auto node = fb::CreateNode(builder, name, fb::Op::Reshape, reshape, inputs, &shape, &grid);
    const auto nodes = builder.CreateVector(std::vector(16000, node));
    const float three[] = {1, 1, 1};
    const auto numbers = builder.CreateVector(three, 3);
    const auto metadata = fb::CreateMetadata(builder, 0, 0, 0, numbers, numbers);
    fb::FinishModelBuffer(builder, fb::CreateModel(builder, kFormatVersion, true, nodes, 0, 0, metadata));
    const Error error = readError(joinSections(builder.GetBufferSpan(), {}));
    CHECK(error.code == ErrorCode::kBadModel);
    CHECK(error.message.find("overlap") != std::string::npos);
  }

  TEST_CASE("an invalid model is not written") {
    QuantModel model = twoPlaneModel();
    std::get<QConvOp>(model.nodes[1].op).bias.pop_back();
    const auto bytes = writeModel(model);
    REQUIRE(!bytes.ok());
    CHECK(bytes.error().code == ErrorCode::kBadModel);
    CHECK(bytes.error().message.find("conv1") != std::string::npos);
  }

}  // TEST_SUITE

}  // namespace
