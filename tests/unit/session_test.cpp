#include "runtime/session.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <set>

#include "format/format.h"
#include "format/packed_model.h"
#include "helpers/allocations.h"
#include "helpers/random_model.h"
#include "helpers/reference_interpreter.h"
#include "runtime/thread_pool.h"

namespace {

using namespace trefoil;
using testing::Integers;
using testing::Random;

std::unique_ptr<Session> sessionOf(QuantModel model, const SessionOptions& options = {}) {
  auto session = Session::create(std::move(model), options);
  REQUIRE_MESSAGE(session.ok(), (session.ok() ? "" : session.error().message));
  return std::move(*session);
}

Integers resultOf(Session& session, std::span<const std::uint8_t> image) {
  const auto result = session.run(image);
  REQUIRE(result.ok());
  return {result->begin(), result->end()};
}

// A 2x2 image with two filters, an average of each, and two classes: small enough to follow by hand.
QuantModel smallModel() {
  QuantModel model;
  model.nodes.push_back({"image", QInputOp{}, {}, {1, 2, 2}, {}});
  QConvOp conv;
  conv.ternary.group_size = 1;
  conv.ternary.planes.push_back({{1, -1}, {2, 3}, {}});
  conv.bias = {10, 400};
  conv.filter_scales = {1, 1};
  conv.pad_values = {0};
  conv.output.factors = {{1 << 30, 31}, {1 << 30, 32}};  // a half, a quarter
  model.nodes.push_back({"conv", conv, {0}, {2, 2, 2}, {8, 1, 1}});
  QPoolOp pool;
  pool.average = true;
  pool.window.kernel_h = pool.window.kernel_w = 2;
  pool.output.factors = {{1 << 30, 32}};
  model.nodes.push_back({"pool", pool, {1}, {2, 1, 1}, {}});
  QConvOp classes;
  classes.int8 = {1, 2, -3, 100};
  classes.bias = {5, -6};
  classes.filter_scales = {1, 1};
  classes.pad_values = {0, 0};
  model.nodes.push_back({"classes", classes, {2}, {2, 1, 1}, {}});
  model.logit_scales = {0.5F, 0.25F};
  model.logit_offsets = {0, 1};
  model.metadata.name = "small";
  model.metadata.labels = {"cat", "dog"};
  model.metadata.resize = 3;
  model.metadata.mean[1] = 0.5F;
  return model;
}

TEST_SUITE("session") {
  TEST_CASE("a small network, step by step") {
    const auto session = sessionOf(smallModel());
    CHECK(session->inputShape() == Shape{1, 2, 2});
    CHECK(session->classCount() == 2);
    CHECK(session->metadata().labels[1] == "dog");
    CHECK(session->preprocess().resize == 3);
    CHECK(session->preprocess().crop_width == 2);
    CHECK(session->preprocess().mean[1] == 0.5F);
    // First filter: (2 p + 10) / 2 + 1 = p + 6. Second: (-3 p + 400) / 4 + 1, halves up.
    // p = 0, 20, 40, 255: 6, 26, 46, 255 (clamped), and 101, 86, 71, 0 (clamped).
    // Averages of q - 1: (5 + 25 + 45 + 254) / 4 = 82.25 and (100 + 85 + 70 - 1) / 4 = 63.5, halves up.
    const Integers logits = resultOf(*session, std::vector<std::uint8_t>{0, 20, 40, 255});
    CHECK(logits == Integers{5 + 82 + 2 * 64, -6 - 3 * 82 + 100 * 64});

    const auto real = session->logits(std::vector<std::int32_t>{4, -4});
    CHECK(real == std::vector<float>{2, 0});
    const auto best = session->topK(std::vector<std::int32_t>{4, -4}, 1);
    REQUIRE(best.size() == 1);
    CHECK(best[0].index == 0);
    CHECK(best[0].score == doctest::Approx(1 / (1 + std::exp(-2.0))));

    REQUIRE(session->layers().size() == 3);
    CHECK(session->layers()[0].name == "conv");
    CHECK(session->layers()[0].operation == "ternary_conv");
    CHECK(session->layers()[0].macs == 8);
    CHECK(session->layers()[0].weight_bytes > 0);
    CHECK(session->layers()[1].operation == "average_pool");
    CHECK(session->layers()[1].macs == 0);
    CHECK(session->layers()[2].operation == "int8_conv");
    CHECK(session->memoryBytes() > session->layers()[0].weight_bytes);
  }

  TEST_CASE("pictures are prepared as the file says") {
    CHECK_FALSE(sessionOf(smallModel())->preprocess().letterbox);
    CHECK_FALSE(sessionOf(smallModel())->preprocess().bgr);
    QuantModel model = smallModel();
    model.metadata.resize = 0;
    model.metadata.letterbox = {7, 8, 9};
    model.metadata.bgr = true;
    const Preprocess preprocess = sessionOf(std::move(model))->preprocess();
    CHECK(preprocess.letterbox);
    for (int c = 0; c < 3; ++c) CHECK(preprocess.bars[c] == 7 + c);
    CHECK(preprocess.bgr);
  }

  TEST_CASE("tells of every layer's result as real numbers") {
    QuantModel model = smallModel();
    model.nodes[1].grid.scale = 0.5F;
    const auto session = sessionOf(model);
    std::vector<std::vector<float>> values;
    const auto told = [&](std::size_t layer, auto result) {
      CHECK(layer == values.size());
      values.emplace_back(result.begin(), result.end());
    };
    REQUIRE(session->begin(std::vector<std::uint8_t>{0, 20, 40, 255}).ok());
    // A layer a portion.
    CHECK_FALSE(*session->advance([] { return 0.0; }, 0, told));
    CHECK(values.size() == 1);
    CHECK_FALSE(*session->advance([] { return 0.0; }, 0, told));
    CHECK(*session->advance([] { return 0.0; }, 0, told));
    // The numbers of the first test, with the zero point 1 off and half as large; then the logits.
    REQUIRE(values.size() == 3);
    CHECK(values[0] == std::vector<float>{2.5F, 12.5F, 22.5F, 127, 50, 42.5F, 35, -0.5F});
    CHECK(values[1] == std::vector<float>{82, 64});
    CHECK(values[2] == session->logits(session->integers()));

    model.output_accumulators = false;
    model.nodes[3].grid = {8, 3, 2};
    std::get<QConvOp>(model.nodes[3].op).output.factors.assign(2, {1 << 30, 36});
    const auto levels = sessionOf(model);
    std::vector<float> last;
    REQUIRE(levels->begin(std::vector<std::uint8_t>(4)).ok());
    REQUIRE(*levels->advance([] { return 0.0; }, 1,
                             [&](std::size_t, auto result) { last.assign(result.begin(), result.end()); }));
    const Integers results = resultOf(*levels, std::vector<std::uint8_t>(4));
    CHECK(last ==
          std::vector<float>{2.0F * static_cast<float>(results[0]), 2.0F * static_cast<float>(results[1])});
  }

  TEST_CASE("images of another size are refused") {
    const auto session = sessionOf(smallModel());
    for (const std::size_t size : {0U, 3U, 5U, 400U}) {
      const auto result = session->run(std::vector<std::uint8_t>(size));
      REQUIRE(!result.ok());
      CHECK(result.error().code == ErrorCode::kBadImage);
    }
  }

  TEST_CASE("best classes come first, and equal ones in order") {
    QuantModel model = smallModel();
    auto& classes = std::get<QConvOp>(model.nodes[3].op);
    classes.int8.assign(10, 1);
    classes.bias.assign(5, 0);
    classes.filter_scales.assign(5, 1);
    model.nodes[3].shape.channels = 5;
    model.logit_scales.assign(5, 1);
    model.logit_offsets.assign(5, 0);
    model.metadata.labels.clear();
    const auto session = sessionOf(model);
    const std::vector<std::int32_t> integers{3, 7, 3, 7, -1};
    const auto order = [&](int k) {
      std::vector<int> indices;
      for (const Prediction& p : session->topK(integers, k)) indices.push_back(p.index);
      return indices;
    };
    CHECK(order(3) == std::vector<int>{1, 3, 0});
    CHECK(order(0) == std::vector<int>{1, 3, 0, 2, 4});
    CHECK(order(-1).size() == 5);
    CHECK(order(99).size() == 5);
    double sum = 0;
    for (const Prediction& p : session->topK(integers, 0)) sum += p.score;
    CHECK(sum == doctest::Approx(1));
  }

  TEST_CASE("softmax and logits of extreme numbers stay numbers") {
    CHECK(Session::softmax({}).empty());
    const float largest = std::numeric_limits<float>::max();
    const auto scores = Session::softmax(std::vector<float>{largest, -largest, largest});
    CHECK(scores == std::vector<float>{0.5F, 0, 0.5F});
    QuantModel model = smallModel();
    model.logit_scales = {largest, -largest};
    const auto session = sessionOf(model);
    const auto best = session->topK(std::vector<std::int32_t>{2147483647, 2147483647}, 2);
    CHECK(best[0].index == 0);
    CHECK(best[0].score == 1);
    CHECK(best[1].score == 0);
  }

  TEST_CASE("random networks give the reference's integers with every variant of every kernel") {
    const auto names = variantNames();
    std::set<std::string> exercised;
    for (std::uint32_t seed = 1; seed <= 250; ++seed) {
      CAPTURE(seed);
      const QuantModel model = testing::randomModel(seed);
      const auto valid = validateModel(model);
      REQUIRE_MESSAGE(valid.ok(), (valid.ok() ? "" : valid.error().message));
      Random random(seed);
      const auto size = static_cast<std::size_t>(model.nodes[0].shape.size());
      const std::vector<std::vector<std::uint8_t>> images{random.bytes(size),
                                                          std::vector<std::uint8_t>(size, 255)};
      std::vector<Integers> expected;
      for (const auto& image : images) expected.push_back(testing::referenceLogits(model, image));

      std::set<std::string> operations;
      for (const QNode& node : model.nodes) operations.emplace(opName(node.op));
      std::vector<SessionOptions> all{{}, {{{"*", "scalar"}}}};
      for (const std::string& operation : operations) {
        const auto table = names.find(operation);
        if (table == names.end()) continue;
        for (const std::string& name : table->second) all.push_back({{{operation, name}}});
      }
      for (const SessionOptions& options : all) {
        const std::string operation = options.variants.empty() ? "" : options.variants.begin()->first;
        const std::string variant = options.variants.empty() ? "" : options.variants.begin()->second;
        CAPTURE(operation);
        CAPTURE(variant);
        auto session = Session::create(model, options);
        if (!session.ok()) {  // the variant does not support a layer; scalar always does
          REQUIRE(session.error().code == ErrorCode::kUnknownVariant);
          REQUIRE(variant != "scalar");
          continue;
        }
        for (const LayerInfo& layer : (*session)->layers()) {
          if (layer.operation == operation) CHECK(layer.variant == variant);
          if (!layer.variant.empty()) exercised.insert(layer.operation + "/" + layer.variant);
        }
        for (std::size_t i = 0; i < images.size(); ++i)
          REQUIRE(resultOf(**session, images[i]) == expected[i]);
        REQUIRE(resultOf(**session, images[0]) == expected[0]);  // nothing of the last image is left
      }
    }
    for (const auto& [operation, table] : names) {
      for (const std::string& name : table) {
        const bool was_run = exercised.count(operation + "/" + name) == 1;
        CHECK_MESSAGE(was_run, operation, "/", name, " was never run");
      }
    }
  }

  TEST_CASE("every number of threads gives the same integers") {
    for (std::uint32_t seed = 1; seed <= 30; ++seed) {
      CAPTURE(seed);
      const QuantModel model = testing::randomModel(seed, 60);  // large enough to be divided
      const auto image = Random(seed).bytes(static_cast<std::size_t>(model.nodes[0].shape.size()));
      const Integers expected = resultOf(*sessionOf(model), image);
      if (seed <= 3) REQUIRE(expected == testing::referenceLogits(model, image));
      for (const int threads : {2, 3, 8}) {
        CAPTURE(threads);
        SessionOptions options;
        options.threads = threads;
        if (seed % 3 == 0) options.pool = std::make_shared<ThreadPool>(threads, false);
        const auto session = sessionOf(model, options);
        CHECK(session->threads() == threads);
        for (int round = 0; round < 3; ++round) REQUIRE(resultOf(*session, image) == expected);
      }
    }
  }

  TEST_CASE("a run in portions gives the same integers, and one that is given up disturbs none after it") {
    for (std::uint32_t seed = 1; seed <= 20; ++seed) {
      CAPTURE(seed);
      QuantModel model = testing::randomModel(seed);
      const auto bytes = static_cast<std::size_t>(model.nodes[0].shape.size());
      const auto image = Random(seed).bytes(bytes);
      const auto other = Random(seed + 100).bytes(bytes);
      const auto session = sessionOf(model);
      const Integers expected = resultOf(*session, image);
      const Integers otherwise = resultOf(*session, other);
      const std::size_t layers = session->layers().size();
      for (std::size_t stop = 1; stop <= layers; ++stop) {
        REQUIRE(session->begin(other).ok());
        for (std::size_t i = 0; i < stop; ++i) {
          const auto complete = session->advance([] { return 1.0; }, 1);
          REQUIRE(complete.ok());
          CHECK(*complete == (i + 1 == layers));
        }
        if (stop == layers) {
          const auto found = session->integers();
          CHECK(Integers(found.begin(), found.end()) == otherwise);
        }
        REQUIRE(session->begin(image).ok());
        const auto complete = session->advance([] { return 0.0; }, 1);
        REQUIRE(complete.ok());
        CHECK(*complete);
        const auto found = session->integers();
        CHECK(Integers(found.begin(), found.end()) == expected);
      }
      CHECK(session->begin({}).error().code == ErrorCode::kBadImage);
    }
  }

  TEST_CASE("a session is built a layer at a time") {
    const auto whole = Session::create(smallModel());
    REQUIRE(whole.ok());
    auto builder = SessionBuilder::begin(PackedModel{smallModel(), {}, nullptr}, {});
    REQUIRE(builder.ok());
    std::size_t portions = 1;
    auto built = (*builder)->advance([] { return 1.0; }, 1);
    for (; built.ok() && !*built; ++portions) built = (*builder)->advance([] { return 1.0; }, 1);
    REQUIRE(built.ok());
    CHECK(portions == (*whole)->layers().size());
    Random random(77);
    std::vector<std::uint8_t> image(static_cast<std::size_t>((*whole)->inputShape().size()));
    for (std::uint8_t& byte : image) byte = static_cast<std::uint8_t>(random.between(0, 255));
    const auto expected = (*whole)->run(image), found = (*built)->run(image);
    REQUIRE(expected.ok());
    REQUIRE(found.ok());
    CHECK(std::equal(expected->begin(), expected->end(), found->begin(), found->end()));
  }

  TEST_CASE("a number of threads out of range is refused") {
    for (const int threads : {-1, 0, 17, 1000}) {
      SessionOptions options;
      options.threads = threads;
      const auto session = Session::create(smallModel(), options);
      REQUIRE(!session.ok());
      CHECK(session.error().code == ErrorCode::kBadOption);
    }
  }

  // Sums of a whole group far beyond 16 bits, which a kernel that adds 16-bit lanes must take in pieces.
  TEST_CASE("large groups of large inputs do not overflow") {
    QuantModel model;
    model.nodes.push_back({"image", QInputOp{}, {}, {3, 4, 4}, {}});
    const auto push = [&](int filters, Shape shape, bool ternary) {
      const int channels = model.nodes.back().shape.channels;
      const auto weights = static_cast<std::size_t>(filters * channels);
      QConvOp conv;
      if (ternary) {
        conv.ternary.group_size = kWholeFilter;
        conv.ternary.planes.push_back({TernaryCodes(weights, 1), {}, {}});
        conv.ternary.planes[0].scales.assign(static_cast<std::size_t>(filters), 200);
      } else {
        conv.int8.assign(weights, 127);
      }
      conv.bias.assign(static_cast<std::size_t>(filters), 1000);
      conv.filter_scales.assign(static_cast<std::size_t>(filters), 1);
      conv.pad_values.assign(static_cast<std::size_t>(channels), 0);
      conv.output.factors.assign(static_cast<std::size_t>(filters), {1 << 30, 34});
      shape.channels = filters;
      const int from = static_cast<int>(model.nodes.size()) - 1;
      model.nodes.push_back({"conv", conv, {from}, shape, {}});
    };
    push(300, {0, 4, 4}, false);
    push(60, {0, 4, 4}, true);
    model.nodes.push_back({"flat", QReshapeOp{}, {2}, {960, 1, 1}, {}});
    push(20, {0, 1, 1}, true);
    model.logit_scales.assign(20, 1);
    model.logit_offsets.assign(20, 0);
    const std::vector<std::uint8_t> image(48, 255);
    const Integers expected = testing::referenceLogits(model, image);
    CHECK(expected[0] == 1000 + 200 * 255 * 960);
    const auto names = variantNames();
    for (const std::string& name : names.at("ternary_conv")) {
      CAPTURE(name);
      const auto session = Session::create(model, {{{"ternary_conv", name}}});
      if (session.ok()) CHECK(resultOf(**session, image) == expected);
    }
    CHECK(resultOf(*sessionOf(model), image) == expected);
  }

  TEST_CASE("running allocates nothing") {
    for (const std::uint32_t seed : {3U, 14U, 15U, 92U}) {
      const QuantModel model = testing::randomModel(seed);
      const std::vector<std::uint8_t> image(static_cast<std::size_t>(model.nodes[0].shape.size()), 100);
      SessionOptions options;
      options.threads = seed == 3 ? 2 : 1;
      const auto session = sessionOf(model, options);
      const std::size_t before = testing::allocationCount();
      const auto result = session->run(image);
      const std::size_t after = testing::allocationCount();
      REQUIRE(result.ok());
      CHECK(after == before);
    }
  }

  TEST_CASE("a model whose codes are still packed runs like one that was read whole") {
    Random random(5);
    for (std::uint32_t seed = 1; seed <= 60; ++seed) {
      CAPTURE(seed);
      const QuantModel model = testing::randomModel(seed);
      auto bytes = writeModel(model);
      REQUIRE(bytes.ok());
      // Once from memory that is not aligned, of which the model keeps a copy.
      for (const std::size_t offset : {0, 1}) {
        std::vector<std::byte> shifted(bytes->size() + 8);
        std::copy(bytes->begin(), bytes->end(), shifted.begin() + static_cast<std::ptrdiff_t>(offset));
        auto packed = readPackedModel(std::span(shifted).subspan(offset, bytes->size()));
        REQUIRE(packed.ok());
        const auto session = Session::create(std::move(*packed));
        REQUIRE(session.ok());
        std::fill(shifted.begin(), shifted.end(), std::byte{0xff});  // no longer needed
        const auto image = random.bytes(static_cast<std::size_t>(model.nodes[0].shape.size()));
        CHECK(resultOf(**session, image) == testing::referenceLogits(model, image));
      }
    }
  }

  TEST_CASE("changed files that are still models run") {
    Random random(77);
    int ran = 0;
    for (const std::uint32_t seed : {2U, 7U, 18U, 28U}) {
      const auto bytes = writeModel(testing::randomModel(seed));
      REQUIRE(bytes.ok());
      for (int round = 0; round < 300; ++round) {
        auto changed = *bytes;
        changed[static_cast<std::size_t>(random.integer(0, static_cast<int>(changed.size()) - 1))] ^=
            static_cast<std::byte>(1 << random.integer(0, 7));
        auto model = readModel(changed);
        if (!model.ok() || model->nodes[0].shape.size() > 10000) continue;
        const auto image = random.bytes(static_cast<std::size_t>(model->nodes[0].shape.size()));
        const Integers expected = testing::referenceLogits(*model, image);
        const auto session = sessionOf(std::move(*model));
        REQUIRE(resultOf(*session, image) == expected);
        ++ran;
      }
    }
    CHECK(ran > 0);
  }

  TEST_CASE("kernels can be forced by names that exist, and by no others") {
    const auto errorOf = [](const std::string& operation, const std::string& name) {
      const auto session = Session::create(smallModel(), {{{operation, name}}});
      REQUIRE(!session.ok());
      CHECK(session.error().code == ErrorCode::kUnknownVariant);
      return session.error().message;
    };
    CHECK(errorOf("ternary_conv", "fastest").find("scalar") != std::string::npos);  // lists what there is
    CHECK(errorOf("*", "fastest").find("scalar") != std::string::npos);
    CHECK(errorOf("convolution", "scalar").find("ternary_conv") != std::string::npos);
    CHECK(errorOf("concat", "scalar").find("average_pool") != std::string::npos);
    CHECK(errorOf("add", "").find("simd128") !=
          std::string::npos);  // not in this network, and wrong all the same
    CHECK(errorOf("", "scalar").size() > 0);

    const auto session = sessionOf(smallModel(), {{{"*", "scalar"}, {"average_pool", "simd128"}}});
    CHECK(session->layers()[0].variant == "scalar");
    CHECK(session->layers()[1].variant == "simd128");
    CHECK(session->layers()[2].variant == "scalar");
  }

  TEST_CASE("every operation lists scalar last") {
    const auto names = variantNames();
    CHECK(names.size() == 9);
    for (const auto& [operation, table] : names) {
      CAPTURE(operation);
      REQUIRE(!table.empty());
      CHECK(table.back() == "scalar");
      CHECK(std::set<std::string>(table.begin(), table.end()).size() == table.size());
    }
  }

  TEST_CASE("parts of a concatenation and reshapes need no memory of their own") {
    // Eight 1x1 convolutions of one image side by side: with copies, the parts and the whole would be needed
    // at once.
    QuantModel model;
    model.nodes.push_back({"image", QInputOp{}, {}, {1, 32, 32}, {}});
    QNode whole{"whole", QConcatOp{}, {}, {128, 32, 32}, {}};
    for (int i = 0; i < 8; ++i) {
      QConvOp conv;
      conv.int8.assign(16, static_cast<std::int8_t>(i + 1));
      conv.bias.assign(16, 0);
      conv.filter_scales.assign(16, 1);
      conv.pad_values = {0};
      conv.output.factors.assign(16, {1 << 30, 34});
      model.nodes.push_back({"part", conv, {0}, {16, 32, 32}, {}});
      whole.inputs.push_back(i + 1);
    }
    model.nodes.push_back(whole);
    model.nodes.push_back({"flat", QReshapeOp{}, {9}, {1, 128, 1024}, {}});
    model.output_accumulators = false;
    model.logit_scales.assign(131072, 1);
    model.logit_offsets.assign(131072, 0);
    const auto session = sessionOf(model, {{{"*", "scalar"}}});
    std::size_t weights = 0;
    for (const LayerInfo& layer : session->layers()) weights += layer.weight_bytes;
    const std::size_t results = 131072 * 5;  // int32, and bytes without gaps
    CHECK(session->memoryBytes() - weights - results < 131072 + 1024 + 1024);
    Random random(5);
    const auto image = random.bytes(1024);
    CHECK(resultOf(*session, image) == testing::referenceLogits(model, image));
  }

}  // TEST_SUITE

}  // namespace
