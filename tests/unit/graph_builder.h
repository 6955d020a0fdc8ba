// Builds small float graphs for tests. Header-only; everything is inline or a template.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace trefoil::testing {

// A small generator with the same numbers on every platform (the standard distributions differ).
class SmallRandom {
 public:
  explicit SmallRandom(std::uint32_t seed) : state_(seed * 2654435761U + 1) {}
  // 0 .. count - 1
  int below(int count) { return static_cast<int>(next() % static_cast<std::uint32_t>(count)); }
  int between(int low, int high) { return low + below(high - low + 1); }
  // -1 .. 1 in steps of 1 / 1024
  float real() { return static_cast<float>(between(-1024, 1024)) / 1024.0F; }
  std::vector<float> reals(std::int64_t count) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& v : values) v = real();
    return values;
  }

 private:
  std::uint32_t next() {  // xorshift32
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    return state_;
  }
  std::uint32_t state_;
};

// Adds nodes one by one; the last one is the output.
class GraphBuilder {
 public:
  explicit GraphBuilder(Shape input, std::uint32_t seed = 1) : random(seed) {
    add(InputOp{}, {}, input, "input");
  }

  int add(Op op, std::vector<int> inputs, Shape shape, std::string name = "") {
    const auto index = static_cast<int>(graph.nodes.size());
    if (name.empty()) name = "node" + std::to_string(index);
    graph.nodes.push_back({std::move(name), std::move(op), std::move(inputs), shape});
    graph.output = index;
    return index;
  }

  const Shape& shape(int node) const { return graph.nodes[static_cast<std::size_t>(node)].shape; }

  int conv(int input, int filters, Window window = {}, int groups = 1) {
    const Shape in = shape(input);
    ConvOp op;
    op.window = window;
    op.groups = groups;
    op.weights =
        random.reals(std::int64_t{filters} * (in.channels / groups) * window.kernel_h * window.kernel_w);
    op.bias = random.reals(filters);
    return add(std::move(op), {input}, windowShape(in, filters, window));
  }

  int affine(int input) {
    ChannelAffineOp op;
    op.scale = random.reals(shape(input).channels);
    op.shift = random.reals(shape(input).channels);
    return add(std::move(op), {input}, shape(input));
  }

  int activation(int input, Activation kind = Activation::kRelu) {
    ActivationOp op;
    op.kind = kind;
    if (kind == Activation::kClip) op.low = -.25F, op.high = .5F;
    if (kind == Activation::kLeakyRelu) op.alpha = .125F;
    if (kind == Activation::kHardSigmoid) op.alpha = .2F, op.beta = .5F;
    if (kind == Activation::kPRelu) op.slopes = random.reals(shape(input).channels);
    return add(std::move(op), {input}, shape(input));
  }

  int pool(int input, Pool kind, Window window, bool count_include_pad = false, int extra_h = 0,
           int extra_w = 0) {
    PoolOp op;
    op.kind = kind;
    op.window = window;
    op.count_include_pad = count_include_pad;
    Shape out = windowShape(shape(input), shape(input).channels, window);
    out.height += extra_h;
    out.width += extra_w;
    return add(op, {input}, out);
  }

  // Rows and columns.
  int pad(int input, int top, int left, int bottom, int right, float value = 0) {
    PadOp op;
    op.before[1] = top;
    op.before[2] = left;
    op.after[1] = bottom;
    op.after[2] = right;
    op.value = value;
    const Shape in = shape(input);
    return add(op, {input}, {in.channels, in.height + top + bottom, in.width + left + right});
  }

  int reshape(int input, Shape to) { return add(ReshapeOp{}, {input}, to); }
  int sum(int a, int b) { return add(AddOp{}, {a, b}, shape(a)); }

  static Shape windowShape(Shape in, int channels, const Window& w) {
    return {channels, windowOutput(in.height, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom),
            windowOutput(in.width, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left, w.pad_right)};
  }

  Graph graph;
  SmallRandom random;
};

// kernel x kernel with equal strides and pads.
inline Window squareWindow(int kernel, int stride = 1, int pad = 0) {
  return {kernel, kernel, stride, stride, 1, 1, pad, pad, pad, pad};
}

}  // namespace trefoil::testing
