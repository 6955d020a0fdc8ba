// Small networks that between them use every lowering of quantize(), and pictures to run them on.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "graph_builder.h"
#include "quantize/quantize.h"

namespace trefoil::testing {

// GraphBuilder whose convolutions keep the size of their values about constant.
class NetBuilder : public GraphBuilder {
 public:
  using GraphBuilder::GraphBuilder;

  int layer(int input, int filters, int kernel, int stride = 1, int groups = 1) {
    const int node = conv(input, filters, squareWindow(kernel, stride, kernel / 2), groups);
    auto& op = std::get<ConvOp>(graph.nodes[node].op);
    const double fan_in = static_cast<double>(op.weights.size()) / filters;
    for (float& w : op.weights) w *= static_cast<float>(1.7 / std::sqrt(fan_in));
    for (float& b : op.bias) b *= .5F;
    return node;
  }
  int relu(int input) { return activation(input, Activation::kRelu); }
  int averageAll(int input) { return pool(input, Pool::kAverage, {shape(input).height, shape(input).width}); }
  int classifier(int input, int classes) { return layer(averageAll(input), classes, 1); }
  int multiply(int a, int b) { return add(MulOp{}, {a, b}, shape(a)); }
  int concat(std::vector<int> inputs) {
    Shape out = shape(inputs[0]);
    out.channels = 0;
    for (const int input : inputs) out.channels += shape(input).channels;
    return add(ConcatOp{}, std::move(inputs), out);
  }
};

inline constexpr std::uint32_t kSeed = 11;  // of the calibration pictures

// Smooth pictures with some noise; the same numbers everywhere.
inline std::vector<std::vector<std::uint8_t>> pictures(int count, Shape shape, std::uint32_t seed) {
  SmallRandom random(seed);
  std::vector<std::vector<std::uint8_t>> result;
  for (int i = 0; i < count; ++i) {
    std::vector<std::uint8_t> picture;
    for (int c = 0; c < shape.channels; ++c) {
      const int base = random.between(40, 215), dx = random.between(-8, 8), dy = random.between(-8, 8);
      for (int y = 0; y < shape.height; ++y) {
        for (int x = 0; x < shape.width; ++x) {
          const int value =
              base + dx * (x - shape.width / 2) + dy * (y - shape.height / 2) + random.between(-25, 25);
          picture.push_back(static_cast<std::uint8_t>(std::min(std::max(value, 0), 255)));
        }
      }
    }
    result.push_back(std::move(picture));
  }
  return result;
}

// Plain groups with free scales: what most tests are not about takes no time.
inline QuantizeInput quantizeInput(Graph graph, int images = 16) {
  QuantizeInput input;
  input.recipe.method = Method::kFgq;
  input.recipe.scale_levels = kFreeScales;
  input.images = pictures(images, graph.inputShape(), kSeed);
  input.graph = std::move(graph);
  const float mean[3] = {.485F, .456F, .406F}, std[3] = {.229F, .224F, .225F};
  for (int c = 0; c < 3; ++c) {
    input.preprocess.mean[c] = mean[c];
    input.preprocess.std[c] = std[c];
  }
  return input;
}

struct NetCase {
  std::string name;
  std::function<void(NetBuilder&)> build;  // on an input of 3 x 12 x 12
  std::vector<std::string> operations;  // that the quantized model must hold (opName), the others it must not
};

inline Graph buildCase(const NetCase& net, Shape input = {3, 12, 12}) {
  NetBuilder b(input, 5);
  b.graph.name = net.name;
  net.build(b);
  return std::move(b.graph);
}

inline int stem(NetBuilder& b) { return b.relu(b.layer(0, 8, 3)); }

inline const std::vector<NetCase>& netCases() {
  static const std::vector<NetCase> cases = {
      {"relu",
       [](NetBuilder& b) { b.classifier(b.relu(b.layer(stem(b), 12, 3, 2)), 5); },
       {"int8_conv", "ternary_conv", "average_pool"}},
      {"clip with two bounds",
       [](NetBuilder& b) { b.classifier(b.activation(b.layer(stem(b), 8, 3), Activation::kClip), 5); },
       {"int8_conv", "ternary_conv", "average_pool"}},
      {"linear bottleneck",
       [](NetBuilder& b) { b.classifier(b.relu(b.layer(b.layer(stem(b), 8, 1), 16, 3)), 5); },
       {"int8_conv", "ternary_conv", "average_pool"}},
      {"depthwise",
       [](NetBuilder& b) { b.classifier(b.relu(b.layer(b.relu(b.layer(stem(b), 8, 3, 1, 8)), 8, 1)), 5); },
       {"int8_conv", "ternary_conv", "average_pool"}},
      {"groups",
       [](NetBuilder& b) { b.classifier(b.relu(b.layer(stem(b), 8, 3, 1, 2)), 5); },
       {"int8_conv", "ternary_conv", "average_pool"}},
      {"batch norm",
       [](NetBuilder& b) { b.classifier(b.relu(b.affine(b.layer(b.relu(b.affine(stem(b))), 8, 3))), 5); },
       {"int8_conv", "ternary_conv", "average_pool"}},
      {"leaky relu",
       [](NetBuilder& b) { b.classifier(b.activation(b.layer(stem(b), 8, 3), Activation::kLeakyRelu), 5); },
       {"int8_conv", "ternary_conv", "lookup", "average_pool"}},
      {"prelu",
       [](NetBuilder& b) { b.classifier(b.activation(b.layer(stem(b), 8, 3), Activation::kPRelu), 5); },
       {"int8_conv", "ternary_conv", "lookup", "average_pool"}},
      {"sigmoid",
       [](NetBuilder& b) { b.classifier(b.activation(b.layer(stem(b), 8, 3), Activation::kSigmoid), 5); },
       {"int8_conv", "ternary_conv", "lookup", "average_pool"}},
      {"hard sigmoid",
       [](NetBuilder& b) { b.classifier(b.activation(b.layer(stem(b), 8, 3), Activation::kHardSigmoid), 5); },
       {"int8_conv", "ternary_conv", "lookup", "average_pool"}},
      {"hard swish",
       [](NetBuilder& b) { b.classifier(b.activation(b.layer(stem(b), 8, 3), Activation::kHardSwish), 5); },
       {"int8_conv", "ternary_conv", "lookup", "average_pool"}},
      {"silu is one table",
       [](NetBuilder& b) {
         const int x = b.layer(stem(b), 8, 3);
         b.classifier(b.multiply(x, b.activation(x, Activation::kSigmoid)), 5);
       },
       {"int8_conv", "ternary_conv", "lookup", "average_pool"}},
      {"squeeze and excite",
       [](NetBuilder& b) {
         const int x = stem(b);
         const int squeezed = b.relu(b.layer(b.averageAll(x), 4, 1));
         const int gate = b.activation(b.layer(squeezed, 8, 1), Activation::kSigmoid);
         b.classifier(b.relu(b.layer(b.multiply(x, gate), 8, 3)), 5);
       },
       {"int8_conv", "ternary_conv", "lookup", "mul", "average_pool"}},
      {"products of two signed maps",
       [](NetBuilder& b) {
         const int x = stem(b);
         b.classifier(b.relu(b.multiply(b.layer(x, 8, 1), b.layer(x, 8, 3))), 5);
       },
       {"int8_conv", "ternary_conv", "mul", "average_pool"}},
      {"residual with relu",
       [](NetBuilder& b) {
         const int x = stem(b);
         b.classifier(b.relu(b.sum(b.layer(x, 8, 3), x)), 5);
       },
       {"add", "int8_conv", "ternary_conv", "average_pool"}},
      {"linear residual",
       [](NetBuilder& b) {
         const int x = b.layer(stem(b), 8, 1);
         b.classifier(b.relu(b.layer(b.sum(b.layer(b.relu(b.layer(x, 12, 3)), 8, 1), x), 8, 1)), 5);
       },
       {"add", "int8_conv", "ternary_conv", "average_pool"}},
      {"relu after max pool",
       [](NetBuilder& b) {
         b.classifier(b.relu(b.pool(b.layer(stem(b), 8, 3), Pool::kMax, squareWindow(3, 2, 1))), 5);
       },
       {"int8_conv", "ternary_conv", "average_pool", "max_pool"}},
      {"linear max pool",
       [](NetBuilder& b) { b.classifier(b.pool(b.layer(stem(b), 8, 3), Pool::kMax, squareWindow(2, 2)), 5); },
       {"int8_conv", "ternary_conv", "average_pool", "max_pool"}},
      {"average pool beyond the border",
       [](NetBuilder& b) {
         b.classifier(b.layer(b.pool(stem(b), Pool::kAverage, squareWindow(3, 2, 1)), 8, 1), 5);
       },
       {"int8_conv", "ternary_conv", "average_pool"}},
      {"average pool counting pads",
       [](NetBuilder& b) {
         b.classifier(b.layer(b.pool(stem(b), Pool::kAverage, squareWindow(3, 1, 1), true), 8, 1), 5);
       },
       {"int8_conv", "ternary_conv", "average_pool"}},
      {"concat",
       [](NetBuilder& b) {
         const int x = stem(b);
         b.classifier(b.relu(b.layer(b.concat({b.relu(b.layer(x, 4, 1)), b.layer(x, 4, 3)}), 8, 1)), 5);
       },
       {"concat", "int8_conv", "ternary_conv", "average_pool"}},
      {"concat of a large and a small range",
       [](NetBuilder& b) {
         const int x = stem(b);
         const int large = b.relu(b.layer(x, 4, 3));
         auto& op = std::get<ConvOp>(b.graph.nodes[b.graph.nodes[large].inputs[0]].op);
         for (float& w : op.weights) w *= 6;
         b.classifier(b.relu(b.layer(b.concat({large, x, b.layer(x, 4, 1)}), 8, 1)), 5);
       },
       {"concat", "int8_conv", "ternary_conv", "average_pool", "rescale"}},
      {"dense block",
       [](NetBuilder& b) {
         // Growing concatenations of maps of very different ranges.
         std::vector<int> maps = {stem(b)};
         for (const float range : {.2F, 5.F, .1F, 1.F}) {
           const int map = b.layer(maps.size() == 1 ? maps[0] : b.concat(maps), 4, 3);
           for (float& w : std::get<ConvOp>(b.graph.nodes[map].op).weights) w *= range;
           maps.push_back(b.relu(map));
         }
         b.classifier(b.relu(b.layer(b.concat(maps), 8, 1)), 5);
       },
       {"concat", "int8_conv", "ternary_conv", "average_pool", "rescale"}},
      {"pad, slice and reshape",
       [](NetBuilder& b) {
         int x = b.pad(stem(b), 1, 0, 2, 1, .5F);
         SliceOp slice;
         slice.start[1] = 1;
         slice.step[1] = slice.step[2] = 2;
         x = b.relu(b.layer(b.add(slice, {x}, {8, 7, 6}), 4, 3));
         b.layer(b.reshape(x, {168, 1, 1}), 5, 1);
       },
       {"int8_conv", "ternary_conv", "pad", "reshape", "slice"}},
      {"channel pad of a shortcut",
       [](NetBuilder& b) {
         const int x = stem(b);
         SliceOp slice;
         slice.step[1] = slice.step[2] = 2;
         PadOp pad;
         pad.before[0] = pad.after[0] = 4;
         const int shortcut = b.add(pad, {b.add(slice, {x}, {8, 6, 6})}, {16, 6, 6});
         b.classifier(b.relu(b.sum(b.layer(x, 16, 3, 2), shortcut)), 5);
       },
       {"add", "int8_conv", "ternary_conv", "pad", "average_pool", "slice"}},
      {"local response normalization",
       [](NetBuilder& b) {
         LrnOp lrn;
         lrn.size = 5;
         lrn.alpha = .5F;
         lrn.bias = 2;
         const int x = stem(b);
         b.classifier(b.relu(b.layer(b.add(lrn, {x}, b.shape(x)), 8, 1)), 5);
       },
       {"int8_conv", "ternary_conv", "lrn", "average_pool"}},
      {"input read by a pool",
       [](NetBuilder& b) {
         b.classifier(b.relu(b.layer(b.pool(0, Pool::kMax, squareWindow(2, 2)), 8, 3)), 5);
       },
       {"int8_conv", "average_pool", "max_pool"}},
      {"activation read twice",
       [](NetBuilder& b) {
         const int x = b.layer(stem(b), 8, 3);
         b.classifier(b.sum(b.layer(b.relu(x), 8, 3), x), 5);
       },
       {"add", "int8_conv", "ternary_conv", "lookup", "average_pool"}},
      {"ends in an average pool",
       [](NetBuilder& b) { b.averageAll(b.relu(b.layer(stem(b), 5, 1))); },
       {"int8_conv", "average_pool"}},
      {"ends in a relu",
       [](NetBuilder& b) { b.relu(b.classifier(stem(b), 5)); },
       {"int8_conv", "average_pool"}},
      {"ends in a reshape and softmax",
       [](NetBuilder& b) { b.add(SoftmaxOp{}, {b.reshape(b.classifier(stem(b), 5), {5, 1, 1})}, {5, 1, 1}); },
       {"int8_conv", "average_pool"}},
      {"fully connected only",
       [](NetBuilder& b) { b.layer(b.relu(b.layer(b.reshape(0, {432, 1, 1}), 24, 1)), 5, 1); },
       {"int8_conv", "reshape"}},
  };
  return cases;
}

}  // namespace trefoil::testing
