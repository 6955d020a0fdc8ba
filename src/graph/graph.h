// The float network: one image in, one vector of class scores out, in NCHW without the batch dimension.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/shape.h"

namespace trefoil {

struct InputOp {};

// Mean and deviation of every channel of a result over the images that the network was trained on, as a batch
// norm knows them; empty where nothing says.
struct TrainedMoments {
  std::vector<float> mean, deviation;
};

// y[k] = bias[k] + sum over (c, r, s) of weights[k][c][r][s] * x[...]; weights are [K][C / groups][R][S]
// (ONNX's order). A fully connected layer is a 1x1 convolution over a {features, 1, 1} input. Padding is with
// zeros.
struct ConvOp {
  Window window;
  int groups = 1;
  std::vector<float> weights;
  std::vector<float> bias;  // K entries, always present
  TrainedMoments trained = {};
};

// y[c] = scale[c] * x[c] + shift[c]: batch norm at inference, and arithmetic with constants. One entry a
// channel.
struct ChannelAffineOp {
  std::vector<float> scale;
  std::vector<float> shift;
  TrainedMoments trained = {};
};

enum class Activation { kRelu, kClip, kLeakyRelu, kPRelu, kSigmoid, kHardSigmoid, kHardSwish };

// kClip: [low, high] (either may be infinite). kLeakyRelu: alpha. kHardSigmoid: clamp(alpha x + beta, 0, 1).
// kPRelu: slopes, one a channel. The others take no parameter.
struct ActivationOp {
  Activation kind = Activation::kRelu;
  float low = 0, high = 0;
  float alpha = 0, beta = 0;
  std::vector<float> slopes;
};

struct AddOp {};     // two inputs of equal shape
struct MulOp {};     // x of any shape times y of the same shape or {C, 1, 1} (always the second input)
struct ConcatOp {};  // along channels, two or more inputs

enum class Pool { kMax, kAverage };

// Average: divided by the part of the window inside the padded image where count_include_pad, else by the
// part inside the image. With ceil_mode (the node's shape tells) the last window may reach beyond the padded
// image, but it starts before the pads after the image. Every window has a tap inside the image.
struct PoolOp {
  Pool kind = Pool::kMax;
  Window window;
  bool count_include_pad = false;
};

// y[c] = x[c] / (bias + alpha / size * sum of x^2 over `size` channels around c) ^ beta
struct LrnOp {
  int size = 5;
  float alpha = 1e-4F, beta = .75F, bias = 1;
};

// Extends by `value`; entries are before/after for channels, rows, columns, all >= 0.
struct PadOp {
  int before[3] = {0, 0, 0};
  int after[3] = {0, 0, 0};
  float value = 0;
};

// y[i] = x[start + i * step] in each of channels, rows, columns; steps >= 1; the node's shape gives the
// counts.
struct SliceOp {
  int start[3] = {0, 0, 0};
  int step[3] = {1, 1, 1};
};

struct ReshapeOp {};  // same elements in C, H, W order under another shape
struct SoftmaxOp {};  // over all features of a {F, 1, 1} input

using Op = std::variant<InputOp, ConvOp, ChannelAffineOp, ActivationOp, AddOp, MulOp, ConcatOp, PoolOp, LrnOp,
                        PadOp, SliceOp, ReshapeOp, SoftmaxOp>;

// One operation and the one value it yields. `inputs` index earlier nodes of the graph.
struct Node {
  std::string name;  // unique; the ONNX node's name, or its output's where it has none
  Op op;
  std::vector<int> inputs;
  Shape shape;  // of the result
};

// Nodes in topological order; node 0 is the InputOp and the only one; `output` is the node with the class
// scores.
struct Graph {
  std::string name;
  std::vector<Node> nodes;
  int output = 0;
  const Shape& inputShape() const { return nodes.front().shape; }
};

std::string_view opName(const Op& op);  // "Conv", "ChannelAffine", ...

// Output size of a window over `in` elements: floor((in + pads - dilated kernel) / stride) + 1, or 0 where it
// can't fit.
int windowOutput(int in, int kernel, int stride, int dilation, int pad_before, int pad_after);

// Checks everything the rest of the library relies on: order, arity, shapes against operators, weight counts,
// finite weights. Errors: kBadShape, kGraphCycle, kMissingInitializer.
Result<void> validateGraph(const Graph& graph);

// Multiply-accumulates of one image in one node; 0 for all but convolutions.
std::int64_t countMacs(const Graph& graph, int node);

}  // namespace trefoil
