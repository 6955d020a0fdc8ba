#include "onnx/broadcast.h"

#include <utility>

namespace trefoil::onnx {

Result<Spread> spreadOverChannels(Importer& importer, const WireNode& node, const Tensor& constant,
                                  NodeView value) {
  Spread spread;
  const Dims& dims = constant.dims;
  const std::size_t rank = value.dims.size();
  if (dims.size() > rank) {
    return importer.unsupported(node, "a constant of shape " + dimsText(dims) +
                                          " has more dimensions than the shape " + dimsText(value.dims) +
                                          " it is combined with");
  }
  if (constant.count() == 1) {  // the same for every channel, however the tensor lies
    const int channels = importer.shapeOf(value.node).channels;
    TREFOIL_RETURN_IF_ERROR(importer.budget().take(channels));
    spread.values.assign(static_cast<std::size_t>(channels), constant.reals[0]);
    spread.value = std::move(value);
    return spread;
  }
  TREFOIL_ASSIGN(placed, importer.place(node, value));
  const int channels = importer.shapeOf(placed.node).channels;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] != 1 && (placed.axes[rank - dims.size() + i] != kChannels || dims[i] != channels)) {
      return importer.unsupported(node, "a constant of shape " + dimsText(dims) +
                                            " combined with the shape " + dimsText(value.dims) +
                                            " must be one number or one a channel");
    }
  }
  spread.values = constant.reals;
  spread.value = importer.view(placed.node, placed.axes, placed.transpose);
  return spread;
}

Result<Pair> pairUp(Importer& importer, const WireNode& node, const NodeView& a, const NodeView& b) {
  const bool alike = a.dims == b.dims && a.base == b.base && a.perm == b.perm;
  if (alike && importer.shapeOf(a.node) == importer.shapeOf(b.node)) return Pair{a.node, b.node, a};

  const auto mismatch = [&] {
    return importer.unsupported(node, "combines results of shapes " + dimsText(a.dims) + " and " +
                                          dimsText(b.dims) +
                                          "; they must be equal, or for Mul one of them [N,C,1,1]");
  };
  if (a.dims.size() != b.dims.size()) return mismatch();
  // Where nothing was moved and the shapes differ, only axis 1 can be the channels of both.
  const bool channels_first = a.inOrder() && b.inOrder() && a.dims != b.dims;
  const AxisRule rule = channels_first ? AxisRule::kChannelsFirst : AxisRule::kAny;
  TREFOIL_ASSIGN(x, importer.place(node, a, rule));
  TREFOIL_ASSIGN(y, importer.place(node, b, rule));
  if (x.axes != y.axes) return mismatch();
  const Shape x_shape = importer.shapeOf(x.node), y_shape = importer.shapeOf(y.node);
  if (x_shape != y_shape && x_shape == Shape{y_shape.channels, 1, 1}) {
    std::swap(x.node, y.node);
  } else if (x_shape != y_shape && y_shape != Shape{x_shape.channels, 1, 1}) {
    return mismatch();
  }
  return Pair{x.node, y.node, importer.view(x.node, x.axes, x.transpose)};
}

}  // namespace trefoil::onnx
