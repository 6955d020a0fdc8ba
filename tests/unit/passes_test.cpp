#include "passes/passes.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/float_eval.h"
#include "passes/rewrites.h"
#include "unit/graph_builder.h"

namespace trefoil {
namespace {

using testing::GraphBuilder;
using testing::SmallRandom;
using testing::squareWindow;

void requireValid(const Graph& graph) {
  const Result<void> valid = validateGraph(graph);
  REQUIRE_MESSAGE(valid.ok(), (valid.ok() ? "" : valid.error().message));
}

// Evaluates both graphs on the same random image.
void checkSame(const Graph& before, const Graph& after, double tolerance = 1e-5) {
  requireValid(before);
  requireValid(after);
  REQUIRE(before.inputShape() == after.inputShape());
  const std::vector<float> image = SmallRandom(17).reals(before.inputShape().size());
  const auto expected = evaluate(before, image), got = evaluate(after, image);
  REQUIRE(expected.ok());
  REQUIRE(got.ok());
  REQUIRE(expected->size() == got->size());
  for (std::size_t i = 0; i < got->size(); ++i) {
    const double e = expected.value()[i];
    REQUIRE(std::abs(got.value()[i] - e) <= tolerance * (1 + std::abs(e)));
  }
}

using Pass = void (*)(Graph& graph);

// The graph after one pass, checked to compute the same.
Graph after(Pass pass, const Graph& graph) {
  Graph result = graph;
  pass(result);
  removeUnused(result);
  checkSame(graph, result);
  return result;
}

Graph simplified(const Graph& graph) {
  Result<Graph> result = simplify(graph);
  REQUIRE_MESSAGE(result.ok(), (result.ok() ? "" : result.error().message));
  return std::move(result).value();
}

// "Input Conv Relu", in order.
std::string ops(const Graph& graph) {
  std::string text;
  for (const Node& node : graph.nodes) {
    if (!text.empty()) text += ' ';
    text += opName(node.op);
  }
  return text;
}

template <typename T>
const T& op(const Graph& graph, int node) {
  return std::get<T>(graph.nodes.at(static_cast<std::size_t>(node)).op);
}

ActivationOp clip(float low, float high) { return {Activation::kClip, low, high, 0, 0, {}}; }

const float kUnbounded = std::numeric_limits<float>::infinity();

}  // namespace

TEST_SUITE("passes") {
  TEST_CASE("identities go") {
    GraphBuilder b({4, 3, 3});
    const Shape shape = b.shape(0);
    int x = b.conv(0, 4, squareWindow(3, 1, 1));
    x = b.reshape(x, shape);
    x = b.add(clip(-kUnbounded, kUnbounded), {x}, shape);
    x = b.add(ChannelAffineOp{{1, 1, 1, 1}, {0, 0, 0, 0}}, {x}, shape);
    x = b.add(SliceOp{}, {x}, shape);
    x = b.add(PadOp{}, {x}, shape);
    x = b.add(ConcatOp{}, {x}, shape);
    x = b.pool(x, Pool::kAverage, {1, 1, 1, 1, 5, 1, 0, 0, 0, 0});
    const int kept = b.sum(x, 0);
    x = b.reshape(kept, {9, 2, 2});
    x = b.reshape(x, {6, 6, 1});
    x = b.reshape(x, {36, 1, 1});
    b.conv(x, 3);
    CHECK(ops(after(dropIdentities, b.graph)) == "Input Conv Add Reshape Conv");
    // There and back again: nothing is left, though the output was the last of them.
    b.graph.output = b.reshape(b.reshape(kept, {36, 1, 1}), shape);
    const Graph g = after(dropIdentities, b.graph);
    CHECK(ops(g) == "Input Conv Add");
    CHECK(g.nodes[2].name == b.graph.nodes[static_cast<std::size_t>(kept)].name);
  }

  TEST_CASE("near identities stay") {
    GraphBuilder b({4, 3, 3});
    int x = b.add(clip(-kUnbounded, .5F), {0}, b.shape(0));
    x = b.add(ChannelAffineOp{{1, 1, 1, 1}, {0, 0, .5F, 0}}, {x}, b.shape(0));
    x = b.pool(x, Pool::kMax, squareWindow(3, 1, 1));
    b.pool(x, Pool::kMax, squareWindow(1, 2));
    CHECK(ops(after(dropIdentities, b.graph)) == "Input Clip ChannelAffine MaxPool MaxPool");
  }

  TEST_CASE("a pad goes into the convolutions that read it") {
    GraphBuilder b({3, 8, 8});
    const int inner = b.pad(0, 0, 1, 0, 0);
    const int pad = b.pad(inner, 1, 0, 2, 1);
    const int first = b.conv(pad, 4, squareWindow(3, 2, 1));
    const int second = b.conv(pad, 4, squareWindow(3, 2, 1));
    b.sum(first, second);
    const Graph g = after(mergePads, b.graph);
    CHECK(ops(g) == "Input Conv Conv Add");
    CHECK(op<ConvOp>(g, 1).window == Window{3, 3, 2, 2, 1, 1, 2, 2, 3, 2});
  }

  TEST_CASE("a pad stays that is not zero, or for others to read") {
    GraphBuilder b({3, 6, 6});
    b.conv(b.pad(0, 1, 1, 1, 1, .5F), 2, squareWindow(3));
    CHECK(ops(after(mergePads, b.graph)) == "Input Pad Conv");
    GraphBuilder channels({3, 6, 6});
    PadOp pad;
    pad.after[0] = 1;
    pad.after[1] = 1;
    channels.conv(channels.add(pad, {0}, {4, 7, 6}), 2, squareWindow(3));
    CHECK(ops(after(mergePads, channels.graph)) == "Input Pad Conv");
    GraphBuilder read({3, 6, 6});
    const int shared = read.pad(0, 1, 1, 1, 1);
    read.sum(read.conv(shared, 3, squareWindow(3, 1, 1)), shared);
    CHECK(ops(after(mergePads, read.graph)) == "Input Pad Conv Add");
  }

  TEST_CASE("a pad goes into a pool where that is the same") {
    const auto pooled = [](Pool kind, Window window, bool include, bool relu, int extra = 0) {
      GraphBuilder b({2, 7, 7});
      const int x = relu ? b.activation(0) : 0;
      b.pool(b.pad(x, 1, 1, 1, 1), kind, window, include, extra, extra);
      return ops(after(mergePads, b.graph));
    };
    CHECK(pooled(Pool::kAverage, squareWindow(3, 2), false, false) == "Input AveragePool");
    CHECK(pooled(Pool::kAverage, squareWindow(3, 2, 1), true, false) == "Input AveragePool");
    CHECK(pooled(Pool::kAverage, squareWindow(3, 2, 1), false, false) == "Input Pad AveragePool");
    CHECK(pooled(Pool::kAverage, squareWindow(4, 2), true, false, 1) ==
          "Input Pad AveragePool");  // overhangs
    CHECK(pooled(Pool::kAverage, squareWindow(1, 1), true, false) ==
          "Input Pad AveragePool");  // of pads alone
    CHECK(pooled(Pool::kMax, squareWindow(3, 2), false, true) == "Input Relu MaxPool");
    CHECK(pooled(Pool::kMax, squareWindow(3, 2), false, false) == "Input Pad MaxPool");
  }

  TEST_CASE("average pools that count their pads") {
    GraphBuilder none({2, 7, 8});
    none.pool(0, Pool::kAverage, squareWindow(3, 2), true, 0, 1);
    Graph g = after(normalisePools, none.graph);
    CHECK(!op<PoolOp>(g, 1).count_include_pad);
    GraphBuilder inside({2, 7, 7});
    inside.pool(0, Pool::kAverage, squareWindow(3, 2, 1), true);
    g = after(normalisePools, inside.graph);
    CHECK(op<PoolOp>(g, 1).count_include_pad);
    GraphBuilder beyond({2, 6, 7});
    beyond.add(ReshapeOp{}, {0}, {2, 6, 7}, "node2/pad");  // takes the new node's name
    beyond.pool(1, Pool::kAverage, {3, 3, 2, 2, 1, 1, 1, 1, 1, 1}, true, 1, 0);
    beyond.activation(2);
    g = after(normalisePools, beyond.graph);
    CHECK(ops(g) == "Input Reshape Pad AveragePool Relu");
    CHECK(g.nodes[2].name == "node2/pad_");
    CHECK(!op<PoolOp>(g, 3).count_include_pad);
    CHECK(op<PoolOp>(g, 3).window == squareWindow(3, 2));
  }

  TEST_CASE("the final softmax goes, and only that") {
    GraphBuilder b({3, 2, 2});
    const int scores = b.conv(b.reshape(0, {12, 1, 1}), 6);
    const int soft = b.add(SoftmaxOp{}, {scores}, {6, 1, 1});
    const Graph plain = b.graph;
    b.reshape(b.reshape(soft, {3, 2, 1}), {2, 3, 1});
    for (const Graph& source : {plain, b.graph}) {
      Graph g = source;
      dropFinalSoftmax(g);
      removeUnused(g);
      requireValid(g);
      CHECK(ops(g).find("Softmax") == std::string::npos);
      Graph expected = b.graph;  // the scores themselves
      expected.output = scores;
      const std::vector<float> image = SmallRandom(3).reals(12);
      CHECK(evaluate(g, image).value() == evaluate(expected, image).value());
    }
    b.conv(b.reshape(soft, {6, 1, 1}), 2);  // an attention's softmax
    CHECK(ops(after(dropFinalSoftmax, b.graph)) == "Input Reshape Conv Softmax Reshape Conv");
  }

  TEST_CASE("affines merge") {
    GraphBuilder b({5, 4, 4});
    int x = b.activation(b.affine(b.affine(b.affine(0))));
    CHECK(ops(after(mergeAffines, b.graph)) == "Input ChannelAffine Relu");
    GraphBuilder read({5, 4, 4});
    x = read.affine(0);
    read.sum(read.affine(x), x);
    const Graph g = after(mergeAffines, read.graph);
    CHECK(ops(g) == "Input ChannelAffine ChannelAffine Add");
    CHECK(g.nodes[2].inputs[0] == 1);
  }

  TEST_CASE("an affine goes into the convolution before it") {
    for (const int groups : {1, 2, 6}) {
      GraphBuilder b({6, 5, 5});
      b.affine(b.affine(b.conv(0, 12, squareWindow(3, 1, 1), groups)));
      const Graph g = after(foldIntoConvBefore, b.graph);
      CHECK(ops(g) == "Input Conv");
      CHECK(g.nodes[1].name == b.graph.nodes[1].name);
    }
    GraphBuilder read({6, 5, 5});
    const int conv = read.conv(0, 6);
    read.sum(read.affine(conv), conv);
    CHECK(ops(after(foldIntoConvBefore, read.graph)) == "Input Conv ChannelAffine Add");
    GraphBuilder output({6, 5, 5});
    const int scores = output.conv(0, 6);
    output.affine(scores);
    output.graph.output = scores;
    Graph g = output.graph;
    foldIntoConvBefore(g);
    checkSame(output.graph, g);
  }

  TEST_CASE("an affine goes into the convolutions after it") {
    for (const int groups : {1, 2, 6}) {
      GraphBuilder b({6, 5, 5});
      const int x = b.affine(b.activation(0));
      b.sum(b.conv(x, 12, squareWindow(3), groups), b.conv(x, 12, squareWindow(3)));
      CHECK(ops(after(foldIntoConvAfter, b.graph)) == "Input Relu Conv Conv Add");
    }
    GraphBuilder padded({6, 5, 5});
    const int x = padded.affine(0);
    padded.conv(x, 4, squareWindow(3, 1, 1));
    CHECK(ops(after(foldIntoConvAfter, padded.graph)) == "Input ChannelAffine Conv");
    std::get<ChannelAffineOp>(padded.graph.nodes[1].op).shift.assign(6, 0);
    CHECK(ops(after(foldIntoConvAfter, padded.graph)) == "Input Conv");
    GraphBuilder shared({6, 5, 5});
    const int y = shared.affine(0);
    shared.sum(shared.conv(y, 6), y);
    const Graph g = after(foldIntoConvAfter, shared.graph);
    CHECK(ops(g) == "Input ChannelAffine Conv Add");
    CHECK(g.nodes[2].inputs[0] == 1);
  }

  TEST_CASE("a fold that would not be finite is left out") {
    GraphBuilder b({2, 3, 3});
    const int first = b.conv(0, 2);
    const int bn = b.affine(first);
    b.conv(bn, 2);
    std::get<ChannelAffineOp>(b.graph.nodes[2].op).scale = {1e30F, 1e-30F};
    std::get<ConvOp>(b.graph.nodes[1].op).weights = {1e30F, 0, 0, 1};
    std::get<ConvOp>(b.graph.nodes[3].op).weights = {1e30F, 0, 0, 1};
    const Graph g = simplified(b.graph);
    CHECK(ops(g) == "Input Conv Conv Conv");
  }

  TEST_CASE("what is left becomes depthwise convolutions") {
    GraphBuilder b({3, 4, 4});
    b.affine(b.sum(0, 0));
    const Graph g = after(affinesToConvs, b.graph);
    CHECK(ops(g) == "Input Add Conv");
    CHECK(op<ConvOp>(g, 2).groups == 3);
  }

  TEST_CASE("unused nodes go, the input stays") {
    GraphBuilder b({3, 4, 4});
    const int dead = b.conv(0, 3);
    const int alive = b.activation(0);
    b.sum(dead, alive);
    b.graph.output = alive;
    CHECK(ops(after([](Graph&) {}, b.graph)) == "Input Relu");
    b.graph.output = 0;
    CHECK(ops(after([](Graph&) {}, b.graph)) == "Input");
  }

  TEST_CASE("a residual network with batch norms becomes convolutions") {
    GraphBuilder b({3, 16, 16});
    int x = b.activation(b.affine(b.conv(b.pad(0, 3, 3, 3, 3), 8, squareWindow(7, 2))));
    x = b.pool(b.pad(x, 1, 1, 1, 1), Pool::kMax, squareWindow(3, 2));
    int y = b.activation(b.affine(b.conv(x, 8, squareWindow(3, 1, 1))));
    y = b.affine(b.conv(y, 8, squareWindow(3, 1, 1)));
    x = b.affine(b.sum(x, y));  // pre-activation style: nothing to fold into
    x = b.pool(b.activation(x), Pool::kAverage, squareWindow(4));
    x = b.conv(b.reshape(x, {8, 1, 1}), 10);
    const int soft = b.add(SoftmaxOp{}, {x}, {10, 1, 1});
    const Graph g = simplified(b.graph);
    CHECK(ops(g) == "Input Conv Relu MaxPool Conv Relu Conv Add Conv Relu AveragePool Conv");
    Graph scores = b.graph;
    scores.output = soft - 1;
    checkSame(scores, g);
    for (const Node& node : g.nodes) {  // names are those of the source
      const auto has_name = [&](const Node& source) { return source.name == node.name; };
      CHECK(std::any_of(b.graph.nodes.begin(), b.graph.nodes.end(), has_name));
    }
    CHECK(ops(simplified(g)) == ops(g));
  }

  TEST_CASE("random graphs keep their results") {
    int folded = 0;
    for (std::uint32_t seed = 1; seed <= 300; ++seed) {
      CAPTURE(seed);
      GraphBuilder b({4, 6, 6}, seed);
      for (int i = 0; i < 14; ++i) {
        const int last = static_cast<int>(b.graph.nodes.size()) - 1;
        const int x = b.random.below(3) == 0 ? b.random.between(0, last) : last;
        const Shape shape = b.shape(x);
        switch (b.random.below(9)) {
          case 0: {
            const Window window = b.random.below(2) == 0 ? squareWindow(1) : squareWindow(3, 1, 1);
            b.conv(x, 4, window, b.random.between(1, 2));
            break;
          }
          case 1:
          case 2:
            b.affine(x);
            break;
          case 3:
            b.activation(x);
            break;
          case 4: {
            const int other = b.random.between(0, last);
            if (b.shape(other) == shape) b.sum(x, other);
            break;
          }
          case 5:
            b.conv(b.pad(x, 1, 0, 1, 2), 4, squareWindow(3, 1, b.random.below(2)));
            break;
          case 6:
            if (shape.height > 1 && shape.width > 1) {
              const Window window = squareWindow(2, 1, b.random.below(2));
              b.pool(b.pad(x, 0, 1, 1, 0), Pool::kAverage, window, b.random.below(2) == 0);
            }
            break;
          case 7:
            b.reshape(b.reshape(x, {shape.channels, shape.width, shape.height}), shape);
            break;
          default:
            b.add(clip(-kUnbounded, b.random.below(2) == 0 ? kUnbounded : .5F), {x}, shape);
            break;
        }
      }
      b.graph.output = static_cast<int>(b.graph.nodes.size()) - 1 - b.random.below(3);
      if (b.graph.output < 0) b.graph.output = 0;
      const Graph g = simplified(b.graph);
      checkSame(b.graph, g, 1e-3);
      folded += static_cast<int>(b.graph.nodes.size() - g.nodes.size());
      for (const Node& node : g.nodes) REQUIRE(!std::holds_alternative<ChannelAffineOp>(node.op));
    }
    CHECK(folded > 1000);
  }

  TEST_CASE("a graph that is not valid is refused") {
    GraphBuilder b({3, 4, 4});
    b.activation(0);
    b.graph.nodes[1].inputs[0] = 1;
    const Result<Graph> result = simplify(b.graph);
    REQUIRE(!result.ok());
    CHECK(result.error().code == ErrorCode::kGraphCycle);
    b.graph.nodes[1].inputs[0] = 1 << 30;
    CHECK(!simplify(b.graph).ok());
  }
}

}  // namespace trefoil
