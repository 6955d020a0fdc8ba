#include "graph/float_ops.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "graph/window.h"

namespace trefoil {
namespace {

// y[i] = f(x[i])
template <typename F>
void mapValues(std::int64_t count, const float* x, float* y, F f) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = f(x[i]);
}

// The maximum of a pool's window, or its sum. `x` is one channel; rows and columns are the taps inside the
// image.
template <bool kIsMax>
double reduceWindow(const float* x, int width, const WindowAxis& rows, const WindowAxis& columns,
                    IndexRange r, IndexRange s, int oy, int ox) {
  double result = kIsMax ? -std::numeric_limits<double>::infinity() : 0.0;
  for (int i = r.begin; i < r.end; ++i) {
    const float* row = x + (rows.start(oy) + std::int64_t{i} * rows.dilation) * width + columns.start(ox);
    for (int j = s.begin; j < s.end; ++j) {
      const double value = row[std::int64_t{j} * columns.dilation];
      result = kIsMax ? std::max(result, value) : result + value;
    }
  }
  return result;
}

}  // namespace

void evaluatePool(const PoolOp& op, const Shape& in, const Shape& out, const float* x, float* y) {
  const WindowAxis rows = rowsOf(op.window), columns = columnsOf(op.window);
  for (int c = 0; c < out.channels; ++c) {
    for (int oy = 0; oy < out.height; ++oy) {
      const IndexRange r = rows.taps(oy, in.height);
      const int counted_rows = op.count_include_pad ? rows.paddedTaps(oy, in.height) : r.count();
      for (int ox = 0; ox < out.width; ++ox) {
        const IndexRange s = columns.taps(ox, in.width);
        if (op.kind == Pool::kMax) {
          *y++ = static_cast<float>(reduceWindow<true>(x, in.width, rows, columns, r, s, oy, ox));
        } else {
          const int counted_columns = op.count_include_pad ? columns.paddedTaps(ox, in.width) : s.count();
          const double area = static_cast<double>(counted_rows) * counted_columns;
          *y++ = static_cast<float>(reduceWindow<false>(x, in.width, rows, columns, r, s, oy, ox) / area);
        }
      }
    }
    x += in.plane();
  }
}

void evaluateActivation(const ActivationOp& op, const Shape& shape, const float* x, float* y) {
  const std::int64_t count = shape.size();
  switch (op.kind) {
    case Activation::kRelu:
      mapValues(count, x, y, [](float v) { return v > 0 ? v : 0.0F; });
      break;
    case Activation::kClip:
      mapValues(count, x, y,
                [low = op.low, high = op.high](float v) { return std::min(std::max(v, low), high); });
      break;
    case Activation::kLeakyRelu:
      mapValues(count, x, y, [a = op.alpha](float v) { return v >= 0 ? v : a * v; });
      break;
    case Activation::kPRelu: {
      const std::int64_t plane = shape.plane();
      for (int c = 0; c < shape.channels; ++c) {
        const float slope = op.slopes[static_cast<std::size_t>(c)];
        mapValues(plane, x + c * plane, y + c * plane, [slope](float v) { return v >= 0 ? v : slope * v; });
      }
      break;
    }
    case Activation::kSigmoid:
      mapValues(count, x, y, [](float v) { return 1.0F / (1.0F + std::exp(-v)); });
      break;
    case Activation::kHardSigmoid:
      mapValues(count, x, y,
                [a = op.alpha, b = op.beta](float v) { return std::min(std::max(a * v + b, 0.0F), 1.0F); });
      break;
    case Activation::kHardSwish:
      mapValues(count, x, y, [](float v) { return v * std::min(std::max(v / 6.0F + 0.5F, 0.0F), 1.0F); });
      break;
  }
}

void evaluateChannelAffine(const ChannelAffineOp& op, const Shape& shape, const float* x, float* y) {
  const std::int64_t plane = shape.plane();
  for (int c = 0; c < shape.channels; ++c) {
    const float scale = op.scale[static_cast<std::size_t>(c)], shift = op.shift[static_cast<std::size_t>(c)];
    mapValues(plane, x + c * plane, y + c * plane, [=](float v) { return scale * v + shift; });
  }
}

void evaluateMul(const Shape& shape, const Shape& factor_shape, const float* x, const float* factor,
                 float* y) {
  if (factor_shape == shape) {
    for (std::int64_t i = 0; i < shape.size(); ++i) y[i] = x[i] * factor[i];
    return;
  }
  const std::int64_t plane = shape.plane();
  for (int c = 0; c < shape.channels; ++c) {
    mapValues(plane, x + c * plane, y + c * plane, [f = factor[c]](float v) { return v * f; });
  }
}

void evaluateLrn(const LrnOp& op, const Shape& shape, const float* x, float* y) {
  const std::int64_t plane = shape.plane();
  const double factor = static_cast<double>(op.alpha) / op.size;
  const int before = (op.size - 1) / 2;
  for (int c = 0; c < shape.channels; ++c) {
    const int first = std::max(0, c - before);
    const auto end =
        static_cast<int>(std::min<std::int64_t>(shape.channels, std::int64_t{c} - before + op.size));
    for (std::int64_t p = 0; p < plane; ++p) {
      double squares = 0;
      for (int i = first; i < end; ++i) {
        const double value = x[i * plane + p];
        squares += value * value;
      }
      const auto base = static_cast<float>(op.bias + factor * squares);
      y[c * plane + p] = x[c * plane + p] / std::pow(base, op.beta);
    }
  }
}

void evaluatePad(const PadOp& op, const Shape& in, const Shape& out, const float* x, float* y) {
  std::fill_n(y, out.size(), op.value);
  for (int c = 0; c < in.channels; ++c) {
    for (int row = 0; row < in.height; ++row) {
      float* to = y + (std::int64_t{c} + op.before[0]) * out.plane() +
                  (std::int64_t{row} + op.before[1]) * out.width + op.before[2];
      std::copy_n(x, in.width, to);
      x += in.width;
    }
  }
}

void evaluateSlice(const SliceOp& op, const Shape& in, const Shape& out, const float* x, float* y) {
  for (int c = 0; c < out.channels; ++c) {
    for (int row = 0; row < out.height; ++row) {
      const float* from = x + (op.start[0] + std::int64_t{c} * op.step[0]) * in.plane() +
                          (op.start[1] + std::int64_t{row} * op.step[1]) * in.width + op.start[2];
      for (int i = 0; i < out.width; ++i) *y++ = from[std::int64_t{i} * op.step[2]];
    }
  }
}

void evaluateSoftmax(std::int64_t count, const float* x, float* y) {
  const float largest = *std::max_element(x, x + count);
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    y[i] = std::exp(x[i] - largest);
    sum += y[i];
  }
  for (std::int64_t i = 0; i < count; ++i) y[i] = static_cast<float>(y[i] / sum);
}

}  // namespace trefoil
