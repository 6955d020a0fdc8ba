#include <span>
#include <string>

#include "format/first_planes.h"
#include "format/format.h"
#include "format/scale_table.h"
#include "format/sections.h"
#include "format/trefoil_generated.h"
#include "format/trits.h"

namespace trefoil {
namespace {

using flatbuffers::Offset;
using AnyOffset = Offset<void>;
template <typename T>
using VectorOffset = Offset<flatbuffers::Vector<T>>;

// An upper bound of the file's size: payload plus generous room for tables.
std::uint64_t estimateBytes(const QuantModel& model) {
  const Metadata& metadata = model.metadata;
  std::uint64_t bytes = 4096 + metadata.name.size() + metadata.recipe.size() + metadata.provenance.size();
  for (const std::string& label : metadata.labels) bytes += label.size() + 16;
  bytes += 8 * model.logit_scales.size();
  for (const QNode& node : model.nodes) {
    bytes += 512 + node.name.size() + 4 * node.inputs.size();
    if (const auto* conv = std::get_if<QConvOp>(&node.op)) {
      for (const TernaryPlane& plane : conv->ternary.planes) {
        bytes +=
            64 + packedTritBytes(plane.codes.size()) + plane.scales.size() + plane.negative_scales.size();
      }
      bytes += conv->int8.size() + 8 * conv->bias.size() + conv->pad_values.size() +
               5 * conv->output.factors.size();
    } else if (const auto* pool = std::get_if<QPoolOp>(&node.op)) {
      bytes += 5 * pool->output.factors.size();
    } else if (const auto* lookup = std::get_if<QLookupOp>(&node.op)) {
      bytes += lookup->table.size();
    } else if (const auto* lrn = std::get_if<QLrnOp>(&node.op)) {
      bytes += 4 * lrn->table.size();
    }
  }
  return bytes;
}

std::uint8_t byteOf(int value) { return static_cast<std::uint8_t>(value); }

fb::Window toWindow(const Window& w) {
  return {w.kernel_h,   w.kernel_w, w.stride_h, w.stride_w,   w.dilation_h,
          w.dilation_w, w.pad_top,  w.pad_left, w.pad_bottom, w.pad_right};
}
fb::Triple toTriple(const int (&values)[3]) { return {values[0], values[1], values[2]}; }

// Builds one of the file's buffers. FlatBuffers grow from the file's end towards its start.
class Writer {
 public:
  Writer(const QuantModel& model, std::size_t capacity) : model_(model), builder_(capacity) {}

  // Neither is the buffer of a whole file yet: joinSections().
  std::span<const std::uint8_t> writeFirst() {
    std::vector<Offset<fb::Node>> nodes;
    for (const QNode& node : model_.nodes) nodes.push_back(writeNode(node));
    const auto node_vector = builder_.CreateVector(nodes);
    const auto scales = builder_.CreateVector(model_.logit_scales);
    const auto offsets = builder_.CreateVector(model_.logit_offsets);
    const auto metadata = writeMetadata(model_.metadata);
    const auto root = fb::CreateModel(builder_, kFormatVersion, model_.output_accumulators, node_vector,
                                      scales, offsets, metadata);
    fb::FinishModelBuffer(builder_, root);
    return builder_.GetBufferSpan();
  }

  // What the model has that `first` has not.
  std::span<const std::uint8_t> writeRefinement(const QuantModel& first) {
    std::vector<Offset<fb::LayerRefinement>> layers;
    for (std::size_t i = 0; i < model_.nodes.size(); ++i) {
      if (model_.nodes[i] != first.nodes[i]) {
        layers.push_back(
            writeLayer(i, std::get<QConvOp>(model_.nodes[i].op), std::get<QConvOp>(first.nodes[i].op)));
      }
    }
    const auto layer_vector = builder_.CreateVector(layers);
    const auto scales = vectorWhereOther(model_.logit_scales, first.logit_scales);
    const auto offsets = vectorWhereOther(model_.logit_offsets, first.logit_offsets);
    builder_.Finish(fb::CreateRefinement(builder_, layer_vector, scales, offsets), kRefinementIdentifier);
    return builder_.GetBufferSpan();
  }

 private:
  template <typename T>
  VectorOffset<T> vectorUnlessEmpty(const std::vector<T>& values) {
    return values.empty() ? VectorOffset<T>() : builder_.CreateVector(values);
  }

  template <typename T>
  VectorOffset<T> vectorWhereOther(const std::vector<T>& values, const std::vector<T>& known) {
    return values == known ? VectorOffset<T>() : builder_.CreateVector(values);
  }

  Offset<fb::Scales> writeScales(const std::vector<std::uint8_t>& scales, std::size_t filters) {
    if (scales.empty()) return {};
    const ScaleTable table = packScales(scales, filters);
    const auto values = builder_.CreateVector(table.values);
    const auto indices = vectorUnlessEmpty(table.indices);
    return fb::CreateScales(builder_, byteOf(table.index_bits), values, indices);
  }

  Offset<fb::TernaryPlane> writePlane(const TernaryPlane& plane, std::size_t filters) {
    const auto codes = builder_.CreateVector(packTrits(plane.codes));
    const auto scales = writeScales(plane.scales, filters);
    const auto negative = writeScales(plane.negative_scales, filters);
    return fb::CreateTernaryPlane(builder_, codes, scales, negative);
  }

  Offset<fb::LayerRefinement> writeLayer(std::size_t node, const QConvOp& conv, const QConvOp& first) {
    Offset<fb::TernaryPlane> plane;
    if (conv.ternary.planes.size() > 1) plane = writePlane(conv.ternary.planes[1], conv.bias.size());
    const auto bias = vectorWhereOther(conv.bias, first.bias);
    const auto filter_scales = vectorWhereOther(conv.filter_scales, first.filter_scales);
    Offset<fb::OutputStage> output;
    if (conv.output != first.output) output = writeStage(conv.output);
    return fb::CreateLayerRefinement(builder_, static_cast<std::int32_t>(node), plane, bias, filter_scales,
                                     output);
  }

  Offset<fb::OutputStage> writeStage(const OutputStage& stage) {
    std::vector<std::int32_t> multipliers;
    std::vector<std::uint8_t> shifts;
    for (const FixedPoint& f : stage.factors) {
      multipliers.push_back(f.multiplier);
      shifts.push_back(f.shift);
    }
    const auto multiplier_vector = vectorUnlessEmpty(multipliers);
    const auto shift_vector = vectorUnlessEmpty(shifts);
    return fb::CreateOutputStage(builder_, multiplier_vector, shift_vector, byteOf(stage.low),
                                 byteOf(stage.high));
  }

  AnyOffset writeOp(const QConvOp& conv) {
    Offset<fb::TernaryPlane> plane;
    if (!conv.ternary.planes.empty()) plane = writePlane(conv.ternary.planes[0], conv.bias.size());
    const auto int8 = vectorUnlessEmpty(conv.int8);
    const auto bias = builder_.CreateVector(conv.bias);
    const auto pad_values = builder_.CreateVector(conv.pad_values);
    const auto filter_scales = builder_.CreateVector(conv.filter_scales);
    const auto output = writeStage(conv.output);
    const fb::Window window = toWindow(conv.window);
    return fb::CreateConv(builder_, &window, conv.groups, conv.ternary.group_size, plane, int8, bias,
                          pad_values, filter_scales, output)
        .Union();
  }
  AnyOffset writeOp(const QPoolOp& pool) {
    const auto output = writeStage(pool.output);
    const fb::Window window = toWindow(pool.window);
    return fb::CreatePool(builder_, pool.average, &window, output).Union();
  }
  AnyOffset writeOp(const QLookupOp& lookup) {
    return fb::CreateLookup(builder_, builder_.CreateVector(lookup.table)).Union();
  }
  AnyOffset writeOp(const QLrnOp& lrn) {
    const auto table = builder_.CreateVector(lrn.table);
    return fb::CreateLrn(builder_, lrn.size, byteOf(lrn.table_shift), table, byteOf(lrn.shift)).Union();
  }
  AnyOffset writeOp(const QAddOp& add) {
    return fb::CreateAdd(builder_, add.multipliers[0], add.multipliers[1], byteOf(add.shift), byteOf(add.low),
                         byteOf(add.high))
        .Union();
  }
  AnyOffset writeOp(const QMulOp& mul) { return fb::CreateMul(builder_, writeStage(mul.output)).Union(); }
  AnyOffset writeOp(const QRescaleOp& rescale) {
    return fb::CreateRescale(builder_, writeStage(rescale.output)).Union();
  }
  AnyOffset writeOp(const QPadOp& pad) {
    const fb::Triple before = toTriple(pad.before);
    const fb::Triple after = toTriple(pad.after);
    return fb::CreatePad(builder_, &before, &after, byteOf(pad.value)).Union();
  }
  AnyOffset writeOp(const QSliceOp& slice) {
    const fb::Triple start = toTriple(slice.start);
    const fb::Triple step = toTriple(slice.step);
    return fb::CreateSlice(builder_, &start, &step).Union();
  }
  AnyOffset writeOp(const QInputOp&) { return fb::CreateInput(builder_).Union(); }
  AnyOffset writeOp(const QConcatOp&) { return fb::CreateConcat(builder_).Union(); }
  AnyOffset writeOp(const QReshapeOp&) { return fb::CreateReshape(builder_).Union(); }

  static fb::Op opType(const QOp& op) {
    static constexpr fb::Op kTypes[] = {fb::Op::Input,   fb::Op::Conv,   fb::Op::Add,   fb::Op::Mul,
                                        fb::Op::Rescale, fb::Op::Concat, fb::Op::Pool,  fb::Op::Lookup,
                                        fb::Op::Lrn,     fb::Op::Pad,    fb::Op::Slice, fb::Op::Reshape};
    static_assert(std::size(kTypes) == std::variant_size_v<QOp>, "one type an operation, in QOp's order");
    return kTypes[op.index()];
  }

  Offset<fb::Node> writeNode(const QNode& node) {
    const auto op = std::visit([&](const auto& value) { return writeOp(value); }, node.op);
    const auto name = builder_.CreateString(node.name);
    const auto inputs = builder_.CreateVector(node.inputs);
    const fb::Shape shape(node.shape.channels, node.shape.height, node.shape.width);
    const fb::Grid grid(node.grid.scale, byteOf(node.grid.bits), byteOf(node.grid.zero_point));
    return fb::CreateNode(builder_, name, opType(node.op), op, inputs, &shape, &grid);
  }

  Offset<fb::Metadata> writeMetadata(const Metadata& metadata) {
    const auto name = builder_.CreateString(metadata.name);
    const auto labels = builder_.CreateVectorOfStrings(metadata.labels);
    const auto mean = builder_.CreateVector(metadata.mean, 3);
    const auto std = builder_.CreateVector(metadata.std, 3);
    const auto recipe = builder_.CreateString(metadata.recipe);
    const auto provenance = builder_.CreateString(metadata.provenance);
    const auto letterbox = vectorUnlessEmpty(metadata.letterbox);
    return fb::CreateMetadata(builder_, name, labels, metadata.resize, mean, std, recipe, provenance,
                              letterbox, metadata.bgr);
  }

  const QuantModel& model_;
  flatbuffers::FlatBufferBuilder builder_;
};

}  // namespace

Result<std::vector<std::byte>> writeModel(const QuantModel& model, const QuantModel* first) {
  TREFOIL_RETURN_IF_ERROR(validateModel(model));
  const std::uint64_t bytes = estimateBytes(model);
  if (bytes >= FLATBUFFERS_MAX_BUFFER_SIZE) {
    return makeError(ErrorCode::kBadModel,
                     "the file would exceed 2 GB; quantize more layers to ternary weights");
  }
  const auto capacity = static_cast<std::size_t>(bytes);
  if (!hasSecondPlanes(model)) {
    Writer writer(model, capacity);
    return joinSections(writer.writeFirst(), {});
  }
  QuantModel own;
  if (first == nullptr) {
    own = firstPlanes(model);
    first = &own;
  } else {
    TREFOIL_RETURN_IF_ERROR(checkRefines(model, *first));
  }
  TREFOIL_RETURN_IF_ERROR(validateModel(*first));
  Writer base(*first, capacity);
  Writer refinement(model, capacity);
  return joinSections(base.writeFirst(), refinement.writeRefinement(*first));
}

}  // namespace trefoil
