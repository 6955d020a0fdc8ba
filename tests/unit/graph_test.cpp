#include "graph/graph.h"

#include <doctest/doctest.h>

#include <climits>
#include <cmath>
#include <functional>
#include <limits>

#include "graph/float_eval.h"
#include "graph/window.h"
#include "unit/graph_builder.h"

namespace trefoil {
namespace {

using testing::GraphBuilder;
using testing::SmallRandom;
using testing::squareWindow;

// One of each operation. Indices are those in Place.
enum Place {
  kIn,
  kConv,
  kBn,
  kClip,
  kPRelu,
  kMax,
  kAvg,
  kSum,
  kMul,
  kCat,
  kLrn,
  kPad,
  kSlice,
  kFlat,
  kFc,
  kSoft
};

Graph everyOperation() {
  GraphBuilder b({4, 9, 8});
  b.conv(kIn, 6, {3, 2, 2, 1, 1, 1, 1, 0, 1, 1}, 2);  // 6 x 5 x 8
  b.affine(kConv);
  b.activation(kBn, Activation::kClip);
  b.activation(kClip, Activation::kPRelu);
  b.pool(kPRelu, Pool::kMax, squareWindow(3, 2), false, 0, 1);  // 6 x 2 x 4; ceil_mode adds a column
  b.pool(kMax, Pool::kAverage, squareWindow(3, 1, 1), true);
  b.sum(kMax, kAvg);
  b.add(MulOp{}, {kSum, kAvg}, {6, 2, 4});
  b.add(ConcatOp{}, {kMul, kMax}, {12, 2, 4});
  b.add(LrnOp{}, {kCat}, {12, 2, 4});
  b.pad(kLrn, 1, 0, 0, 2, .5F);  // 12 x 3 x 6
  SliceOp slice;
  slice.start[0] = 1;
  slice.step[0] = 2;
  slice.start[2] = 2;
  slice.step[2] = 3;
  b.add(slice, {kPad}, {6, 3, 2});
  b.reshape(kSlice, {36, 1, 1});
  b.conv(kFlat, 5);
  b.add(SoftmaxOp{}, {kFc}, {5, 1, 1});
  return b.graph;
}

template <typename T>
T& op(Graph& graph, Place part) {
  return std::get<T>(graph.nodes[part].op);
}

struct Broken {
  const char* what;
  std::function<void(Graph&)> change;
  ErrorCode code = ErrorCode::kBadShape;
};

const float kNan = std::numeric_limits<float>::quiet_NaN();
const float kInf = std::numeric_limits<float>::infinity();

const Broken kBroken[] = {
    {"no nodes", [](Graph& g) { g.nodes.clear(); }},
    {"no input", [](Graph& g) { g.nodes[kIn].op = ReshapeOp{}; }},
    {"two inputs", [](Graph& g) { g.nodes[kConv] = {"in2", InputOp{}, {}, {6, 5, 8}}; }},
    {"input that reads", [](Graph& g) { g.nodes[kIn].inputs = {0}; }, ErrorCode::kGraphCycle},
    {"output before", [](Graph& g) { g.output = -1; }, ErrorCode::kMissingInitializer},
    {"output after", [](Graph& g) { g.output = kSoft + 1; }, ErrorCode::kMissingInitializer},
    {"same name", [](Graph& g) { g.nodes[kFc].name = g.nodes[kConv].name; }},
    {"reads itself", [](Graph& g) { g.nodes[kBn].inputs[0] = kBn; }, ErrorCode::kGraphCycle},
    {"reads later", [](Graph& g) { g.nodes[kSum].inputs[1] = kFc; }, ErrorCode::kGraphCycle},
    {"reads nothing", [](Graph& g) { g.nodes[kSum].inputs[1] = INT_MAX; }, ErrorCode::kMissingInitializer},
    {"reads below", [](Graph& g) { g.nodes[kSum].inputs[1] = INT_MIN; }, ErrorCode::kMissingInitializer},
    {"no conv input", [](Graph& g) { g.nodes[kConv].inputs.clear(); }},
    {"two conv inputs", [](Graph& g) { g.nodes[kConv].inputs.push_back(0); }},
    {"no concat input", [](Graph& g) { g.nodes[kCat].inputs.clear(); }},
    {"one add input", [](Graph& g) { g.nodes[kSum].inputs.pop_back(); }},
    {"no slice input", [](Graph& g) { g.nodes[kSlice].inputs.clear(); }},
    {"no channels", [](Graph& g) { g.nodes[kIn].shape.channels = 0; }},
    {"negative rows", [](Graph& g) { g.nodes[kIn].shape.height = INT_MIN; }},
    {"huge dimension", [](Graph& g) { g.nodes[kIn].shape = {kMaxDimension + 1, 1, 1}; }},
    {"huge image", [](Graph& g) { g.nodes[kIn].shape = {kMaxDimension, kMaxDimension, kMaxDimension}; }},
    {"conv rows", [](Graph& g) { ++g.nodes[kConv].shape.height; }},
    {"conv kernel", [](Graph& g) { op<ConvOp>(g, kConv).window.kernel_h = 0; }},
    {"conv stride", [](Graph& g) { op<ConvOp>(g, kConv).window.stride_w = -1; }},
    {"conv dilation", [](Graph& g) { op<ConvOp>(g, kConv).window.dilation_h = INT_MAX; }},
    {"conv negative pad", [](Graph& g) { op<ConvOp>(g, kConv).window.pad_left = -1; }},
    {"conv huge pad", [](Graph& g) { op<ConvOp>(g, kConv).window.pad_bottom = INT_MAX; }},
    {"no groups", [](Graph& g) { op<ConvOp>(g, kConv).groups = 0; }},
    {"conv groups", [](Graph& g) { op<ConvOp>(g, kConv).groups = 3; }},
    {"conv weights", [](Graph& g) { op<ConvOp>(g, kConv).weights.pop_back(); }},
    {"conv bias", [](Graph& g) { op<ConvOp>(g, kConv).bias.pop_back(); }},
    {"conv NaN", [](Graph& g) { op<ConvOp>(g, kConv).weights.back() = kNan; }},
    {"conv infinite bias", [](Graph& g) { op<ConvOp>(g, kConv).bias.back() = kInf; }},
    {"weights overflow",
     [](Graph& g) {
       Window& w = op<ConvOp>(g, kConv).window;
       w.kernel_h = w.kernel_w = kMaxDimension;
       w.pad_top = w.pad_left = kMaxDimension;
     }},
    {"affine scale", [](Graph& g) { op<ChannelAffineOp>(g, kBn).scale.push_back(1); }},
    {"affine shift", [](Graph& g) { op<ChannelAffineOp>(g, kBn).shift.clear(); }},
    {"affine NaN", [](Graph& g) { op<ChannelAffineOp>(g, kBn).shift[0] = kNan; }},
    {"affine shape", [](Graph& g) { g.nodes[kBn].shape = {6, 8, 5}; }},
    {"clip order", [](Graph& g) { op<ActivationOp>(g, kClip).high = -1; }},
    {"clip NaN", [](Graph& g) { op<ActivationOp>(g, kClip).low = kNan; }},
    {"clip nothing left",
     [](Graph& g) { op<ActivationOp>(g, kClip).low = op<ActivationOp>(g, kClip).high = kInf; }},
    {"activation kind", [](Graph& g) { op<ActivationOp>(g, kClip).kind = static_cast<Activation>(99); }},
    {"leaky NaN",
     [](Graph& g) {
       op<ActivationOp>(g, kClip).kind = Activation::kLeakyRelu;
       op<ActivationOp>(g, kClip).alpha = kNan;
     }},
    {"prelu slopes", [](Graph& g) { op<ActivationOp>(g, kPRelu).slopes.pop_back(); }},
    {"pool channels", [](Graph& g) { g.nodes[kMax].shape.channels = 5; }},
    {"pool too wide", [](Graph& g) { ++g.nodes[kMax].shape.width; }},
    {"pool too narrow", [](Graph& g) { g.nodes[kMax].shape.width -= 2; }},
    {"pool extra row where it fits exactly", [](Graph& g) { ++g.nodes[kMax].shape.height; }},
    {"pool kind", [](Graph& g) { op<PoolOp>(g, kMax).kind = static_cast<Pool>(7); }},
    {"pool of nothing but pads",
     [](Graph& g) {
       op<PoolOp>(g, kAvg).window = squareWindow(3, 1, 3);
       g.nodes[kAvg].shape = {6, 6, 8};
     }},
    {"add shapes", [](Graph& g) { g.nodes[kSum].inputs[1] = kPRelu; }},
    {"mul shapes", [](Graph& g) { g.nodes[kMul].inputs[1] = kPRelu; }},
    {"concat rows", [](Graph& g) { g.nodes[kCat].inputs[1] = kPRelu; }},
    {"concat channels", [](Graph& g) { g.nodes[kCat].inputs.push_back(kMax); }},
    {"lrn size", [](Graph& g) { op<LrnOp>(g, kLrn).size = 0; }},
    {"lrn bias", [](Graph& g) { op<LrnOp>(g, kLrn).bias = 0; }},
    {"lrn alpha", [](Graph& g) { op<LrnOp>(g, kLrn).alpha = -1; }},
    {"lrn beta", [](Graph& g) { op<LrnOp>(g, kLrn).beta = kNan; }},
    {"pad negative", [](Graph& g) { op<PadOp>(g, kPad).before[0] = -1; }},
    {"pad huge", [](Graph& g) { op<PadOp>(g, kPad).after[0] = INT_MAX; }},
    {"pad value", [](Graph& g) { op<PadOp>(g, kPad).value = kInf; }},
    {"pad shape", [](Graph& g) { g.nodes[kPad].shape.width = 7; }},
    {"slice start", [](Graph& g) { op<SliceOp>(g, kSlice).start[1] = -1; }},
    {"slice end", [](Graph& g) { op<SliceOp>(g, kSlice).start[1] = 1; }},
    {"slice step", [](Graph& g) { op<SliceOp>(g, kSlice).step[2] = 0; }},
    {"slice overflow", [](Graph& g) { op<SliceOp>(g, kSlice).step[2] = INT_MAX; }},
    {"reshape size", [](Graph& g) { g.nodes[kFlat].shape.channels = 35; }},
    {"softmax of an image",
     [](Graph& g) { g.nodes[kSoft].inputs[0] = kConv, g.nodes[kSoft].shape = {6, 5, 8}; }},
};

}  // namespace

TEST_SUITE("graph") {
  TEST_CASE("windowOutput") {
    CHECK(windowOutput(224, 7, 2, 1, 3, 3) == 112);
    CHECK(windowOutput(5, 3, 2, 1, 0, 0) == 2);
    CHECK(windowOutput(5, 3, 1, 2, 0, 0) == 1);
    CHECK(windowOutput(5, 3, 1, 2, 1, 0) == 2);
    CHECK(windowOutput(2, 3, 1, 1, 0, 0) == 0);
    CHECK(windowOutput(4, 1, 0, 1, 0, 0) == 0);
    CHECK(windowOutput(4, INT_MAX, 1, INT_MAX, 0, 0) == 0);
    CHECK(windowOutput(INT_MAX, 1, 1, 1, INT_MAX, INT_MAX) == INT_MAX);
  }

  TEST_CASE("window axes agree with counting") {
    SmallRandom random(3);
    for (int trial = 0; trial < 500; ++trial) {
      const WindowAxis a{random.between(1, 5), random.between(1, 4), random.between(1, 4),
                         random.between(0, 6), random.between(0, 6)};
      const int in = random.between(1, 9), out = random.between(1, 9);
      bool all_touch = true;
      for (int o = 0; o < out; ++o) {
        int first = -1, count = 0, padded = 0;
        for (int t = 0; t < a.kernel; ++t) {
          const int at = o * a.stride - a.pad_before + t * a.dilation;
          if (at < in + a.pad_after) ++padded;
          if (at < 0 || at >= in) continue;
          if (count++ == 0) first = t;
        }
        const IndexRange taps = a.taps(o, in);
        REQUIRE(taps.count() == count);
        if (count > 0) REQUIRE(taps.begin == first);
        REQUIRE(a.paddedTaps(o, in) == padded);
        all_touch = all_touch && count > 0;
      }
      REQUIRE(a.allTouch(in, out) == all_touch);
      for (int t = 0; t < a.kernel; ++t) {
        int first = -1, count = 0;
        for (int o = 0; o < out; ++o) {
          const int at = o * a.stride - a.pad_before + t * a.dilation;
          if (at < 0 || at >= in) continue;
          if (count++ == 0) first = o;
        }
        const IndexRange windows = a.windows(t, out, in);
        REQUIRE(windows.count() == count);
        if (count > 0) REQUIRE(windows.begin == first);
      }
    }
  }

  TEST_CASE("opName") {
    const Graph g = everyOperation();
    CHECK(opName(g.nodes[kIn].op) == "Input");
    CHECK(opName(g.nodes[kClip].op) == "Clip");
    CHECK(opName(g.nodes[kMax].op) == "MaxPool");
    CHECK(opName(g.nodes[kAvg].op) == "AveragePool");
    for (const Node& node : g.nodes) CHECK(!opName(node.op).empty());
  }

  TEST_CASE("countMacs") {
    const Graph g = everyOperation();
    CHECK(countMacs(g, kConv) == 6 * 5 * 8 * (4 / 2) * 3 * 2);
    CHECK(countMacs(g, kFc) == 36 * 5);
    CHECK(countMacs(g, kAvg) == 0);
    CHECK(countMacs(g, kIn) == 0);
  }

  TEST_CASE("a graph with every operation is valid") {
    Graph g = everyOperation();
    const Result<void> result = validateGraph(g);
    CHECK_MESSAGE(result.ok(), (result.ok() ? "" : result.error().message));
    // The other form of Mul: one factor a channel.
    g.nodes[kMul] = {"gap", PoolOp{Pool::kAverage, {2, 4, 1, 1, 1, 1, 0, 0, 0, 0}, false}, {kSum}, {6, 1, 1}};
    g.nodes[kCat] = {"gate", MulOp{}, {kSum, kMul}, {6, 2, 4}};
    g.nodes.resize(kCat + 1);
    g.output = kCat;
    CHECK(validateGraph(g).ok());
  }

  TEST_CASE("pools may have the shape of ceil_mode") {
    GraphBuilder b({1, 6, 2});
    b.pool(0, Pool::kMax, {3, 3, 2, 2, 1, 1, 0, 0, 0, 0}, false, 1, 1);  // floor: 2 x 0
    CHECK(b.shape(1) == Shape{1, 3, 1});
    CHECK(validateGraph(b.graph).ok());
    GraphBuilder beyond({1, 4, 4});  // the third window would start in the pads after the image
    beyond.pool(0, Pool::kMax, {2, 1, 3, 1, 1, 1, 0, 0, 2, 0}, false, 1, 0);
    CHECK(!validateGraph(beyond.graph).ok());
  }

  TEST_CASE("every broken graph is refused with its code") {
    for (const Broken& broken : kBroken) {
      CAPTURE(broken.what);
      Graph g = everyOperation();
      broken.change(g);
      const Result<void> result = validateGraph(g);
      REQUIRE(!result.ok());
      CHECK(result.error().code == broken.code);
      CHECK(result.error().message.size() > 10);
    }
  }

  TEST_CASE("a network that would take hours is refused") {
    GraphBuilder b({1, 1 << 14, 1 << 14});
    for (int i = 0; i < 8; ++i) b.pool(i, Pool::kMax, squareWindow(301, 1, 150));
    const Result<void> result = validateGraph(b.graph);
    REQUIRE(!result.ok());
    CHECK(result.error().message.find("operations") != std::string::npos);
  }

  TEST_CASE("an absurdly long name does not fill the message") {
    Graph g = everyOperation();
    g.nodes[kConv].name = std::string(1 << 20, 'x');
    g.nodes[kConv].inputs.clear();
    const Result<void> result = validateGraph(g);
    REQUIRE(!result.ok());
    CHECK(result.error().message.size() < 400);
  }

  // Whatever passes the validator can be evaluated; the sanitizers watch.
  TEST_CASE("random damage is refused or harmless") {
    const int numbers[] = {INT_MIN, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 12, kMaxDimension, INT_MAX};
    SmallRandom random(11);
    const auto pick = [&] { return numbers[random.below(std::size(numbers))]; };
    int valid = 0;
    for (int trial = 0; trial < 4000; ++trial) {
      Graph g = everyOperation();
      for (int damage = random.between(1, 3); damage > 0; --damage) {
        Node& node = g.nodes[static_cast<std::size_t>(random.below(kSoft + 1))];
        int* const dims[] = {&node.shape.channels, &node.shape.height, &node.shape.width};
        switch (random.below(4)) {
          case 0:
            *dims[random.below(3)] = pick();
            break;
          case 1:
            if (!node.inputs.empty()) node.inputs[0] = random.between(-1, kSoft + 1);
            break;
          case 2:
            node.op = g.nodes[static_cast<std::size_t>(random.below(kSoft + 1))].op;
            break;
          default:
            if (auto* conv = std::get_if<ConvOp>(&node.op)) {
              int* const fields[] = {
                  &conv->groups,          &conv->window.pad_top,    &conv->window.pad_right,
                  &conv->window.stride_h, &conv->window.dilation_w, &conv->window.kernel_w};
              *fields[random.below(6)] = pick();
            } else if (auto* pool = std::get_if<PoolOp>(&node.op)) {
              int* const fields[] = {&pool->window.pad_left, &pool->window.pad_bottom,
                                     &pool->window.stride_w, &pool->window.dilation_h,
                                     &pool->window.kernel_h, &pool->window.kernel_w};
              *fields[random.below(6)] = pick();
            } else if (auto* slice = std::get_if<SliceOp>(&node.op)) {
              (random.below(2) == 0 ? slice->start : slice->step)[random.below(3)] = pick();
            } else if (auto* pad = std::get_if<PadOp>(&node.op)) {
              (random.below(2) == 0 ? pad->before : pad->after)[random.below(3)] = pick();
            } else if (auto* lrn = std::get_if<LrnOp>(&node.op)) {
              lrn->size = pick();
            }
        }
      }
      if (!validateGraph(g).ok()) continue;
      ++valid;
      bool small = true;
      for (const Node& node : g.nodes) small = small && node.shape.size() <= 20000;
      if (!small) continue;
      const std::vector<float> image = random.reals(g.inputShape().size());
      REQUIRE(evaluate(g, image).ok());
    }
    CHECK(valid > 200);
  }
}

}  // namespace trefoil
