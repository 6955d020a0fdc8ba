#include "graph/float_eval.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "graph/float_gemm.h"
#include "unit/graph_builder.h"

namespace trefoil {
namespace {

using testing::GraphBuilder;
using testing::SmallRandom;
using testing::squareWindow;

// The value at a position, 0 outside.
double at(const std::vector<float>& x, const Shape& s, int c, std::int64_t y, std::int64_t z) {
  if (y < 0 || z < 0 || y >= s.height || z >= s.width) return 0;
  return x[static_cast<std::size_t>(c * s.plane() + y * s.width + z)];
}

std::vector<double> plainConv(const ConvOp& op, const Shape& in, const Shape& out,
                              const std::vector<float>& x) {
  const Window& w = op.window;
  const int channels = in.channels / op.groups, filters = out.channels / op.groups;
  std::vector<double> y;
  for (int k = 0; k < out.channels; ++k) {
    for (int oy = 0; oy < out.height; ++oy) {
      for (int ox = 0; ox < out.width; ++ox) {
        double sum = op.bias[static_cast<std::size_t>(k)];
        std::size_t weight =
            static_cast<std::size_t>(k) * static_cast<std::size_t>(channels * w.kernel_h * w.kernel_w);
        for (int c = 0; c < channels; ++c) {
          for (int r = 0; r < w.kernel_h; ++r) {
            for (int s = 0; s < w.kernel_w; ++s) {
              sum += op.weights[weight++] * at(x, in, k / filters * channels + c,
                                               oy * w.stride_h - w.pad_top + r * w.dilation_h,
                                               ox * w.stride_w - w.pad_left + s * w.dilation_w);
            }
          }
        }
        y.push_back(sum);
      }
    }
  }
  return y;
}

std::vector<double> plainPool(const PoolOp& op, const Shape& in, const Shape& out,
                              const std::vector<float>& x) {
  const Window& w = op.window;
  std::vector<double> y;
  for (int c = 0; c < out.channels; ++c) {
    for (int oy = 0; oy < out.height; ++oy) {
      for (int ox = 0; ox < out.width; ++ox) {
        double largest = -1e30, sum = 0;
        int inside = 0, padded = 0;
        for (int r = 0; r < w.kernel_h; ++r) {
          for (int s = 0; s < w.kernel_w; ++s) {
            const int iy = oy * w.stride_h - w.pad_top + r * w.dilation_h;
            const int ix = ox * w.stride_w - w.pad_left + s * w.dilation_w;
            if (iy < in.height + w.pad_bottom && ix < in.width + w.pad_right) ++padded;
            if (iy < 0 || ix < 0 || iy >= in.height || ix >= in.width) continue;
            ++inside;
            sum += at(x, in, c, iy, ix);
            largest = std::max(largest, at(x, in, c, iy, ix));
          }
        }
        y.push_back(op.kind == Pool::kMax ? largest : sum / (op.count_include_pad ? padded : inside));
      }
    }
  }
  return y;
}

// Evaluates the builder's graph, which must be valid, on an image.
std::vector<float> run(const GraphBuilder& b, const std::vector<float>& image) {
  const Result<void> valid = validateGraph(b.graph);
  REQUIRE_MESSAGE(valid.ok(), (valid.ok() ? "" : valid.error().message));
  Result<std::vector<float>> result = evaluate(b.graph, image);
  REQUIRE(result.ok());
  return std::move(result).value();
}

void checkClose(const std::vector<float>& got, const std::vector<double>& expected, double tolerance) {
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    REQUIRE(std::abs(got[i] - expected[i]) <= tolerance * (1 + std::abs(expected[i])));
  }
}

// Returns false where the window doesn't fit the image.
bool checkConv(Shape in, int filters, Window window, int groups, std::uint32_t seed) {
  GraphBuilder b(in, seed);
  b.conv(0, filters, window, groups);
  if (!validateGraph(b.graph).ok()) return false;
  const std::vector<float> image = b.random.reals(in.size());
  const auto& op = std::get<ConvOp>(b.graph.nodes[1].op);
  CAPTURE(in.channels);
  CAPTURE(filters);
  CAPTURE(groups);
  checkClose(run(b, image), plainConv(op, in, b.shape(1), image), 2e-5);
  return true;
}

// One node of an operation on random values, the input's shape kept.
std::vector<float> pointwise(Op op, Shape shape, const std::vector<float>& image) {
  GraphBuilder b(shape);
  b.add(std::move(op), {0}, shape);
  return run(b, image);
}

std::uint64_t hashBytes(const std::vector<float>& values) {
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (const float value : values) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    for (int i = 0; i < 4; ++i) hash = (hash ^ (bits >> (8 * i) & 255U)) * 0x100000001B3U;
  }
  return hash;
}

}  // namespace

TEST_SUITE("float_eval") {
  TEST_CASE("matrix products, across the edges of tiles and blocks") {
    SmallRandom random(5);
    const int rows[] = {1, 3, 4, 5, 63, 64, 66}, columns[] = {1, 4, 5, 8, 12, 255, 257, 265},
              depths[] = {1, 7, 256, 259};
    for (const int m : rows) {
      for (const int n : columns) {
        for (const int k : depths) {
          if (m * n * k > 2000000) continue;
          const auto a = random.reals(m * k), b = random.reals(k * n), start = random.reals(m * n);
          const auto plain = [&](int i, int j) {
            double sum = start[static_cast<std::size_t>(i * n + j)];
            for (int d = 0; d < k; ++d)
              sum += double{a[static_cast<std::size_t>(i * k + d)]} * b[static_cast<std::size_t>(d * n + j)];
            return sum;
          };
          std::vector<double> expected;
          for (int i = 0; i < m; ++i) {
            for (int j = 0; j < n; ++j) expected.push_back(plain(i, j));
          }
          std::vector<float> direct = start, copied = start;
          multiplyAdd(
              m, n, k, a.data(),
              [&](auto row, auto first, int, float*) {
                return &b[static_cast<std::size_t>(row * n + first)];
              },
              direct.data());
          multiplyAdd(
              m, n, k, a.data(),
              [&](auto row, auto first, int count, float* buffer) {
                std::copy_n(&b[static_cast<std::size_t>(row * n + first)], count, buffer);
                return buffer;
              },
              copied.data());
          checkClose(direct, expected, 1e-5);
          REQUIRE(direct == copied);
          if (n == 1) {
            std::vector<float> vector = start;
            multiplyAddVector(m, k, a.data(), b.data(), vector.data());
            checkClose(vector, expected, 1e-5);
          }
        }
      }
    }
  }

  TEST_CASE("products of integers: exact, beside the float ones, at the ends of their ranges") {
    SmallRandom random(12);
    for (const int m : {1, 4, 67}) {
      for (const int n : {1, 4, 7, 13, 260}) {
        for (const int k : {1, 2, 3, 255, 256, 257, 600}) {
          std::vector<float> a, b;
          for (int i = 0; i < m * k; ++i) a.push_back(static_cast<float>(random.between(-510, 510)));
          for (int i = 0; i < k * n; ++i) b.push_back(static_cast<float>(random.between(-255, 255)));
          std::vector<float> sums(static_cast<std::size_t>(m) * n, 3.0F);
          multiplyAddIntegers(
              m, n, k, a.data(),
              [&](auto row, auto first, int, float*) {
                return &b[static_cast<std::size_t>(row * n + first)];
              },
              sums.data());
          bool equal = true;
          for (int i = 0; i < m; ++i) {
            for (int j = 0; j < n; ++j) {
              std::int64_t sum = 3;
              for (int d = 0; d < k; ++d) {
                sum += static_cast<std::int64_t>(a[static_cast<std::size_t>(i * k + d)]) *
                       static_cast<std::int64_t>(b[static_cast<std::size_t>(d * n + j)]);
              }
              equal &= sums[static_cast<std::size_t>(i * n + j)] == static_cast<float>(sum);
            }
          }
          REQUIRE(equal);
        }
      }
    }
    const std::vector<float> largest(256, 2048.0F), other(256, -2047.0F);
    float sum = 0;
    multiplyAddIntegers(
        1, 1, 256, largest.data(), [&](auto row, auto, int, float*) { return &other[row]; }, &sum);
    CHECK(sum == -2048.0F * 2047 * 256);
  }

  TEST_CASE("convolutions of many shapes") {
    CHECK(checkConv({3, 33, 31}, 10, squareWindow(7, 2, 3), 1, 1));
    CHECK(checkConv({40, 9, 9}, 33, squareWindow(3, 1, 1), 1, 2));  // deeper than one block
    CHECK(checkConv({16, 20, 20}, 65, {}, 1, 3));                   // more rows and columns than one block
    CHECK(checkConv({300, 1, 1}, 17, {}, 1, 4));                    // fully connected
    CHECK(checkConv({300, 1, 1}, 18, {}, 6, 5));
    CHECK(checkConv({12, 15, 13}, 12, squareWindow(3, 1, 1), 12, 6));  // depthwise
    CHECK(checkConv({12, 15, 13}, 24, squareWindow(3, 2, 1), 12, 7));  // with a multiplier
    CHECK(checkConv({5, 40, 2}, 1, {5, 2, 3, 1, 2, 1, 4, 0, 3, 1}, 1, 8));
    CHECK(checkConv({4, 3, 3}, 8, squareWindow(3), 1, 9));         // to a single pixel
    CHECK(checkConv({4, 6, 6}, 8, squareWindow(1, 2), 1, 10));     // strided 1x1
    CHECK(checkConv({4, 2, 2}, 8, squareWindow(1, 1, 3), 1, 11));  // outputs of nothing but padding
    CHECK(checkConv({2, 1, 300}, 4, {1, 2, 1, 1, 1, 299, 0, 0, 0, 0}, 1, 12));
    SmallRandom random(21);
    int fitting = 0;
    for (std::uint32_t trial = 0; trial < 400; ++trial) {
      const int groups = random.between(1, 4);
      Window w{random.between(1, 4), random.between(1, 4), random.between(1, 3), random.between(1, 3),
               random.between(1, 3), random.between(1, 3), random.below(4),      random.below(4),
               random.below(4),      random.below(4)};
      const Shape in{groups * random.between(1, 4), random.between(1, 12), random.between(1, 20)};
      const bool fits = checkConv(in, groups * random.between(1, 7), w, groups, 100 + trial);
      fitting += fits ? 1 : 0;
    }
    CHECK(fitting > 200);
  }

  TEST_CASE("pools of many shapes, ceil_mode included") {
    SmallRandom random(31);
    int overhanging = 0, tried = 0;
    for (int trial = 0; trial < 3000; ++trial) {
      const Window w{random.between(1, 4), random.between(1, 4), random.between(1, 3), random.between(1, 3),
                     random.between(1, 2), random.between(1, 2), random.below(3),      random.below(3),
                     random.below(3),      random.below(3)};
      GraphBuilder b({random.between(1, 3), random.between(1, 11), random.between(1, 11)}, 7);
      const int extra_h = random.below(2), extra_w = random.below(2);
      const Pool kind = random.below(2) == 0 ? Pool::kMax : Pool::kAverage;
      b.pool(0, kind, w, random.below(2) == 0, extra_h, extra_w);
      if (!validateGraph(b.graph).ok()) continue;
      ++tried;
      overhanging += extra_h + extra_w > 0 ? 1 : 0;
      const std::vector<float> image = b.random.reals(b.shape(0).size());
      checkClose(run(b, image),
                 plainPool(std::get<PoolOp>(b.graph.nodes[1].op), b.shape(0), b.shape(1), image), 1e-6);
    }
    CHECK(tried > 300);
    CHECK(overhanging > 50);
  }

  // torch.nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=...) of ones, 6 x 6.
  TEST_CASE("average pools divide as torch does") {
    const std::vector<float> ones(36, 1.0F);
    for (const bool include : {true, false}) {
      GraphBuilder b({1, 6, 6});
      b.pool(0, Pool::kAverage, squareWindow(3, 2, 1), include, 1, 1);
      const std::vector<double> row = {2 / 3., 1, 1, .5};
      std::vector<double> expected;
      for (const double y : row) {
        for (const double x : row) expected.push_back(include ? x * y : 1);
      }
      checkClose(run(b, ones), expected, 1e-6);
    }
  }

  TEST_CASE("activations") {
    const Shape shape{2, 2, 3};
    const std::vector<float> x = {-9, -3.5F, -1, -.25F, 0, .25F, 1, 2.75F, 3, 6, 7, -2};
    const auto expect = [&](ActivationOp op, auto f) {
      std::vector<double> expected;
      for (std::size_t i = 0; i < x.size(); ++i) expected.push_back(f(double{x[i]}, i / 6));
      CAPTURE(opName(op));
      checkClose(pointwise(op, shape, x), expected, 1e-6);
    };
    const auto clamp = [](double v, double low, double high) { return std::min(std::max(v, low), high); };
    ActivationOp op;
    expect(op, [](double v, std::size_t) { return std::max(v, 0.0); });
    op = {Activation::kClip, -1, 6, 0, 0, {}};
    expect(op, [&](double v, std::size_t) { return clamp(v, -1, 6); });
    op = {Activation::kLeakyRelu, 0, 0, .1F, 0, {}};
    expect(op, [](double v, std::size_t) { return v < 0 ? v * .1 : v; });
    op = {Activation::kPRelu, 0, 0, 0, 0, {.5F, -2}};
    expect(op, [](double v, std::size_t c) { return v < 0 ? v * (c == 0 ? .5 : -2) : v; });
    op = {Activation::kSigmoid, 0, 0, 0, 0, {}};
    expect(op, [](double v, std::size_t) { return 1 / (1 + std::exp(-v)); });
    op = {Activation::kHardSigmoid, 0, 0, .2F, .5F, {}};
    expect(op, [&](double v, std::size_t) { return clamp(.2 * v + .5, 0, 1); });
    op = {Activation::kHardSwish, 0, 0, 0, 0, {}};
    expect(op, [&](double v, std::size_t) { return v * clamp(v / 6 + .5, 0, 1); });
  }

  TEST_CASE("affine, add, multiply, concat, reshape") {
    GraphBuilder b({2, 1, 2});
    const int affine = b.add(ChannelAffineOp{{2, -1}, {1, 3}}, {0}, {2, 1, 2});
    const int sum = b.sum(0, affine);
    const int product = b.add(MulOp{}, {sum, affine}, {2, 1, 2});
    const int cat = b.add(ConcatOp{}, {product, 0, affine}, {6, 1, 2});
    b.reshape(cat, {12, 1, 1});
    // x = 1 2 | 3 4; affine = 3 5 | 0 -1; sum = 4 7 | 3 3; product = 12 35 | 0 -3
    checkClose(run(b, {1, 2, 3, 4}), {12, 35, 0, -3, 1, 2, 3, 4, 3, 5, 0, -1}, 0);
    GraphBuilder gate({2, 1, 2});
    const int mean = gate.pool(0, Pool::kAverage, {1, 2, 1, 1, 1, 1, 0, 0, 0, 0});
    gate.add(MulOp{}, {0, mean}, {2, 1, 2});
    checkClose(run(gate, {1, 3, 4, 8}), {2, 6, 24, 48}, 1e-6);
  }

  TEST_CASE("local response normalization") {
    SmallRandom random(41);
    for (const int size : {1, 2, 3, 5, 9}) {
      const Shape shape{6, 2, 3};
      const std::vector<float> x = random.reals(shape.size());
      std::vector<double> expected;
      for (int c = 0; c < 6; ++c) {
        for (int p = 0; p < 6; ++p) {
          double squares = 0;
          for (int i = 0; i < 6; ++i) {
            const double v = x[static_cast<std::size_t>(i * 6 + p)];
            // ONNX: from c - floor((size - 1) / 2) to c + ceil((size - 1) / 2)
            if (i >= c - (size - 1) / 2 && i <= c + size / 2) squares += v * v;
          }
          expected.push_back(x[static_cast<std::size_t>(c * 6 + p)] / std::pow(2 + .5 / size * squares, .75));
        }
      }
      CAPTURE(size);
      checkClose(pointwise(LrnOp{size, .5F, .75F, 2}, shape, x), expected, 1e-6);
    }
  }

  TEST_CASE("pad and slice undo each other") {
    GraphBuilder b({3, 4, 5});
    PadOp pad{{1, 2, 3}, {2, 0, 1}, 7};
    const int padded = b.add(pad, {0}, {6, 6, 9});
    SliceOp slice;
    std::copy_n(pad.before, 3, slice.start);
    b.add(slice, {padded}, {3, 4, 5});
    const std::vector<float> image = b.random.reals(60);
    CHECK(run(b, image) == image);
    b.graph.output = padded;
    const std::vector<float> all = run(b, image);
    CHECK(std::count(all.begin(), all.end(), 7.0F) == 6 * 6 * 9 - 60);
  }

  TEST_CASE("slice with steps") {
    GraphBuilder b({4, 3, 4});
    SliceOp slice{{1, 0, 1}, {2, 2, 2}};
    b.add(slice, {0}, {2, 2, 2});
    std::vector<float> image(48);
    for (std::size_t i = 0; i < image.size(); ++i) image[i] = static_cast<float>(i);
    checkClose(run(b, image), {13, 15, 21, 23, 37, 39, 45, 47}, 0);
  }

  TEST_CASE("softmax, of large numbers too") {
    const std::vector<float> y = pointwise(SoftmaxOp{}, {3, 1, 1}, {1000, 1001, 999});
    const double sum = std::exp(-1) + 1 + std::exp(-2);
    checkClose(y, {std::exp(-1) / sum, 1 / sum, std::exp(-2) / sum}, 1e-6);
  }

  TEST_CASE("an image of the wrong size is refused") {
    const GraphBuilder b({3, 4, 4});
    const Result<std::vector<float>> result = evaluate(b.graph, std::vector<float>(47));
    REQUIRE(!result.ok());
    CHECK(result.error().code == ErrorCode::kBadImage);
    CHECK(result.error().message.find("48") != std::string::npos);
  }

  TEST_CASE("the observer sees every node in order, and values that evaluateNode reproduces") {
    GraphBuilder b({4, 5, 5});
    const int conv = b.conv(0, 4, squareWindow(3, 1, 1));
    const int unread = b.activation(conv, Activation::kSigmoid);
    const int sum = b.sum(conv, 0);
    b.graph.output = b.activation(sum);
    b.add(SliceOp{}, {unread}, {1, 1, 1});  // after the output, read by nothing
    b.graph.output = sum + 1;
    const std::vector<float> image = b.random.reals(100);
    std::vector<std::vector<float>> seen;
    const auto result = evaluate(b.graph, image, [&](int node, std::span<const float> values) {
      CHECK(node == static_cast<int>(seen.size()));
      seen.emplace_back(values.begin(), values.end());
    });
    REQUIRE(result.ok());
    REQUIRE(seen.size() == b.graph.nodes.size());
    CHECK(seen[0] == image);
    CHECK(seen[static_cast<std::size_t>(b.graph.output)] == *result);
    for (std::size_t i = 1; i < seen.size(); ++i) {
      std::vector<std::span<const float>> inputs;
      for (const int input : b.graph.nodes[i].inputs)
        inputs.emplace_back(seen[static_cast<std::size_t>(input)]);
      std::vector<float> again(seen[i].size());
      evaluateNode(b.graph, static_cast<int>(i), inputs, again);
      CHECK(again == seen[i]);
    }
  }

  TEST_CASE("in portions: a node at a time, and the same result") {
    GraphBuilder b({4, 5, 5});
    const int conv = b.conv(0, 4, squareWindow(3, 1, 1));
    b.activation(b.sum(conv, 0));
    const std::vector<float> image = b.random.reals(100);
    const auto whole = evaluate(b.graph, image);
    REQUIRE(whole.ok());
    auto evaluation = Evaluation::begin(b.graph, image);
    REQUIRE(evaluation.ok());
    for (int node = 1; node < static_cast<int>(b.graph.nodes.size()); ++node) {
      CHECK(!evaluation->done());
      REQUIRE(evaluation->step().ok());
      CHECK(evaluation->node() == node);
    }
    REQUIRE(evaluation->done());
    CHECK(std::equal(whole->begin(), whole->end(), evaluation->result().begin(), evaluation->result().end()));
  }

  // No function of the C library is involved, so native builds and every wasm engine must agree to the last
  // bit.
  TEST_CASE("the same bytes on every machine") {
    GraphBuilder b({3, 24, 24}, 99);
    int x = b.activation(b.conv(0, 18, squareWindow(5, 2, 2)));
    x = b.activation(b.conv(x, 18, squareWindow(3, 1, 1), 18), Activation::kHardSwish);
    x = b.sum(x, b.conv(x, 18, squareWindow(3, 1, 1)));
    x = b.pool(b.affine(x), Pool::kAverage, squareWindow(12));
    b.conv(x, 37);
    CHECK(hashBytes(run(b, b.random.reals(b.shape(0).size()))) == 0xA02C716DC5E48DCCU);
  }
}

}  // namespace trefoil
