// Pools over windows, over the whole image, and means over rows or columns.
#include "onnx/operators.h"
#include "onnx/windows.h"

namespace trefoil::onnx {
namespace {

struct PoolInput {
  int node = 0;
  Shape shape;
  WindowSizes sizes;
};

Result<PoolInput> readPool(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(input, importer.activation(node, 0));
  TREFOIL_ASSIGN(source, importer.image(node, input));
  const WireAttribute* kernel = node.find("kernel_shape");
  if (kernel == nullptr) return importer.badOnnx(node, "has no kernel_shape");
  if (kernel->integers.size() != 2) {
    return importer.unsupported(node, "kernel_shape " + dimsText(kernel->integers) +
                                          " must be 2 numbers; only two-dimensional windows are supported");
  }
  PoolInput pool;
  pool.node = source;
  pool.shape = importer.shapeOf(source);
  TREFOIL_ASSIGN(sizes, readWindow(importer, node, kernel->integers[0], kernel->integers[1], pool.shape));
  pool.sizes = sizes;
  return pool;
}

Shape pooledShape(const PoolInput& pool) {
  return {pool.shape.channels, pool.sizes.height, pool.sizes.width};
}

PoolOp wholeImage(Pool kind, int rows, int columns) {
  PoolOp op;
  op.kind = kind;
  op.window.kernel_h = rows;
  op.window.kernel_w = columns;
  return op;
}

Result<Value> importGlobalPool(Importer& importer, const WireNode& node, Pool kind) {
  TREFOIL_ASSIGN(input, importer.activation(node, 0));
  TREFOIL_ASSIGN(placed, importer.place(node, input, AxisRule::kChannelsFirst));
  const Shape& in = importer.shapeOf(placed.node);
  const Shape out = {in.channels, 1, 1};
  TREFOIL_ASSIGN(result, importer.emit(node, wholeImage(kind, in.height, in.width), {placed.node}, out));
  return Value(importer.view(result, placed.axes));
}

Error unsupportedMean(const Importer& importer, const WireNode& node, const NodeView& input) {
  return importer.unsupported(node, "of a tensor of shape " + dimsText(input.dims) +
                                        " takes the mean over other axes than rows and columns");
}

// The mean over rows or columns or both; the reduced axes stay, with size 1.
Result<NodeView> meanOfPlane(Importer& importer, const WireNode& node, const NodeView& input,
                             const std::vector<bool>& reduced) {
  TREFOIL_ASSIGN(placed,
                 importer.place(node, input, input.inOrder() ? AxisRule::kChannelsFirst : AxisRule::kAny));
  const Shape in = importer.shapeOf(placed.node);
  Shape out = in;
  for (std::size_t i = 0; i < reduced.size(); ++i) {
    if (!reduced[i]) continue;
    if (placed.axes[i] == kBatch || placed.axes[i] == kChannels)
      return unsupportedMean(importer, node, input);
    (placed.axes[i] == kRows ? out.height : out.width) = 1;
  }
  if (out == in) return importer.view(placed.node, placed.axes, placed.transpose);
  const int rows = out.height == in.height ? 1 : in.height, columns = out.width == in.width ? 1 : in.width;
  TREFOIL_ASSIGN(result, importer.emit(node, wholeImage(Pool::kAverage, rows, columns), {placed.node}, out));
  return importer.view(result, placed.axes, placed.transpose);
}

// The mean over the last axes of a tensor in order, whatever they mean: all before them count as channels.
Result<NodeView> meanOfTail(Importer& importer, const WireNode& node, const NodeView& input,
                            const std::vector<bool>& reduced) {
  NodeView result = input;
  std::int64_t channels = 1, tail = 1;
  for (std::size_t i = 0; i < reduced.size(); ++i) {
    if (input.dims[i] == 1) continue;
    if (reduced[i]) {
      tail *= input.dims[i];
      result.dims[i] = 1;
    } else if (tail > 1) {
      return unsupportedMean(importer, node, input);
    } else if (i > 0) {
      channels *= input.dims[i];
    }
  }
  const bool batch_kept = input.dims[0] == importer.batch() && (!reduced[0] || input.dims[0] == 1);
  if (!batch_kept) return unsupportedMean(importer, node, input);
  if (channels > kMaxDimension || tail > kMaxDimension)
    return importer.badShape(node, "reduces too large a tensor");
  if (tail == 1) return result;
  const Shape shape = {static_cast<int>(channels), static_cast<int>(tail), 1};
  TREFOIL_ASSIGN(source, importer.emitReshape(node, input.node, shape));
  TREFOIL_ASSIGN(mean, importer.emit(node, wholeImage(Pool::kAverage, shape.height, 1), {source},
                                     {shape.channels, 1, 1}));
  result.node = mean;
  return result;
}

}  // namespace

Result<Value> importMaxPool(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(pool, readPool(importer, node));
  PoolOp op;
  op.kind = Pool::kMax;
  op.window = pool.sizes.window;
  TREFOIL_ASSIGN(result, importer.emit(node, op, {pool.node}, pooledShape(pool)));
  return Value(importer.imageView(result));
}

Result<Value> importAveragePool(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(pool, readPool(importer, node));
  PoolOp op;
  op.kind = Pool::kAverage;
  op.window = pool.sizes.window;
  const int overhang_h = pool.sizes.overhang_h, overhang_w = pool.sizes.overhang_w;
  Window& window = op.window;
  const bool padded = window.pad_top > 0 || window.pad_left > 0 || window.pad_bottom > overhang_h ||
                      window.pad_right > overhang_w;
  int source = pool.node;
  if (node.integer("count_include_pad", 0) != 0 && padded) {
    if (overhang_h == 0 && overhang_w == 0) {
      op.count_include_pad = true;
    } else {
      // The stated padding counts and the overhang doesn't: the former becomes a part of the image.
      PadOp pad;
      pad.before[kRows] = window.pad_top;
      pad.before[kColumns] = window.pad_left;
      pad.after[kRows] = window.pad_bottom - overhang_h;
      pad.after[kColumns] = window.pad_right - overhang_w;
      const Shape grown = {pool.shape.channels, pool.shape.height + pad.before[kRows] + pad.after[kRows],
                           pool.shape.width + pad.before[kColumns] + pad.after[kColumns]};
      TREFOIL_ASSIGN(extended, importer.emit(node, pad, {source}, grown, "/pad"));
      source = extended;
      window.pad_top = window.pad_left = 0;
      window.pad_bottom = overhang_h;
      window.pad_right = overhang_w;
    }
  }
  TREFOIL_ASSIGN(result, importer.emit(node, op, {source}, pooledShape(pool)));
  return Value(importer.imageView(result));
}

Result<Value> importGlobalAveragePool(Importer& importer, const WireNode& node) {
  return importGlobalPool(importer, node, Pool::kAverage);
}

Result<Value> importGlobalMaxPool(Importer& importer, const WireNode& node) {
  return importGlobalPool(importer, node, Pool::kMax);
}

Result<Value> importReduceMean(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(input, importer.activation(node, 0));
  TREFOIL_ASSIGN(axes, importer.parameter(node, "axes", 1));
  if (!axes.has_value() || axes->empty()) {
    if (node.integer("noop_with_empty_axes", 0) != 0) return Value(std::move(input));
    return importer.unsupported(node, "takes the mean over every axis; only rows and columns may be reduced");
  }
  std::vector<bool> reduced(input.dims.size(), false);
  for (std::int64_t axis : *axes) {
    if (!normalizeAxis(&axis, input.dims.size())) {
      return importer.badShape(node,
                               "its axes " + dimsText(*axes) + " don't fit shape " + dimsText(input.dims));
    }
    reduced[static_cast<std::size_t>(axis)] = true;
  }
  const bool rows_and_columns = input.dims.size() <= 4 && !reduced[0] && (reduced.size() < 2 || !reduced[1]);
  TREFOIL_ASSIGN(value, input.inOrder() && !rows_and_columns ? meanOfTail(importer, node, input, reduced)
                                                             : meanOfPlane(importer, node, input, reduced));
  if (node.integer("keepdims", 1) == 0) {
    Dims kept;
    for (std::size_t i = 0; i < value.dims.size(); ++i) {
      if (!reduced[i]) kept.push_back(value.dims[i]);
    }
    value.dims = std::move(kept);
  }
  return Value(std::move(value));
}

}  // namespace trefoil::onnx
