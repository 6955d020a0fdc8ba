// validateModel(): one change at a time to a valid model, and what it must say.
#include <doctest/doctest.h>

#include <functional>
#include <limits>
#include <string>

#include "format/quant_model.h"
#include "helpers/random.h"

namespace {

using namespace trefoil;
using testing::Random;

enum : std::size_t {
  kImage,
  kTernary,
  kInt8,
  kAdd,
  kMax,
  kAverage,
  kMul,
  kRescale,
  kLookup,
  kLrn,
  kPad,
  kSlice,
  kConcat,
  kReshape,
  kLast
};

QConvOp convOf(int filters, int channels, int kernel, bool ternary) {
  QConvOp conv;
  conv.window.kernel_h = conv.window.kernel_w = kernel;
  conv.window.pad_top = conv.window.pad_left = conv.window.pad_bottom = conv.window.pad_right = kernel / 2;
  const int weight_count = filters * channels * kernel * kernel;
  const auto weights = static_cast<std::size_t>(weight_count);
  if (ternary) {
    conv.ternary.group_size = 2;
    TernaryPlane plane;
    plane.codes.assign(weights, 1);
    const int scale_count = filters * scalesPerFilter(channels, kernel * kernel, 2);
    plane.scales.assign(static_cast<std::size_t>(scale_count), 3);
    conv.ternary.planes = {plane};
  } else {
    conv.int8.assign(weights, -2);
  }
  conv.bias.assign(static_cast<std::size_t>(filters), 7);
  conv.filter_scales.assign(static_cast<std::size_t>(filters), 0.5F);
  conv.pad_values.assign(static_cast<std::size_t>(channels), 0);
  conv.output.factors.assign(static_cast<std::size_t>(filters), {1 << 30, 36});
  return conv;
}

QPoolOp poolOf(bool average, int kernel, int stride) {
  QPoolOp pool;
  pool.average = average;
  pool.window.kernel_h = pool.window.kernel_w = kernel;
  pool.window.stride_h = pool.window.stride_w = stride;
  pool.output.factors = {{1 << 30, 33}};
  return pool;
}

// Every operation once; all values are 8 bits from 0.
QuantModel allOperations() {
  const Shape map{4, 6, 6};
  const OutputStage stage{{{1 << 30, 31}}, 0, 255};
  QuantModel model;
  const auto push = [&](QOp op, std::vector<int> inputs, Shape shape) {
    model.nodes.push_back(
        {"n" + std::to_string(model.nodes.size()), std::move(op), std::move(inputs), shape, {}});
  };
  push(QInputOp{}, {}, {3, 6, 6});
  push(convOf(4, 3, 3, true), {0}, map);
  push(convOf(4, 4, 1, false), {1}, map);
  push(QAddOp{{1 << 20, -(1 << 20)}, 20, 0, 255}, {1, 2}, map);
  push(poolOf(false, 2, 2), {3}, {4, 3, 3});
  push(poolOf(true, 3, 1), {4}, {4, 1, 1});
  push(QMulOp{stage}, {4, 5}, {4, 3, 3});
  push(QRescaleOp{stage}, {6}, {4, 3, 3});
  push(QLookupOp{std::vector<std::uint8_t>(1024, 9)}, {7}, {4, 3, 3});
  push(QLrnOp{3, 4, {1 << 20, 1 << 19}, 20}, {8}, {4, 3, 3});
  push(QPadOp{{1, 0, 1}, {0, 1, 0}, 5}, {9}, {5, 4, 4});
  push(QSliceOp{{1, 0, 0}, {2, 1, 1}}, {10}, {2, 4, 4});
  push(QConcatOp{}, {10, 11}, {7, 4, 4});
  push(QReshapeOp{}, {12}, {112, 1, 1});
  push(convOf(10, 112, 1, true), {13}, {10, 1, 1});
  model.logit_scales.assign(10, 0.25F);
  model.logit_offsets.assign(10, 0);
  return model;
}

template <typename Op>
Op& op(QuantModel& model, std::size_t node) {
  return std::get<Op>(model.nodes[node].op);
}

struct Change {
  const char* what;
  std::function<void(QuantModel&)> apply;
  ErrorCode code = ErrorCode::kBadModel;
};

TEST_SUITE("validate") {
  TEST_CASE("a model with every operation is valid") {
    const auto result = validateModel(allOperations());
    CHECK_MESSAGE(result.ok(), (result.ok() ? "" : result.error().message));
  }

  TEST_CASE("the largest sum is counted weight by weight") {
    Random random(31);
    for (int round = 0; round < 200; ++round) {
      QuantModel model = allOperations();
      QConvOp& conv = op<QConvOp>(model, kLast);
      const int channels = 112, group_size = random.chance(20) ? kWholeFilter : random.integer(1, 130);
      const int scales = scalesPerFilter(channels, 1, group_size);
      conv.ternary = {group_size, std::vector<TernaryPlane>(static_cast<std::size_t>(random.integer(1, 2)))};
      const int filter = random.integer(0, 9);
      std::int64_t sum = 0;
      for (TernaryPlane& plane : conv.ternary.planes) {
        plane.codes.assign(std::size_t{10} * channels, 0);
        for (auto& code : plane.codes) code = static_cast<std::int8_t>(random.integer(-1, 1));
        plane.scales = random.bytes(static_cast<std::size_t>(10 * scales));
        if (random.chance(50)) plane.negative_scales = random.bytes(plane.scales.size());
        for (int c = 0; c < channels; ++c) {
          const int code = plane.codes[static_cast<std::size_t>(filter * channels + c)];
          const auto scale =
              static_cast<std::size_t>(filter * scales + scaleIndex(c, 0, channels, group_size));
          const bool negative = code < 0 && !plane.negative_scales.empty();
          if (code != 0) sum += (negative ? plane.negative_scales : plane.scales)[scale] * 255;
        }
      }
      conv.bias[static_cast<std::size_t>(filter)] =
          static_cast<std::int32_t>(std::numeric_limits<std::int32_t>::max() - sum);
      CHECK(validateModel(model).ok());
      ++conv.bias[static_cast<std::size_t>(filter)];
      const auto result = validateModel(model);
      REQUIRE(!result.ok());
      CHECK(result.error().code == ErrorCode::kOverflow);
    }
  }

  TEST_CASE("one wrong thing is enough") {
    constexpr int kHuge = std::numeric_limits<int>::max();
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const std::vector<Change> changes = {
      {"no nodes", [](auto& m) { m.nodes.clear(); }},
      {"too many nodes", [](auto& m) { m.nodes.resize(1 << 15, m.nodes[kRescale]); }},
      {"no input", [](auto& m) { m.nodes[0] = m.nodes[1]; }},
      {"second input", [](auto& m) { m.nodes[1].op = QInputOp{}; }},
      {"input of two channels", [](auto& m) { m.nodes[0].shape.channels = 2; }},
      {"input with a zero point", [](auto& m) { m.nodes[0].grid.zero_point = 1; }},
      {"input of 7 bits", [](auto& m) { m.nodes[0].grid.bits = 7; }},
      {"reads itself", [](auto& m) { m.nodes[kLast].inputs = {static_cast<int>(kLast)}; }},
      {"reads a negative node", [](auto& m) { m.nodes[kLast].inputs = {-1}; }},
      {"reads a late node", [](auto& m) { m.nodes[kTernary].inputs = {kHuge}; }},
      {"no inputs", [](auto& m) { m.nodes[kTernary].inputs = {}; }},
      {"add of one", [](auto& m) { m.nodes[kAdd].inputs = {1}; }},
      {"pool of two", [](auto& m) { m.nodes[kMax].inputs = {3, 3}; }},
      {"empty concat", [](auto& m) { m.nodes[kConcat].inputs = {}; }},
      {"zero rows", [](auto& m) { m.nodes[kTernary].shape.height = 0; }},
      {"negative channels", [](auto& m) { m.nodes[kTernary].shape.channels = -4; }},
      {"huge columns", [](auto& m) { m.nodes[kTernary].shape.width = kHuge; }},
      {"too many elements", [](auto& m) { m.nodes[0].shape = {3, 1 << 20, 1 << 20}; }},
      {"3 bits", [](auto& m) { m.nodes[kTernary].grid.bits = 3; }},
      {"9 bits", [](auto& m) { m.nodes[kTernary].grid.bits = 9; }},
      {"huge bits", [](auto& m) { m.nodes[kTernary].grid.bits = kHuge; }},
      {"negative zero point", [](auto& m) { m.nodes[kTernary].grid.zero_point = -1; }},
      {"large zero point", [](auto& m) { m.nodes[kTernary].grid.zero_point = 256; }},
      {"grid of nan", [=](auto& m) { m.nodes[kTernary].grid.scale = nan; }},
      // Convolutions
      {"no weights", [](auto& m) { op<QConvOp>(m, kInt8).int8.clear(); }},
      {"both kinds of weights", [](auto& m) { op<QConvOp>(m, kTernary).int8.assign(108, 1); }},
      {"short codes", [](auto& m) { op<QConvOp>(m, kTernary).ternary.planes[0].codes.pop_back(); }},
      {"code 2", [](auto& m) { op<QConvOp>(m, kTernary).ternary.planes[0].codes.back() = 2; }},
      {"code -2", [](auto& m) { op<QConvOp>(m, kTernary).ternary.planes[0].codes.back() = -2; }},
      {"short scales", [](auto& m) { op<QConvOp>(m, kTernary).ternary.planes[0].scales.pop_back(); }},
      {"few negative scales", [](auto& m) { op<QConvOp>(m, kTernary).ternary.planes[0].negative_scales = {1}; }},
      {"three planes",
       [](auto& m) {
         auto& planes = op<QConvOp>(m, kTernary).ternary.planes;
         planes.resize(3, planes[0]);
       }},
      {"negative group", [](auto& m) { op<QConvOp>(m, kTernary).ternary.group_size = -1; }},
      {"huge group", [](auto& m) { op<QConvOp>(m, kTernary).ternary.group_size = kHuge; }},
      {"other group", [](auto& m) { op<QConvOp>(m, kTernary).ternary.group_size = 3; }},
      {"short int8", [](auto& m) { op<QConvOp>(m, kInt8).int8.pop_back(); }},
      {"short bias", [](auto& m) { op<QConvOp>(m, kInt8).bias.pop_back(); }},
      {"short pad values", [](auto& m) { op<QConvOp>(m, kInt8).pad_values.pop_back(); }},
      {"pad value off the grid",
       [](auto& m) {
         m.nodes[kTernary].grid.bits = 4;
         op<QConvOp>(m, kTernary).output.high = 15;
         op<QConvOp>(m, kInt8).pad_values[2] = 16;
       }},
      {"short filter scales", [](auto& m) { op<QConvOp>(m, kInt8).filter_scales.pop_back(); }},
      {"filter scale of nan", [=](auto& m) { op<QConvOp>(m, kInt8).filter_scales[0] = nan; }},
      {"zero groups", [](auto& m) { op<QConvOp>(m, kInt8).groups = 0; }},
      {"groups that do not divide", [](auto& m) { op<QConvOp>(m, kInt8).groups = 3; }},
      {"negative groups", [](auto& m) { op<QConvOp>(m, kInt8).groups = -1; }},
      {"kernel 0", [](auto& m) { op<QConvOp>(m, kInt8).window.kernel_h = 0; }},
      {"huge kernel", [](auto& m) { op<QConvOp>(m, kInt8).window.kernel_w = kHuge; }},
      {"huge kernel within the limits",
       [](auto& m) {
         Window& w = op<QConvOp>(m, kInt8).window;
         w.kernel_h = 1 << 20;
         w.pad_top = (1 << 20) - 1;
       }},
      {"stride 0", [](auto& m) { op<QConvOp>(m, kInt8).window.stride_h = 0; }},
      {"dilation 0", [](auto& m) { op<QConvOp>(m, kInt8).window.dilation_w = 0; }},
      {"huge dilation", [](auto& m) { op<QConvOp>(m, kTernary).window.dilation_w = 1 << 20; }},
      {"negative pad", [](auto& m) { op<QConvOp>(m, kInt8).window.pad_left = -1; }},
      {"huge pad", [](auto& m) { op<QConvOp>(m, kInt8).window.pad_left = kHuge; }},
      {"a pad that moves the size", [](auto& m) { op<QConvOp>(m, kInt8).window.pad_bottom = 1; }},
      {"few factors", [](auto& m) { op<QConvOp>(m, kInt8).output.factors.pop_back(); }},
      {"shift 30", [](auto& m) { op<QConvOp>(m, kInt8).output.factors[0].shift = 30; }},
      {"shift 63", [](auto& m) { op<QConvOp>(m, kInt8).output.factors[0].shift = 63; }},
      {"negative multiplier", [](auto& m) { op<QConvOp>(m, kInt8).output.factors[0].multiplier = -1; }},
      {"low above high", [](auto& m) { op<QConvOp>(m, kInt8).output.low = 256; }},
      {"high above the grid", [](auto& m) { op<QConvOp>(m, kInt8).output.high = 256; }},
      {"negative low", [](auto& m) { op<QConvOp>(m, kInt8).output.low = -1; }},
      {"high above a small grid", [](auto& m) { m.nodes[kInt8].grid.bits = 7; }},
      {"odd factor of the last", [](auto& m) { op<QConvOp>(m, kLast).output.factors[0].shift = 0; }},
      // 112 codes of scale 3 reach 112 * 3 * 255 = 85680.
      {"bias at the edge", [](auto& m) { op<QConvOp>(m, kLast).bias[4] = kHuge - 85680 + 1; }, ErrorCode::kOverflow},
      {"negative bias at the edge", [](auto& m) { op<QConvOp>(m, kLast).bias[4] = -kHuge + 85680 - 1; },
       ErrorCode::kOverflow},
      {"least bias", [](auto& m) { op<QConvOp>(m, kLast).bias[4] = std::numeric_limits<std::int32_t>::min(); },
       ErrorCode::kOverflow},
      // Others
      {"add of two shapes", [](auto& m) { m.nodes[kAdd].inputs = {0, 1}; }},
      {"large multiplier", [](auto& m) { op<QAddOp>(m, kAdd).multipliers[1] = (1 << 21) + 1; }},
      {"least multiplier", [](auto& m) { op<QAddOp>(m, kAdd).multipliers[0] = std::numeric_limits<std::int32_t>::min(); }},
      {"add shift 31", [](auto& m) { op<QAddOp>(m, kAdd).shift = 31; }},
      {"add shift -1", [](auto& m) { op<QAddOp>(m, kAdd).shift = -1; }},
      {"add range", [](auto& m) { op<QAddOp>(m, kAdd).high = 300; }},
      {"mul of two shapes", [](auto& m) { m.nodes[kMul].inputs = {4, 1}; }},
      {"mul the wrong way around", [](auto& m) { m.nodes[kMul].inputs = {5, 4}; }},
      {"mul without a factor", [](auto& m) { op<QMulOp>(m, kMul).output.factors.clear(); }},
      {"mul with two factors", [](auto& m) { op<QMulOp>(m, kMul).output.factors.resize(2, {1, 40}); }},
      {"rescale to another shape", [](auto& m) { m.nodes[kRescale].inputs = {5}; }},
      {"rescale without a factor", [](auto& m) { op<QRescaleOp>(m, kRescale).output.factors.clear(); }},
      {"concat of two sizes", [](auto& m) { m.nodes[kConcat].inputs = {9, 10}; }},
      {"concat that does not add up", [](auto& m) { m.nodes[kConcat].inputs = {10, 10}; }},
      {"concat of two grids", [](auto& m) { m.nodes[kConcat].grid.zero_point = 1; }},
      {"pool of other channels", [](auto& m) { m.nodes[kMax].shape.channels = 3; }},
      {"pool of another size", [](auto& m) { op<QPoolOp>(m, kMax).window.stride_w = 1; }},
      {"max pool to another grid", [](auto& m) { m.nodes[kMax].grid.zero_point = 1; }},
      {"pool with windows outside",
       [](auto& m) {
         Window& w = op<QPoolOp>(m, kMax).window;
         w.kernel_h = 1, w.stride_h = 4, w.pad_top = 3;
       }},
      {"pool that steps over its input",
       [](auto& m) {
         m.nodes[kAverage].inputs = {5};
         Window& w = op<QPoolOp>(m, kAverage).window;
         w = {2, 1, 1, 1, 2, 1, 1, 0, 1, 0};
       }},
      {"average with two factors", [](auto& m) { op<QPoolOp>(m, kAverage).output.factors.resize(2, {1, 40}); }},
      {"average with ten factors", [](auto& m) { op<QPoolOp>(m, kAverage).output.factors.resize(10, {1, 40}); }},
      {"average without factors", [](auto& m) { op<QPoolOp>(m, kAverage).output.factors.clear(); }},
      {"table of 255", [](auto& m) { op<QLookupOp>(m, kLookup).table.resize(255); }},
      {"no table", [](auto& m) { op<QLookupOp>(m, kLookup).table.clear(); }},
      {"tables of three channels", [](auto& m) { op<QLookupOp>(m, kLookup).table.resize(768); }},
      {"entry off the grid",
       [](auto& m) {
         m.nodes[kLookup].grid.bits = 4;
         op<QLookupOp>(m, kLookup).table.back() = 16;
       }},
      {"lrn over none", [](auto& m) { op<QLrnOp>(m, kLrn).size = 0; }},
      {"lrn over many", [](auto& m) { op<QLrnOp>(m, kLrn).size = 4097; }},
      {"lrn without a table", [](auto& m) { op<QLrnOp>(m, kLrn).table.clear(); }},
      {"lrn with a long table", [](auto& m) { op<QLrnOp>(m, kLrn).table.resize(4097); }},
      {"lrn with a large entry", [](auto& m) { op<QLrnOp>(m, kLrn).table[0] = (1 << 21) + 1; }},
      {"lrn with a negative entry", [](auto& m) { op<QLrnOp>(m, kLrn).table[0] = -1; }},
      {"lrn table shift", [](auto& m) { op<QLrnOp>(m, kLrn).table_shift = 32; }},
      {"lrn negative table shift", [](auto& m) { op<QLrnOp>(m, kLrn).table_shift = -1; }},
      {"lrn shift", [](auto& m) { op<QLrnOp>(m, kLrn).shift = 63; }},
      {"pad to another size", [](auto& m) { op<QPadOp>(m, kPad).before[1] = 1; }},
      {"negative padding",
       [](auto& m) {
         op<QPadOp>(m, kPad).before[1] = -1;
         op<QPadOp>(m, kPad).after[1] = 2;
       }},
      {"huge padding", [](auto& m) { op<QPadOp>(m, kPad).after[2] = kHuge; }},
      {"pad value", [](auto& m) { op<QPadOp>(m, kPad).value = 256; }},
      {"pad to another grid", [](auto& m) { m.nodes[kPad].grid.zero_point = 2; }},
      {"slice beyond", [](auto& m) { op<QSliceOp>(m, kSlice).start[0] = 3; }},
      {"slice before", [](auto& m) { op<QSliceOp>(m, kSlice).start[2] = -1; }},
      {"slice of step 0", [](auto& m) { op<QSliceOp>(m, kSlice).step[2] = 0; }},
      {"slice of huge steps", [](auto& m) { op<QSliceOp>(m, kSlice).step[2] = kHuge; }},
      {"reshape to another count", [](auto& m) { m.nodes[kReshape].shape.channels = 111; }},
      {"reshape to another grid", [](auto& m) { m.nodes[kReshape].grid.bits = 7; }},
      // The whole
      {"accumulators of a reshape",
       [](auto& m) {
         m.nodes.pop_back();
         m.logit_scales.assign(112, 1);
         m.logit_offsets.assign(112, 1);
       }},
      {"few logit scales", [](auto& m) { m.logit_scales.pop_back(); }},
      {"few logit offsets", [](auto& m) { m.logit_offsets.pop_back(); }},
      {"logit scale of nan", [=](auto& m) { m.logit_scales[3] = nan; }},
      {"infinite logit offset", [](auto& m) { m.logit_offsets[3] = std::numeric_limits<float>::infinity(); }},
      {"few labels", [](auto& m) { m.metadata.labels = {"a", "b"}; }},
      {"negative resize", [](auto& m) { m.metadata.resize = -1; }},
      {"huge resize", [](auto& m) { m.metadata.resize = kHuge; }},
      {"bars of one number", [](auto& m) { m.metadata.letterbox = {114}; }},
      {"bars of four numbers", [](auto& m) { m.metadata.letterbox = {1, 2, 3, 4}; }},
      {"a letterbox that is resized", [](auto& m) { m.metadata.letterbox = {1, 2, 3}, m.metadata.resize = 9; }},
      {"mean of nan", [=](auto& m) { m.metadata.mean[1] = nan; }},
      {"deviation of 0", [](auto& m) { m.metadata.std[2] = 0; }},
  };
    for (const Change& change : changes) {
      CAPTURE(change.what);
      QuantModel model = allOperations();
      change.apply(model);
      const auto result = validateModel(model);
      REQUIRE_FALSE(result.ok());
      CHECK(result.error().code == change.code);
      CHECK_FALSE(result.error().message.empty());
    }
  }

  TEST_CASE("what is just within the limits is valid") {
    const auto valid = [](const std::function<void(QuantModel&)>& apply) {
      QuantModel model = allOperations();
      apply(model);
      const auto result = validateModel(model);
      CHECK_MESSAGE(result.ok(), (result.ok() ? "" : result.error().message));
    };
    valid([](auto& m) { op<QConvOp>(m, kLast).bias[4] = std::numeric_limits<int>::max() - 85680; });
    valid([](auto& m) { op<QConvOp>(m, kLast).bias[4] = -std::numeric_limits<int>::max() + 85680; });
    valid([](auto& m) { op<QConvOp>(m, kLast).output.factors.clear(); });  // it yields accumulators
    valid([](auto& m) {
      op<QConvOp>(m, kLast).int8.assign(1120, -128), op<QConvOp>(m, kLast).ternary.planes.clear();
    });
    valid([](auto& m) { op<QAddOp>(m, kAdd) = {{1 << 21, -(1 << 21)}, 30, 255, 255}; });
    valid([](auto& m) { op<QPoolOp>(m, kAverage).output.factors.resize(9, {1, 40}); });
    valid([](auto& m) { op<QLookupOp>(m, kLookup).table.resize(256); });
    valid([](auto& m) { m.metadata.labels.resize(10); });
    valid([](auto& m) { m.metadata.letterbox = {0, 128, 255}, m.metadata.bgr = true; });
    valid([](auto& m) {  // the input as output
      m.nodes.resize(1);
      m.output_accumulators = false;
      m.logit_scales.assign(108, 1);
      m.logit_offsets.assign(108, 1);
    });
    valid([](auto& m) {  // sums of an average pool as output
      m.nodes.resize(kAverage + 1);
      m.logit_scales.assign(4, 1);
      m.logit_offsets.assign(4, 1);
    });
  }

  TEST_CASE("a pool that yields sums must stay inside the image") {
    QuantModel model = allOperations();
    model.nodes.resize(kAverage + 1);
    model.logit_scales.assign(4, 1);
    model.logit_offsets.assign(4, 1);
    Window& w = op<QPoolOp>(model, kAverage).window;
    w = {4, 4, 1, 1, 1, 1, 0, 0, 1, 1};
    CHECK_FALSE(validateModel(model).ok());
    w = {4, 4, 1, 1, 1, 1, 1, 1, 0, 0};
    CHECK_FALSE(validateModel(model).ok());
  }

  TEST_CASE("models of absurd size or work are refused") {
    QuantModel model = allOperations();
    model.nodes.resize(1);
    model.nodes[0].shape = {3, 1 << 13, 1 << 13};
    for (int i = 0; i < 8; ++i) model.nodes.push_back({"r", QReshapeOp{}, {i}, model.nodes[0].shape, {}});
    auto result = validateModel(model);
    REQUIRE_FALSE(result.ok());
    CHECK(result.error().message.find("1 GiB") != std::string::npos);

    // 4 filters of 1001x1001x4 weights over 4096x4096 pixels.
    model.nodes.resize(1);
    model.nodes[0].shape = {1, 4096, 4096};
    QConvOp conv = convOf(4, 1, 1001, false);
    for (int i = 0; i < 3; ++i) {
      model.nodes.push_back({"c", i == 0 ? conv : convOf(4, 4, 1001, false), {i}, {4, 4096, 4096}, {}});
    }
    result = validateModel(model);
    REQUIRE_FALSE(result.ok());
    CHECK(result.error().message.find("multiply-accumulates") != std::string::npos);
  }

  TEST_CASE("operations have the names that variants are forced by") {
    const QuantModel model = allOperations();
    std::string names;
    for (const QNode& node : model.nodes) names += std::string(opName(node.op)) + " ";
    CHECK(names ==
          "input ternary_conv int8_conv add max_pool average_pool mul rescale lookup lrn pad slice concat "
          "reshape "
          "ternary_conv ");
  }

}  // TEST_SUITE

}  // namespace
