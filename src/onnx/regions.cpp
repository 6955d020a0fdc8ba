// Operators that cut out, extend or join regions of a tensor.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "onnx/fold.h"
#include "onnx/operators.h"

namespace trefoil::onnx {
namespace {

int* sizeOf(Shape* shape, int axis) {
  return axis == kChannels ? &shape->channels : axis == kRows ? &shape->height : &shape->width;
}

// The axes that a list parameter speaks of: the given ones, each once and counted from the front, or the
// first ones.
Result<Dims> listedAxes(const Importer& importer, const WireNode& node, const std::optional<Dims>& given,
                        std::size_t count, std::size_t rank) {
  Dims axes(count);
  std::iota(axes.begin(), axes.end(), 0);
  if (given.has_value()) axes = *given;
  std::vector<bool> seen(rank, false);
  for (std::int64_t& axis : axes) {
    if (axes.size() != count || !normalizeAxis(&axis, rank) || seen[static_cast<std::size_t>(axis)]) {
      return importer.badShape(node,
                               "its axes don't fit a tensor of " + std::to_string(rank) + " dimensions");
    }
    seen[static_cast<std::size_t>(axis)] = true;
  }
  return axes;
}

// One range for each axis of a tensor of shape `dims`.
Result<std::vector<SliceRange>> sliceRanges(Importer& importer, const WireNode& node, const Dims& dims) {
  TREFOIL_ASSIGN(starts, importer.requiredParameter(node, "starts", 1));
  TREFOIL_ASSIGN(ends, importer.requiredParameter(node, "ends", 2));
  TREFOIL_ASSIGN(given_axes, importer.parameter(node, "axes", 3));
  TREFOIL_ASSIGN(given_steps, importer.parameter(node, "steps", 4));
  const Dims steps = given_steps.value_or(Dims(starts.size(), 1));
  if (ends.size() != starts.size() || steps.size() != starts.size() || starts.size() > dims.size()) {
    return importer.badShape(node,
                             "its starts, ends and steps don't fit a tensor of shape " + dimsText(dims));
  }
  TREFOIL_ASSIGN(axes, listedAxes(importer, node, given_axes, starts.size(), dims.size()));
  std::vector<SliceRange> ranges;
  for (const std::int64_t size : dims) ranges.push_back({0, 1, size});
  for (std::size_t i = 0; i < axes.size(); ++i) {
    if (steps[i] == 0) return importer.badShape(node, "has a step of 0");
    const auto axis = static_cast<std::size_t>(axes[i]);
    ranges[axis] = resolveSlice(starts[i], ends[i], steps[i], dims[axis]);
  }
  return ranges;
}

Result<Value> sliceConstant(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(source, importer.constant(node, 0));
  TREFOIL_ASSIGN(ranges, sliceRanges(importer, node, source->dims));
  Dims dims, strides = rowMajorStrides(source->dims);
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    dims.push_back(ranges[i].count);
    offset += ranges[i].start * strides[i];
    strides[i] *= ranges[i].step;
  }
  auto result = stridedCopy(*source, std::move(dims), offset, strides, &importer.budget());
  if (!result.ok()) return importer.at(node, result.error());
  return asValue(std::move(result).value());
}

Result<Value> concatConstants(Importer& importer, const WireNode& node) {
  std::vector<TensorPtr> parts;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    TREFOIL_ASSIGN(part, importer.constant(node, i));
    parts.push_back(std::move(part));
  }
  const Tensor& first = *parts[0];
  std::int64_t axis = node.integer("axis", 0);
  if (!normalizeAxis(&axis, first.dims.size())) return importer.badShape(node, "its axis does not exist");
  const auto at_axis = static_cast<std::size_t>(axis);

  Tensor result;
  result.type = first.type;
  result.dims = first.dims;
  result.dims[at_axis] = 0;
  for (const TensorPtr& part : parts) {
    Dims rest = part->dims;
    if (rest.size() == first.dims.size()) rest[at_axis] = first.dims[at_axis];
    if (rest != first.dims || part->type != first.type) {
      return importer.badShape(
          node, "joins constants of shapes " + dimsText(first.dims) + " and " + dimsText(part->dims));
    }
    result.dims[at_axis] += part->dims[at_axis];
  }
  const auto count = elementCount(result.dims);
  if (!count.ok()) return importer.at(node, count.error());
  const std::int64_t outer =
      count.value() == 0 ? 0 : *elementCount(Dims(first.dims.begin(), first.dims.begin() + axis));
  const std::int64_t blocks = outer * static_cast<std::int64_t>(parts.size());
  TREFOIL_RETURN_IF_ERROR(importer.budget().take(count.value() + blocks));
  for (std::int64_t o = 0; o < outer; ++o) {
    for (const TensorPtr& part : parts) {
      const auto block = static_cast<std::ptrdiff_t>(part->count()) / static_cast<std::ptrdiff_t>(outer);
      const auto begin = static_cast<std::ptrdiff_t>(o) * block;
      if (result.type == ElementType::kReal) {
        const auto from = part->reals.begin() + begin;
        result.reals.insert(result.reals.end(), from, from + block);
      } else {
        const auto from = part->integers.begin() + begin;
        result.integers.insert(result.integers.end(), from, from + block);
      }
    }
  }
  return asValue(std::move(result));
}

}  // namespace

Result<Value> importSlice(Importer& importer, const WireNode& node) {
  if (importer.isConstant(node, 0)) return sliceConstant(importer, node);
  TREFOIL_ASSIGN(source, importer.activation(node, 0));
  TREFOIL_ASSIGN(ranges, sliceRanges(importer, node, source.dims));
  const bool whole = std::equal(ranges.begin(), ranges.end(), source.dims.begin(), source.dims.end(),
                                [](const SliceRange& range, std::int64_t size) {
                                  return range.start == 0 && range.step == 1 && range.count == size;
                                });
  if (whole) return Value(std::move(source));

  TREFOIL_ASSIGN(placed, importer.place(node, source));
  SliceOp op;
  Shape shape = importer.shapeOf(placed.node);
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const SliceRange& range = ranges[i];
    if (range.count == 0) return importer.badShape(node, "takes nothing from shape " + dimsText(source.dims));
    if (range.step < 0 && range.count > 1)
      return importer.unsupported(node, "may not reverse a result of the network");
    const int axis = placed.axes[i];
    if (axis == kBatch) {
      if (range.count == source.dims[i] && range.start == 0) continue;
      return importer.unsupported(node, "may not cut the batch");
    }
    op.start[axis] = static_cast<int>(range.start);
    op.step[axis] = range.count > 1 ? static_cast<int>(range.step) : 1;
    *sizeOf(&shape, axis) = static_cast<int>(range.count);
  }
  TREFOIL_ASSIGN(result, importer.emit(node, op, {placed.node}, shape));
  return Value(importer.view(result, placed.axes, placed.transpose));
}

Result<Value> importPad(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(source, importer.activation(node, 0));
  if (node.text("mode", "constant") != "constant") {
    return importer.unsupported(
        node, "mode " + quoted(node.text("mode", "")) + " is not supported, only 'constant'");
  }
  TREFOIL_ASSIGN(pads, importer.requiredParameter(node, "pads", 1));
  TREFOIL_ASSIGN(given_axes, importer.parameter(node, "axes", 3));
  const std::size_t count = pads.size() / 2;
  const bool fits = pads.size() % 2 == 0 && (given_axes.has_value() || count == source.dims.size());
  if (!fits || count > source.dims.size()) {
    return importer.badShape(node,
                             "its pads " + dimsText(pads) + " don't fit shape " + dimsText(source.dims));
  }
  TREFOIL_ASSIGN(axes, listedAxes(importer, node, given_axes, count, source.dims.size()));
  if (std::all_of(pads.begin(), pads.end(), [](std::int64_t pad) { return pad == 0; }))
    return Value(std::move(source));

  PadOp op;
  op.value = node.real("value", 0);
  if (node.has(2)) {
    TREFOIL_ASSIGN(value, importer.scalar(node, 2));
    op.value = value;
  }
  if (!std::isfinite(op.value)) return importer.unsupported(node, "pads with a value that is not finite");
  TREFOIL_ASSIGN(placed, importer.place(node, source));
  Shape shape = importer.shapeOf(placed.node);
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t before = pads[i], after = pads[i + count];
    const int axis = placed.axes[static_cast<std::size_t>(axes[i])];
    if (before == 0 && after == 0) continue;
    if (axis == kBatch) return importer.unsupported(node, "may not pad the batch");
    if (before < 0 || after < 0)
      return importer.unsupported(node, "negative pads " + dimsText(pads) + "; use Slice");
    if (before > kMaxDimension || after > kMaxDimension) {
      return importer.badShape(node, "its pads " + dimsText(pads) + " are too large");
    }
    op.before[axis] = static_cast<int>(before);
    op.after[axis] = static_cast<int>(after);
    *sizeOf(&shape, axis) += static_cast<int>(before + after);
  }
  TREFOIL_ASSIGN(result, importer.emit(node, op, {placed.node}, shape));
  return Value(importer.view(result, placed.axes, placed.transpose));
}

Result<Value> importConcat(Importer& importer, const WireNode& node) {
  if (node.inputs.empty()) return importer.badOnnx(node, "has no input");
  bool all_constant = true;
  for (std::size_t i = 0; i < node.inputs.size(); ++i)
    all_constant = all_constant && importer.isConstant(node, i);
  if (all_constant) return concatConstants(importer, node);

  TREFOIL_ASSIGN(first, importer.activation(node, 0));
  if (node.inputs.size() == 1) return Value(std::move(first));
  std::int64_t axis = node.integer("axis", 1);
  if (!normalizeAxis(&axis, first.dims.size())) return importer.badShape(node, "its axis does not exist");

  const AxisRule rule = axis == 1 && first.inOrder() ? AxisRule::kChannelsFirst : AxisRule::kAny;
  Placed layout;
  std::vector<int> sources;
  Shape shape;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    TREFOIL_ASSIGN(part, importer.activation(node, i));
    TREFOIL_ASSIGN(placed, importer.place(node, part, rule));
    const Shape& own = importer.shapeOf(placed.node);
    if (i == 0) {
      layout = placed;
      shape = {0, own.height, own.width};
    }
    if (placed.axes != layout.axes) {
      return importer.unsupported(node, "joins tensors of different layouts, " + dimsText(first.dims) +
                                            " and " + dimsText(part.dims));
    }
    if (own.height != shape.height || own.width != shape.width) {
      return importer.badShape(node, "joins shapes " + dimsText(first.dims) + " and " + dimsText(part.dims));
    }
    shape.channels += own.channels;
    if (shape.channels > kMaxDimension) return importer.badShape(node, "joins too many channels");
    sources.push_back(placed.node);
  }
  if (layout.axes[static_cast<std::size_t>(axis)] != kChannels) {
    return importer.unsupported(node, "joins along axis " + std::to_string(axis) + " of shape " +
                                          dimsText(first.dims) + "; only channels can be joined");
  }
  TREFOIL_ASSIGN(result, importer.emit(node, ConcatOp{}, std::move(sources), shape));
  return Value(importer.view(result, layout.axes, layout.transpose));
}

}  // namespace trefoil::onnx
