// Scales as indices into levels, and files whose start is a network by itself.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "format/first_planes.h"
#include "format/format.h"
#include "format/scale_table.h"
#include "format/sections.h"
#include "format/trefoil_generated.h"
#include "helpers/random.h"
#include "helpers/random_model.h"
#include "helpers/reference_interpreter.h"

namespace {

using namespace trefoil;
using testing::Random;
using testing::randomModel;

using Bytes = std::vector<std::byte>;
using Scales = std::vector<std::uint8_t>;

Bytes fileOf(const QuantModel& model, const QuantModel* first = nullptr) {
  auto bytes = writeModel(model, first);
  REQUIRE_MESSAGE(bytes.ok(), (bytes.ok() ? "" : bytes.error().message));
  return std::move(*bytes);
}

QuantModel modelOf(std::span<const std::byte> bytes, int planes) {
  auto model = readModel(bytes, planes);
  REQUIRE_MESSAGE(model.ok(), (model.ok() ? "" : model.error().message));
  return std::move(*model);
}

std::span<const std::byte> prefix(const Bytes& bytes, std::size_t size) {
  return std::span(bytes).first(size);
}

// The first random model with second planes from this seed on.
QuantModel twoPlanes(std::uint32_t* seed) {
  for (;; ++*seed) {
    QuantModel model = randomModel(*seed);
    if (hasSecondPlanes(model)) return model;
  }
}

QConvOp* firstConv(QuantModel* model) {
  for (QNode& node : model->nodes) {
    if (auto* conv = std::get_if<QConvOp>(&node.op)) return conv;
  }
  return nullptr;
}

TEST_SUITE("format of planes") {
  TEST_CASE("few levels a filter become indices of 1, 2 or 3 bits") {
    // Two filters of 20 scales.
    const auto table = [](int different) {
      Scales scales(40);
      for (std::size_t i = 0; i < scales.size(); ++i) {
        scales[i] = static_cast<std::uint8_t>(10 * (i % static_cast<std::size_t>(different)) + i / 20);
      }
      const ScaleTable packed = packScales(scales, 2);
      const auto back = unpackScales(packed, 2, scales.size());
      REQUIRE(back.ok());
      CHECK(*back == scales);
      return packed;
    };
    CHECK(table(1).index_bits == 1);
    CHECK(table(2).index_bits == 1);
    CHECK(table(3).index_bits == 2);
    CHECK(table(4).index_bits == 2);
    CHECK(table(5).index_bits == 3);
    CHECK(table(8).index_bits == 3);
    CHECK(table(9).index_bits == 0);
    CHECK(table(4).values == Scales{0, 10, 20, 30, 1, 11, 21, 31});
    CHECK(table(4).indices == Scales(10, 0b11100100));
    CHECK(table(3).values == Scales{0, 10, 20, 20, 1, 11, 21, 21});
    CHECK(table(8).bytes() == 16 + 15);
    CHECK(table(20).bytes() == 40);
  }

  TEST_CASE("indices are used only where they are shorter") {
    CHECK(packScales(Scales{1, 2, 1, 2}, 2).index_bits == 0);        // 4 bytes against 4 + 1
    CHECK(packScales(Scales{1, 1, 1, 1, 1, 1}, 1).index_bits == 1);  // 6 against 2 + 1
    CHECK(packScales(Scales{1, 2, 3, 4, 1, 2}, 1).index_bits == 0);  // 6 against 4 + 2
    CHECK(packScales(Scales{}, 4).index_bits == 0);
  }

  TEST_CASE("any scales survive, any damaged table is refused") {
    Random random(3);
    for (int round = 0; round < 300; ++round) {
      const auto filters = static_cast<std::size_t>(random.integer(1, 5));
      const std::size_t count = filters * static_cast<std::size_t>(random.integer(1, 40));
      Scales scales = random.bytes(count, random.pick<int>({1, 3, 7, 12, 255}));
      ScaleTable table = packScales(scales, filters);
      REQUIRE(*unpackScales(table, filters, count) == scales);
      const auto refused = [&](const ScaleTable& damaged) {
        const auto result = unpackScales(damaged, filters, count);
        REQUIRE(!result.ok());
        REQUIRE(result.error().code == ErrorCode::kBadModel);
      };
      ScaleTable other = table;
      other.values.pop_back();
      refused(other);
      other = table;
      other.indices.push_back(0);
      refused(other);
      other = table;
      other.index_bits = random.pick<int>({-1, 4, 8, 255});
      refused(other);
      if (table.index_bits == 0) continue;
      other = table;
      other.indices.pop_back();
      refused(other);
      other = table;
      other.index_bits = 0;
      refused(other);
      if (count * static_cast<std::size_t>(table.index_bits) % 8 == 0) continue;
      other = table;
      other.indices.back() |= 0x80;
      refused(other);
    }
  }

  TEST_CASE("the first section is the network of the first planes") {
    std::uint32_t seed = 1;
    for (int round = 0; round < 40; ++round, ++seed) {
      const QuantModel whole = twoPlanes(&seed);
      CAPTURE(seed);
      const Bytes bytes = fileOf(whole);
      const auto sections = readSections(bytes);
      REQUIRE(sections.ok());
      REQUIRE(sections->first < sections->whole);
      REQUIRE(sections->whole == bytes.size());
      const QuantModel first = firstPlanes(whole);
      REQUIRE(!hasSecondPlanes(first));
      REQUIRE(modelOf(bytes, 2) == whole);
      REQUIRE(modelOf(bytes, 1) == first);
      REQUIRE(modelOf(prefix(bytes, sections->first), 1) == first);
      // A network that never had second planes is the same file.
      REQUIRE(std::ranges::equal(fileOf(first), prefix(bytes, sections->first),
                                 [&, i = std::size_t{0}](std::byte a, std::byte b) mutable {
                                   const bool length = i >= 12 && i < kSectionHeaderBytes;
                                   ++i;
                                   return length || a == b;
                                 }));
    }
  }

  TEST_CASE("without second planes there is one section") {
    const QuantModel first = firstPlanes(randomModel(4));
    const Bytes bytes = fileOf(first);
    CHECK(readSections(bytes)->first == bytes.size());
    CHECK(modelOf(bytes, 1) == first);
    CHECK(modelOf(bytes, 2) == first);
  }

  TEST_CASE("every truncation is refused, or is the first planes where those are asked for") {
    std::uint32_t seed = 3;
    const Bytes bytes = fileOf(twoPlanes(&seed));
    const std::size_t first = readSections(bytes)->first;
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const Bytes cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
      const auto whole = readModel(cut, 2);
      REQUIRE(!whole.ok());
      REQUIRE(whole.error().code == ErrorCode::kBadModel);
      REQUIRE((whole.error().message.find("planes 1") != std::string::npos) == (size >= first));
      const auto start = readModel(cut, 1);
      REQUIRE(start.ok() == (size >= first));
      if (!start.ok()) REQUIRE(start.error().code == ErrorCode::kBadModel);
    }
    Bytes longer = bytes;
    longer.push_back(std::byte{0});
    for (const int planes : {1, 2}) CHECK(readModel(longer, planes).error().code == ErrorCode::kBadModel);
    CHECK(readModel(bytes, 0).error().code == ErrorCode::kBadOption);
    CHECK(readModel(bytes, 3).error().code == ErrorCode::kBadOption);
  }

  TEST_CASE("the first planes may have constants of their own, and nothing else") {
    std::uint32_t seed = 9;
    const QuantModel whole = twoPlanes(&seed);
    QuantModel first = firstPlanes(whole);
    QConvOp& conv = *firstConv(&first);
    conv.bias[0] += 1;
    conv.filter_scales[0] *= 2;
    for (FixedPoint& factor : conv.output.factors) factor.shift = factor.shift == 40 ? 41 : 40;
    first.logit_scales[0] += 1;
    first.logit_offsets[0] -= 1;
    const Bytes bytes = fileOf(whole, &first);
    CHECK(modelOf(bytes, 1) == first);
    CHECK(modelOf(bytes, 2) == whole);

    const auto refused = [&](const QuantModel& other) {
      const auto result = writeModel(whole, &other);
      REQUIRE(!result.ok());
      CHECK(result.error().code == ErrorCode::kBadModel);
    };
    refused(whole);
    QuantModel other = first;
    other.nodes[1].grid.scale += 1;
    refused(other);
    other = first;
    other.nodes.pop_back();
    refused(other);
    other = first;
    other.metadata.name += "x";
    refused(other);
  }

  TEST_CASE("where every input is its padding value, first planes give what the second ones add nothing to") {
    // One 1x1 filter over two channels with zero points 3: 5 (q0 - 3) - 7 (q1 - 3) of the first plane, and
    // 2 (q0 - 3) + 2 (q1 - 3) of the second.
    QuantModel model;
    model.nodes.push_back({"image", QInputOp{}, {}, {3, 1, 1}, {}});
    QConvOp conv;
    conv.ternary.group_size = 1;
    conv.ternary.planes.push_back({{1, -1, 0}, {5, 7, 9}, {}});
    conv.ternary.planes.push_back({{1, 1, -1}, {2, 2, 0}, {0, 0, 4}});
    conv.pad_values = {3, 3, 3};
    conv.bias = {100 - 3 * (5 - 7) - 3 * (2 + 2 - 4)};
    conv.bias[0] += 1;
    conv.filter_scales = {1};
    model.nodes.push_back({"conv", conv, {0}, {1, 1, 1}, {}});
    model.logit_scales = {1};
    model.logit_offsets = {0};
    REQUIRE(validateModel(model).ok());
    const QuantModel first = firstPlanes(model);
    for (const QuantModel& m : {model, first}) {
      CHECK(testing::referenceLogits(m, std::vector<std::uint8_t>{3, 3, 3}) == testing::Integers{101});
    }
    CHECK(testing::referenceLogits(first, std::vector<std::uint8_t>{4, 3, 5}) == testing::Integers{106});
    CHECK(testing::referenceLogits(model, std::vector<std::uint8_t>{4, 3, 5}) == testing::Integers{100});
  }

  TEST_CASE("a damaged refinement is refused") {
    std::uint32_t seed = 5;
    const QuantModel whole = twoPlanes(&seed);
    const Bytes good = fileOf(whole);
    const std::size_t first = readSections(good)->first;
    const auto withRefinement = [&](auto build) {
      flatbuffers::FlatBufferBuilder builder;
      builder.Finish(build(builder), kRefinementIdentifier);
      const auto span = builder.GetBufferSpan();
      // Taken apart again: joinSections() takes the first buffer as its writer leaves it.
      Bytes file(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(first));
      const auto bytes = std::as_bytes(span);
      file.insert(file.end(), bytes.begin(), bytes.end());
      file.resize((file.size() + 7) / 8 * 8);
      for (int i = 0; i < 4; ++i)
        file[static_cast<std::size_t>(12 + i)] = static_cast<std::byte>(file.size() >> 8 * i);
      return readModel(file, 2);
    };
    const auto layer = [](flatbuffers::FlatBufferBuilder& builder, int node) {
      return fb::CreateLayerRefinement(builder, node);
    };
    const auto of = [&](std::vector<int> nodes) {
      return withRefinement([&](flatbuffers::FlatBufferBuilder& builder) {
        std::vector<flatbuffers::Offset<fb::LayerRefinement>> layers;
        for (const int node : nodes) layers.push_back(layer(builder, node));
        return fb::CreateRefinement(builder, builder.CreateVector(layers));
      });
    };
    int conv = 0;
    while (!std::holds_alternative<QConvOp>(whole.nodes[static_cast<std::size_t>(conv)].op)) ++conv;
    CHECK(of({}).ok());      // refines nothing
    CHECK(of({conv}).ok());  // nor does this
    for (const std::vector<int>& nodes : {std::vector{conv, conv}, {-1}, {0}, {1 << 20}}) {
      const auto result = of(nodes);
      REQUIRE(!result.ok());
      CHECK(result.error().code == ErrorCode::kBadModel);
    }
    CHECK(!withRefinement([&](flatbuffers::FlatBufferBuilder& builder) {
             const auto bias = builder.CreateVector(std::vector<std::int32_t>{1, 2, 3});
             const auto one = fb::CreateLayerRefinement(builder, conv, 0, bias);
             return fb::CreateRefinement(builder, builder.CreateVector(std::vector{one}),
                                         builder.CreateVector(std::vector<float>(99999)));
           }).ok());
  }

}  // TEST_SUITE

}  // namespace
