#include <bit>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "format/format.h"
#include "format/packed_model.h"
#include "format/scale_table.h"
#include "format/sections.h"
#include "format/sniff.h"
#include "format/trefoil_generated.h"
#include "format/trits.h"
#include "format/validate_op.h"

namespace trefoil {
namespace {

template <typename T>
using FbVector = flatbuffers::Vector<T>;

constexpr flatbuffers::uoffset_t kMaxDepth = 8;         // Model, Node, Conv, TernaryPlane, Scales
constexpr flatbuffers::uoffset_t kMaxTables = 1 << 17;  // 2^14 nodes (validateModel) of up to 6 tables

Error bad(std::string message) { return makeError(ErrorCode::kBadModel, std::move(message)); }

Result<void> validate(const PackedModel& packed) {
  QNode whole;
  return validateModel(packed.model, [&](std::size_t index) -> Result<const QNode*> {
    const QNode& node = packed.model.nodes[index];
    if (packed.codes[index][0].count == 0) return &node;
    whole = node;
    TREFOIL_RETURN_IF_ERROR(packed.unpackCodes(index, &whole));
    return &whole;
  });
}

// A file may point several times at the same bytes, which would let a small one unpack to gigabytes. Our
// writer never does that, so all parts together can't be longer than the file.
class Budget {
 public:
  explicit Budget(std::size_t bytes) : left_(bytes) {}
  bool take(std::uint64_t bytes) {
    if (bytes > left_) return exceeded_ = true, false;
    left_ -= bytes;
    return true;
  }
  bool exceeded() const { return exceeded_; }

 private:
  std::uint64_t left_;
  bool exceeded_ = false;
};

// What the buffers of a file have in common: vectors, planes, output stages.
class PartReader {
 protected:
  explicit PartReader(std::size_t bytes) : budget_(bytes) {}

  template <typename T>
  void copy(const FbVector<T>* from, std::vector<T>* to) {
    if (!from || !budget_.take(std::uint64_t{from->size()} * sizeof(T))) return;
    if constexpr (std::endian::native == std::endian::little || sizeof(T) == 1) {
      to->assign(from->data(), from->data() + from->size());  // vectors are aligned, the verifier sees to it
    } else {
      to->assign(from->begin(), from->end());
    }
  }
  void copy(const flatbuffers::String* from, std::string* to) {
    if (from && budget_.take(from->size())) to->assign(from->data(), from->size());
  }

  Result<void> copyStage(const fb::OutputStage* from, OutputStage* to) {
    if (!from) return bad("the output stage is missing");
    std::vector<std::int32_t> multipliers;
    std::vector<std::uint8_t> shifts;
    copy(from->multipliers(), &multipliers);
    copy(from->shifts(), &shifts);
    if (multipliers.size() != shifts.size()) return bad("multipliers and shifts differ in number");
    to->factors.reserve(shifts.size());
    for (std::size_t i = 0; i < shifts.size(); ++i) to->factors.push_back({multipliers[i], shifts[i]});
    to->low = from->low();
    to->high = from->high();
    return {};
  }

  // filters: above 0.
  Result<void> readScales(const fb::Scales* from, std::size_t filters, std::size_t count,
                          std::vector<std::uint8_t>* to) {
    if (!from) return {};
    ScaleTable table;
    table.index_bits = from->index_bits();
    copy(from->values(), &table.values);
    copy(from->indices(), &table.indices);
    if (budget_.exceeded()) return {};  // its owner sees that
    auto scales = unpackScales(table, filters, count);
    if (!scales) return scales.error();
    *to = std::move(*scales);
    return {};
  }

  // weights, scales: how many there are of the layer, which follows from its shapes.
  Result<void> readPlane(const fb::TernaryPlane& from, std::size_t filters, std::size_t weights,
                         std::size_t scales, TernaryPlane* to, PackedCodes* codes) {
    TREFOIL_RETURN_IF_ERROR(readScales(from.scales(), filters, scales, &to->scales));
    TREFOIL_RETURN_IF_ERROR(readScales(from.negative_scales(), filters, scales, &to->negative_scales));
    if (!from.codes()) return bad("a plane has no codes");
    if (!budget_.take(from.codes()->size())) return {};  // its owner sees that
    *codes = {{from.codes()->data(), from.codes()->size()}, weights};
    return {};
  }

  Budget budget_;
};

class Reader : PartReader {
 public:
  Reader(const fb::Model& file, std::size_t bytes) : PartReader(bytes), file_(file) {}

  Result<PackedModel> read() {
    model_.output_accumulators = file_.output_accumulators();
    copy(file_.logit_scales(), &model_.logit_scales);
    copy(file_.logit_offsets(), &model_.logit_offsets);
    if (file_.metadata()) TREFOIL_RETURN_IF_ERROR(readMetadata(*file_.metadata()));
    const std::size_t count = file_.nodes() ? file_.nodes()->size() : 0;
    for (std::size_t i = 0; i < count; ++i) {
      const fb::Node& node = *file_.nodes()->Get(static_cast<flatbuffers::uoffset_t>(i));
      if (!budget_.take(4)) break;
      if (auto result = readNode(node); !result) {
        return makeError(result.error().code, "node " + std::to_string(i) + ": " + result.error().message);
      }
    }
    if (budget_.exceeded()) return bad("parts of the file overlap");
    TREFOIL_RETURN_IF_ERROR(validate(packed_));
    return std::move(packed_);
  }

 private:
  Result<void> readMetadata(const fb::Metadata& from) {
    Metadata& to = model_.metadata;
    copy(from.name(), &to.name);
    if (from.labels() && budget_.take(4 * std::uint64_t{from.labels()->size()})) {
      to.labels.resize(from.labels()->size());
      for (std::size_t i = 0; i < to.labels.size(); ++i) {
        copy(from.labels()->Get(static_cast<flatbuffers::uoffset_t>(i)), &to.labels[i]);
      }
    }
    to.resize = from.resize();
    TREFOIL_RETURN_IF_ERROR(copyThree(from.mean(), to.mean));
    TREFOIL_RETURN_IF_ERROR(copyThree(from.std(), to.std));
    copy(from.recipe(), &to.recipe);
    copy(from.provenance(), &to.provenance);
    copy(from.letterbox(), &to.letterbox);
    to.bgr = from.bgr();
    return {};
  }

  static Result<void> copyThree(const FbVector<float>* from, float (&to)[3]) {
    if (!from || from->size() != 3)
      return bad("the mean or deviation of the preprocessing needs three numbers");
    for (flatbuffers::uoffset_t i = 0; i < 3; ++i) to[i] = from->Get(i);
    return {};
  }

  static Result<void> copyTriple(const fb::Triple* from, int (&to)[3]) {
    if (!from) return bad("a size is missing");
    to[0] = from->channels();
    to[1] = from->height();
    to[2] = from->width();
    return {};
  }

  static Result<void> copyWindow(const fb::Window* from, Window* to) {
    if (!from) return bad("the window is missing");
    *to = {from->kernel_h(),   from->kernel_w(), from->stride_h(), from->stride_w(),   from->dilation_h(),
           from->dilation_w(), from->pad_top(),  from->pad_left(), from->pad_bottom(), from->pad_right()};
    return {};
  }

  Result<void> readNode(const fb::Node& from) {
    QNode node;
    copy(from.name(), &node.name);
    copy(from.inputs(), &node.inputs);
    if (!from.shape() || !from.grid()) return bad("its shape or grid is missing");
    node.shape = {from.shape()->channels(), from.shape()->height(), from.shape()->width()};
    node.grid = {from.grid()->bits(), from.grid()->zero_point(), from.grid()->scale()};
    if (!from.op()) return bad("has no operation");
    packed_.codes.emplace_back();
    TREFOIL_RETURN_IF_ERROR(readOp(from, &node));
    model_.nodes.push_back(std::move(node));
    return {};
  }

  Result<void> readOp(const fb::Node& from, QNode* node) {
    switch (from.op_type()) {
      case fb::Op::Input:
        return set(node, QInputOp{});
      case fb::Op::Concat:
        return set(node, QConcatOp{});
      case fb::Op::Reshape:
        return set(node, QReshapeOp{});
      case fb::Op::Conv:
        return readConv(*from.op_as_Conv(), node);
      case fb::Op::Add: {
        const fb::Add& add = *from.op_as_Add();
        return set(node,
                   QAddOp{{add.multiplier_0(), add.multiplier_1()}, add.shift(), add.low(), add.high()});
      }
      case fb::Op::Mul:
        return copyStage(from.op_as_Mul()->output(), &node->op.emplace<QMulOp>().output);
      case fb::Op::Rescale:
        return copyStage(from.op_as_Rescale()->output(), &node->op.emplace<QRescaleOp>().output);
      case fb::Op::Pool: {
        QPoolOp& pool = node->op.emplace<QPoolOp>();
        pool.average = from.op_as_Pool()->average();
        TREFOIL_RETURN_IF_ERROR(copyWindow(from.op_as_Pool()->window(), &pool.window));
        return copyStage(from.op_as_Pool()->output(), &pool.output);
      }
      case fb::Op::Lookup:
        return copy(from.op_as_Lookup()->table(), &node->op.emplace<QLookupOp>().table), Result<void>();
      case fb::Op::Lrn: {
        QLrnOp& lrn = node->op.emplace<QLrnOp>();
        lrn.size = from.op_as_Lrn()->size();
        lrn.table_shift = from.op_as_Lrn()->table_shift();
        copy(from.op_as_Lrn()->table(), &lrn.table);
        lrn.shift = from.op_as_Lrn()->shift();
        return {};
      }
      case fb::Op::Pad: {
        QPadOp& pad = node->op.emplace<QPadOp>();
        pad.value = from.op_as_Pad()->value();
        TREFOIL_RETURN_IF_ERROR(copyTriple(from.op_as_Pad()->before(), pad.before));
        return copyTriple(from.op_as_Pad()->after(), pad.after);
      }
      case fb::Op::Slice: {
        QSliceOp& slice = node->op.emplace<QSliceOp>();
        TREFOIL_RETURN_IF_ERROR(copyTriple(from.op_as_Slice()->start(), slice.start));
        return copyTriple(from.op_as_Slice()->step(), slice.step);
      }
      case fb::Op::NONE:
        break;
    }
    return bad("operation " + std::to_string(static_cast<int>(from.op_type())) +
               " is unknown to this build; a newer one may read the file");
  }

  template <typename T>
  static Result<void> set(QNode* node, T op) {
    node->op = std::move(op);
    return {};
  }

  Result<void> readConv(const fb::Conv& from, QNode* node) {
    QConvOp conv;
    TREFOIL_RETURN_IF_ERROR(copyWindow(from.window(), &conv.window));
    conv.groups = from.groups();
    conv.ternary.group_size = from.group_size();
    copy(from.int8(), &conv.int8);
    copy(from.bias(), &conv.bias);
    copy(from.pad_values(), &conv.pad_values);
    copy(from.filter_scales(), &conv.filter_scales);
    TREFOIL_RETURN_IF_ERROR(copyStage(from.output(), &conv.output));
    if (from.plane()) {
      const int input = node->inputs.size() == 1 ? node->inputs[0] : -1;
      if (input < 0 || static_cast<std::size_t>(input) >= model_.nodes.size())
        return bad("reads no earlier node");
      const Shape& in = model_.nodes[static_cast<std::size_t>(input)].shape;
      const std::int64_t weights = convWeightCount(*node, conv, in);
      if (weights < 0) return bad("groups, channels and kernel size contradict each other");
      if (from.group_size() < 0 || from.group_size() > kMaxDimension)
        return bad("the group size is out of range");
      const auto filters = static_cast<std::size_t>(node->shape.channels);
      const int per_filter = scalesPerFilter(
          in.channels / conv.groups, conv.window.kernel_h * conv.window.kernel_w, conv.ternary.group_size);
      TREFOIL_RETURN_IF_ERROR(readPlane(*from.plane(), filters, static_cast<std::size_t>(weights),
                                        filters * static_cast<std::size_t>(per_filter),
                                        &conv.ternary.planes.emplace_back(), &packed_.codes.back()[0]));
    }
    node->op = std::move(conv);
    return {};
  }

  const fb::Model& file_;
  PackedModel packed_;
  QuantModel& model_ = packed_.model;
};

// Adds what the second buffer holds to the network of the first.
class Refiner : PartReader {
 public:
  Refiner(const fb::Refinement& file, std::size_t bytes) : PartReader(bytes), file_(file) {}

  Result<void> refine(PackedModel* packed) {
    QuantModel* model = &packed->model;
    std::int64_t last = -1;
    const flatbuffers::uoffset_t count = file_.layers() ? file_.layers()->size() : 0;
    for (flatbuffers::uoffset_t i = 0; i < count; ++i) {
      const fb::LayerRefinement& layer = *file_.layers()->Get(i);
      if (!budget_.take(4)) break;
      if (layer.node() <= last || layer.node() >= static_cast<std::int64_t>(model->nodes.size())) {
        return bad("the refined layers are not in order");
      }
      last = layer.node();
      const auto index = static_cast<std::size_t>(last);
      if (auto result = refineLayer(layer, &model->nodes[index], &packed->codes[index]); !result) {
        return makeError(result.error().code,
                         "refinement of node " + std::to_string(last) + ": " + result.error().message);
      }
    }
    replace(file_.logit_scales(), &model->logit_scales);
    replace(file_.logit_offsets(), &model->logit_offsets);
    if (budget_.exceeded()) return bad("parts of the file overlap");
    return validate(*packed);
  }

 private:
  template <typename T>
  void replace(const FbVector<T>* from, std::vector<T>* to) {
    if (!from) return;
    to->clear();
    copy(from, to);
  }

  Result<void> refineLayer(const fb::LayerRefinement& from, QNode* node, std::array<PackedCodes, 2>* codes) {
    auto* conv = std::get_if<QConvOp>(&node->op);
    if (!conv) return bad("only convolutions can be refined");
    if (from.plane()) {
      if (conv->ternary.planes.empty()) return bad("there is no first plane");
      const TernaryPlane& first = conv->ternary.planes[0];
      TernaryPlane second;
      TREFOIL_RETURN_IF_ERROR(readPlane(*from.plane(), static_cast<std::size_t>(node->shape.channels),
                                        (*codes)[0].count, first.scales.size(), &second, &(*codes)[1]));
      conv->ternary.planes.push_back(std::move(second));
    }
    replace(from.bias(), &conv->bias);
    replace(from.filter_scales(), &conv->filter_scales);
    if (!from.output()) return {};
    conv->output.factors.clear();
    return copyStage(from.output(), &conv->output);
  }

  const fb::Refinement& file_;
};

// The version field by itself, since a file of another version need not pass this version's verifier. 0:
// can't be read.
std::uint32_t peekVersion(const std::uint8_t* bytes, std::size_t size) {
  flatbuffers::Verifier verifier(bytes, size, kMaxDepth, kMaxTables);
  if (!verifier.VerifyOffset(0)) return 0;
  const auto* root = flatbuffers::GetRoot<flatbuffers::Table>(bytes);
  if (!root->VerifyTableStart(verifier)) return 0;
  if (!root->VerifyField<std::uint32_t>(verifier, fb::Model::VT_VERSION, 4)) return 0;
  return root->GetField<std::uint32_t>(fb::Model::VT_VERSION, 0);
}

Error withAdvice(Error error) {
  error.message = "not a usable .trefoil model: " + error.message;
  if (error.code == ErrorCode::kBadModel)
    error.message += ". Fetch the file again, or quantize the network anew";
  return error;
}

Error cutShort() { return withAdvice(bad("it is damaged or cut short")); }

// data: aligned, as FlatBuffers are read in place.
Result<PackedModel> readFirst(const std::uint8_t* data, std::size_t size) {
  flatbuffers::Verifier verifier(data, size, kMaxDepth, kMaxTables);
  if (!fb::VerifyModelBuffer(verifier)) return cutShort();
  Result<PackedModel> model = Reader(*fb::GetModel(data), size).read();
  if (!model) return withAdvice(model.error());
  return model;
}

Result<void> readRefinement(const std::uint8_t* data, std::size_t size, PackedModel* model) {
  flatbuffers::Verifier verifier(data, size, kMaxDepth, kMaxTables);
  if (!verifier.VerifyBuffer<fb::Refinement>(kRefinementIdentifier)) return cutShort();
  const auto refined = Refiner(*flatbuffers::GetRoot<fb::Refinement>(data), size).refine(model);
  return refined ? refined : withAdvice(refined.error());
}

Result<PackedModel> readAligned(const std::uint8_t* data, std::size_t size, int planes) {
  const std::uint32_t version = peekVersion(data, size);
  if (version == 0) return cutShort();
  if (version != kFormatVersion) {
    return makeError(ErrorCode::kModelVersion,
                     "the model has format version " + std::to_string(version) +
                         ", this build reads version " + std::to_string(kFormatVersion) +
                         (version > kFormatVersion ? "; update trefoil" : "; quantize the network anew"));
  }
  const auto sections = readSections(std::as_bytes(std::span(data, size)));
  if (!sections) return withAdvice(sections.error());
  const std::size_t wanted = planes == 1 ? sections->first : sections->whole;
  if (size < wanted && size >= sections->first) {
    return withAdvice(
        bad("it ends behind its first planes; with the rest missing it can be loaded with planes 1 only"));
  }
  if (size < wanted) return cutShort();
  if (size > sections->whole) return withAdvice(bad("there are bytes behind its end"));
  Result<PackedModel> model = readFirst(data, sections->first);
  if (!model || wanted == sections->first) return model;
  TREFOIL_RETURN_IF_ERROR(readRefinement(data + sections->first, wanted - sections->first, &*model));
  return model;
}

}  // namespace

Result<void> PackedModel::unpackCodes(std::size_t index, QNode* node) const {
  auto* conv = std::get_if<QConvOp>(&node->op);
  for (std::size_t plane = 0; conv && plane < conv->ternary.planes.size(); ++plane) {
    const PackedCodes& from = codes[index][plane];
    TREFOIL_RETURN_IF_ERROR(unpackTrits(from.bytes, from.count, &conv->ternary.planes[plane].codes));
  }
  return {};
}

Result<PackedModel> readPackedModel(std::span<const std::byte> bytes, int planes) {
  if (planes != 1 && planes != 2) {
    return makeError(ErrorCode::kBadOption, "planes is " + std::to_string(planes) + "; a model has 1 or 2");
  }
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  if (bytes.size() < 8 || !flatbuffers::BufferHasIdentifier(data, fb::ModelIdentifier())) {
    return bad("not a .trefoil model: the data " + describeForeignBytes(bytes));
  }
  if (bytes.size() >= FLATBUFFERS_MAX_BUFFER_SIZE) return bad("not a .trefoil model: the data exceeds 2 GB");
  if (reinterpret_cast<std::uintptr_t>(data) % kSectionAlignment == 0) {
    return readAligned(data, bytes.size(), planes);
  }
  // FlatBuffers are read in place, at their own alignment.
  std::unique_ptr<std::uint64_t[]> copy(new (std::nothrow)
                                            std::uint64_t[bytes.size() / kSectionAlignment + 1]);
  if (!copy) return makeError(ErrorCode::kOutOfMemory, "no memory to read a model of this size");
  std::memcpy(copy.get(), bytes.data(), bytes.size());
  auto model = readAligned(reinterpret_cast<const std::uint8_t*>(copy.get()), bytes.size(), planes);
  if (model) model->copy = std::move(copy);
  return model;
}

Result<QuantModel> readModel(std::span<const std::byte> bytes, int planes) {
  Result<PackedModel> packed = readPackedModel(bytes, planes);
  if (!packed) return packed.error();
  for (std::size_t i = 0; i < packed->model.nodes.size(); ++i) {
    TREFOIL_RETURN_IF_ERROR(packed->unpackCodes(i, &packed->model.nodes[i]));
  }
  return std::move(packed->model);
}

}  // namespace trefoil
