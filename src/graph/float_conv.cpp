#include <algorithm>
#include <cstddef>

#include "graph/float_gemm.h"
#include "graph/float_ops.h"
#include "graph/window.h"

namespace trefoil {
namespace {

// Below this many filters a group, adding tap by tap costs less than gathering patches for a matrix product.
constexpr int kFewFilters = 4;

// One convolution's patches as a matrix: row (c, r, s) holds, for each output pixel, the input that this tap
// meets.
class Patches {
 public:
  // x: the group's first input channel.
  Patches(const Window& window, const Shape& in, const Shape& out, const float* x)
      : rows_(rowsOf(window)), columns_(columnsOf(window)), in_(in), out_(out), x_(x) {
    is_image_ = window == Window{};  // 1x1, stride 1, no pads: the matrix is the image itself
  }

  const float* row(std::int64_t row, std::int64_t first, int count, float* buffer) const {
    if (is_image_) return x_ + row * in_.plane() + first;
    const int s = static_cast<int>(row % columns_.kernel);
    const int r = static_cast<int>(row / columns_.kernel % rows_.kernel);
    const float* plane = x_ + row / columns_.kernel / rows_.kernel * in_.plane();
    const IndexRange inside_y = rows_.windows(r, out_.height, in_.height);
    const IndexRange inside_x = columns_.windows(s, out_.width, in_.width);
    float* to = buffer;
    auto oy = static_cast<int>(first / out_.width);
    auto ox = static_cast<int>(first % out_.width);
    for (int left = count; left > 0; ++oy, ox = 0) {
      const int run = std::min(left, out_.width - ox);
      left -= run;
      if (oy < inside_y.begin || oy >= inside_y.end) {
        to = std::fill_n(to, run, 0.0F);
        continue;
      }
      const std::int64_t iy = rows_.start(oy) + std::int64_t{r} * rows_.dilation;
      to = copyRow(plane + iy * in_.width, s, {ox, ox + run}, inside_x, to);
    }
    return buffer;
  }

 private:
  // The inputs of tap column `s` for the windows `wanted` of one row, zeros outside `inside`.
  float* copyRow(const float* row, int s, IndexRange wanted, IndexRange inside, float* to) const {
    const int begin = std::clamp(inside.begin, wanted.begin, wanted.end);
    const int end = std::clamp(inside.end, begin, wanted.end);
    to = std::fill_n(to, begin - wanted.begin, 0.0F);
    if (begin < end) {
      const float* from = row + columns_.start(begin) + std::int64_t{s} * columns_.dilation;
      if (columns_.stride == 1) {
        to = std::copy_n(from, end - begin, to);
      } else {
        for (int i = 0; i < end - begin; ++i) *to++ = from[std::ptrdiff_t{i} * columns_.stride];
      }
    }
    return std::fill_n(to, wanted.end - end, 0.0F);
  }

  WindowAxis rows_, columns_;
  Shape in_, out_;
  const float* x_;
  bool is_image_;
};

// y += weight * x over the windows whose tap (r, s) is inside the image.
void addTap(const WindowAxis& rows, const WindowAxis& columns, int r, int s, float weight, const Shape& in,
            const Shape& out, const float* x, float* y) {
  const IndexRange inside_y = rows.windows(r, out.height, in.height);
  const IndexRange inside_x = columns.windows(s, out.width, in.width);
  const int count = inside_x.count();
  if (count == 0) return;
  for (int oy = inside_y.begin; oy < inside_y.end; ++oy) {
    const std::int64_t iy = rows.start(oy) + std::int64_t{r} * rows.dilation;
    const float* from =
        x + iy * in.width + columns.start(inside_x.begin) + std::int64_t{s} * columns.dilation;
    float* to = y + std::int64_t{oy} * out.width + inside_x.begin;
    if (columns.stride == 1) {
      for (int i = 0; i < count; ++i) to[i] += weight * from[i];
    } else {
      for (int i = 0; i < count; ++i) to[i] += weight * from[std::ptrdiff_t{i} * columns.stride];
    }
  }
}

using Multiply = void (*)(std::int64_t rows, std::int64_t columns, std::int64_t depth, const float* a,
                          const MatrixRows& b, float* c);

void convolve(const ConvOp& op, const Shape& in, const Shape& out, const float* x, Multiply multiply,
              float* y) {
  const Window& w = op.window;
  const int channels = in.channels / op.groups;
  const int filters = out.channels / op.groups;
  const std::int64_t taps = std::int64_t{w.kernel_h} * w.kernel_w;
  const std::int64_t depth = channels * taps;
  for (int k = 0; k < out.channels; ++k) {
    std::fill_n(y + k * out.plane(), out.plane(), op.bias[static_cast<std::size_t>(k)]);
  }
  for (int g = 0; g < op.groups; ++g) {
    const float* group_x = x + std::int64_t{g} * channels * in.plane();
    const float* group_weights = op.weights.data() + std::int64_t{g} * filters * depth;
    float* group_y = y + std::int64_t{g} * filters * out.plane();
    if (w == Window{} && in.plane() == 1) {
      multiplyAddVector(filters, depth, group_weights, group_x, group_y);
    } else if (filters >= kFewFilters) {
      const Patches patches(w, in, out, group_x);
      multiply(
          filters, out.plane(), depth, group_weights,
          [&patches](std::int64_t row, std::int64_t first, int count, float* buffer) {
            return patches.row(row, first, count, buffer);
          },
          group_y);
    } else {
      const WindowAxis rows = rowsOf(w), columns = columnsOf(w);
      for (std::int64_t i = 0; i < filters * depth; ++i) {
        const std::int64_t k = i / depth, c = i % depth / taps;
        addTap(rows, columns, static_cast<int>(i % taps / w.kernel_w), static_cast<int>(i % w.kernel_w),
               group_weights[i], in, out, group_x + c * in.plane(), group_y + k * out.plane());
      }
    }
  }
}

}  // namespace

void evaluateConv(const ConvOp& op, const Shape& in, const Shape& out, const float* x, float* y) {
  convolve(op, in, out, x, multiplyAdd, y);
}

void evaluateIntegerConv(const ConvOp& op, const Shape& in, const Shape& out, const float* x, float* y) {
  convolve(op, in, out, x, multiplyAddIntegers, y);
}

}  // namespace trefoil
