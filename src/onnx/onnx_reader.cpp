#include "onnx/onnx_reader.h"

#include <algorithm>
#include <new>
#include <optional>
#include <stdexcept>

#include "onnx/importer.h"
#include "onnx/operators.h"
#include "onnx/order.h"
#include "onnx/wire.h"

namespace trefoil {
namespace onnx {
namespace {

// Elements that may be made while reading: eight copies of a float network, and room for small models'
// arithmetic.
std::int64_t elementBudget(std::size_t file_bytes) {
  return (std::int64_t{1} << 24) + 2 * static_cast<std::int64_t>(file_bytes);
}

Result<void> checkOpset(std::int64_t opset) {
  if (opset == 0) {
    return makeError(ErrorCode::kBadOnnx,
                     "the model states no opset of the default domain; it is damaged or not ONNX");
  }
  if (opset < kMinOpset || opset > kMaxOpset) {
    return makeError(ErrorCode::kUnsupportedOpset,
                     "the model uses opset " + std::to_string(opset) + "; supported are " +
                         std::to_string(kMinOpset) + " to " + std::to_string(kMaxOpset) +
                         ". Export it with another opset_version (13, say), or convert it with "
                         "onnx.version_converter");
  }
  return {};
}

bool isDefaultDomain(std::string_view domain) { return domain.empty() || domain == "ai.onnx"; }

std::string typeOf(const WireNode& node) {
  const std::string type = cleanName(node.type);
  return isDefaultDomain(node.domain) ? type : cleanName(node.domain) + ":" + type;
}

bool isKnown(const WireNode& node) {
  return isDefaultDomain(node.domain) && findOperator(node.type) != nullptr;
}

// A real network has a handful of operators that are not known; a hostile file may have thousands.
constexpr std::size_t kNamedOperators = 32;

// Tells of all of them at once, so that nobody replaces one only to hear of the next.
Result<void> checkOperators(const WireModel& model, const std::vector<int>& order,
                            UnsupportedNode* unsupported) {
  const WireNode* first = nullptr;
  std::vector<std::string> unknown;
  for (const int index : order) {
    const WireNode& node = model.nodes[static_cast<std::size_t>(index)];
    if (isKnown(node)) continue;
    if (first == nullptr) first = &node;
    std::string type = typeOf(node);
    if (std::find(unknown.begin(), unknown.end(), type) != unknown.end()) continue;
    if (unknown.size() == kNamedOperators) break;
    unknown.push_back(std::move(type));
  }
  if (first == nullptr) return {};

  std::string message = "operator " + unknown[0] + " of node " + quoted(nodeName(*first)) + " (opset " +
                        std::to_string(model.opset) + ") is not supported";
  for (std::size_t i = 1; i < unknown.size(); ++i) message += (i == 1 ? ", nor is " : ", ") + unknown[i];
  const auto quantized = [](const std::string& type) {
    return type.find("uantize") != std::string::npos || type.find("QLinear") != std::string::npos;
  };
  if (std::any_of(unknown.begin(), unknown.end(), quantized)) {
    message += "; the model is quantized already, give the float one";
  }
  message += ". Supported operators:";
  for (const Operator& row : operators()) message += " " + std::string(row.type);
  if (unsupported != nullptr) {
    *unsupported = {unknown[0], cleanName(nodeName(*first)), model.opset, std::move(unknown)};
  }
  return makeError(ErrorCode::kUnsupportedOp, std::move(message));
}

Result<const WireValue*> findInput(const WireModel& model, const Names& names) {
  for (const WireValue& input : model.inputs) {
    if (!names.initializers.contains(input.name)) return &input;
  }
  return makeError(ErrorCode::kBadOnnx, "the model has no input");
}

// Operators that a layout may pass through on its way from the input to the first Transpose.
bool keepsLayout(std::string_view type) {
  constexpr std::string_view kTypes[] = {"Add",      "Cast",      "Clip",  "Div",      "Dropout",
                                         "Identity", "Mul",       "Pad",   "Relu",     "Sub",
                                         "Sigmoid",  "LeakyRelu", "Slice", "HardSwish"};
  return std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes);
}

// Networks converted from TensorFlow take N, H, W, C and move the channels first at once.
bool isChannelsLast(const WireModel& model, const std::vector<int>& order, std::string_view input) {
  std::vector<std::string_view> same_layout = {input};
  for (const int index : order) {
    const WireNode& node = model.nodes[static_cast<std::size_t>(index)];
    const bool reads = std::any_of(node.inputs.begin(), node.inputs.end(), [&](std::string_view name) {
      return std::find(same_layout.begin(), same_layout.end(), name) != same_layout.end();
    });
    if (!reads) continue;
    if (node.type == "Transpose") {
      const WireAttribute* perm = node.find("perm");
      if (perm != nullptr && perm->integers == Dims{0, 3, 1, 2}) return true;
    }
    constexpr std::size_t kFarEnough = 16;
    if (same_layout.size() < kFarEnough && keepsLayout(node.type) && !node.outputs.empty()) {
      same_layout.push_back(node.outputs[0]);
    }
  }
  return false;
}

Error badInput(const WireValue& input, std::string_view why) {
  std::string dims;
  for (const std::int64_t dim : input.dims) {
    dims += (dims.empty() ? "" : ",") + (dim == kSymbolic ? std::string("?") : std::to_string(dim));
    if (dims.size() > 200) break;
  }
  return makeError(ErrorCode::kBadShape, "the model's input " + quoted(input.name) + " of shape [" + dims +
                                             "] " + std::string(why));
}

Result<void> addImageInput(const WireValue& input, const OnnxOptions& options, bool channels_last,
                           Importer* importer) {
  if (!input.has_shape) return badInput(input, "must state a shape, such as [N,3,224,224]");
  Dims dims = input.dims;
  if (dims.size() < 2 || dims.size() > 4) {
    return badInput(input, "must be [N,C,H,W], [N,H,W,C], [N,H,W] or [N,features]");
  }
  if (dims[0] == kSymbolic) dims[0] = 1;
  // The tensor's axes that hold channels, rows and columns; 0 where it has none.
  struct {
    std::size_t channels, rows, columns;
  } axis = {1, 0, 0};
  if (dims.size() == 4) axis = channels_last ? decltype(axis){3, 1, 2} : decltype(axis){1, 2, 3};
  if (dims.size() == 3) axis = {0, 1, 2};

  if (axis.rows != 0 && dims[axis.rows] == kSymbolic) dims[axis.rows] = options.input_height;
  if (axis.columns != 0 && dims[axis.columns] == kSymbolic) dims[axis.columns] = options.input_width;
  if ((axis.rows != 0 && dims[axis.rows] == 0) || (axis.columns != 0 && dims[axis.columns] == 0)) {
    return badInput(input,
                    "leaves the image size open; give it with the options input_height and input_width (the "
                    "rows and columns that the network was trained on)");
  }
  if (axis.channels != 0 && dims[axis.channels] == kSymbolic)
    return badInput(input, "must state its channels");
  if (std::any_of(dims.begin(), dims.end(), [](std::int64_t dim) { return dim > kMaxDimension; }) ||
      !elementCount(dims).ok()) {
    return badInput(input, "is too large");
  }
  const auto size = [&](std::size_t index) { return index == 0 ? 1 : static_cast<int>(dims[index]); };
  importer->addInput(input.name, dims, {size(axis.channels), size(axis.rows), size(axis.columns)},
                     channels_last);
  return {};
}

}  // namespace
}  // namespace onnx

// Parts refer to those before them, so it stays where it is.
struct OnnxReading::Impl {
  onnx::WireModel model;
  onnx::Names names;
  std::string_view output;
  std::vector<int> order;
  std::size_t next = 0;  // of `order`
  std::optional<onnx::Importer> importer;

  Result<void> begin(std::span<const std::byte> bytes, const OnnxOptions& options,
                     UnsupportedNode* unsupported);
};

Result<void> OnnxReading::Impl::begin(std::span<const std::byte> bytes, const OnnxOptions& options,
                                      UnsupportedNode* unsupported) {
  TREFOIL_ASSIGN(parsed, onnx::parseModel(bytes));
  model = std::move(parsed);
  TREFOIL_RETURN_IF_ERROR(onnx::checkOpset(model.opset));
  TREFOIL_ASSIGN(indexed, onnx::indexNames(model));
  names = std::move(indexed);
  TREFOIL_ASSIGN(input, onnx::findInput(model, names));
  if (model.outputs.empty()) return makeError(ErrorCode::kBadOnnx, "the model has no output");
  output = model.outputs[0].name;
  TREFOIL_ASSIGN(ordered, onnx::orderNodes(model, names, input->name, output));
  order = std::move(ordered);
  TREFOIL_RETURN_IF_ERROR(onnx::checkOperators(model, order, unsupported));

  importer.emplace(model, names, onnx::Budget(onnx::elementBudget(bytes.size())), unsupported);
  const bool channels_last = input->dims.size() == 4 && onnx::isChannelsLast(model, order, input->name);
  return onnx::addImageInput(*input, options, channels_last, &*importer);
}

namespace {

template <typename Body>
auto guarded(Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return makeError(ErrorCode::kOutOfMemory, "not enough memory to read the ONNX model");
  } catch (const std::length_error&) {
    return makeError(ErrorCode::kOutOfMemory, "not enough memory to read the ONNX model");
  }
}

}  // namespace

OnnxReading::OnnxReading(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
OnnxReading::OnnxReading(OnnxReading&&) noexcept = default;
OnnxReading& OnnxReading::operator=(OnnxReading&&) noexcept = default;
OnnxReading::~OnnxReading() = default;

Result<OnnxReading> OnnxReading::begin(std::span<const std::byte> bytes, const OnnxOptions& options,
                                       UnsupportedNode* unsupported) {
  const auto valid = [](int size) { return size >= 0 && size <= kMaxDimension; };
  if (!valid(options.input_height) || !valid(options.input_width)) {
    return makeError(ErrorCode::kBadOption,
                     "input_height and input_width must be 0 to " + std::to_string(kMaxDimension));
  }
  return guarded([&]() -> Result<OnnxReading> {
    auto impl = std::make_unique<Impl>();
    TREFOIL_RETURN_IF_ERROR(impl->begin(bytes, options, unsupported));
    return OnnxReading(std::move(impl));
  });
}

bool OnnxReading::done() const { return impl_->next == impl_->order.size(); }

Result<void> OnnxReading::step() {
  return guarded([&]() -> Result<void> {
    const int index = impl_->order[impl_->next++];
    return impl_->importer->importNode(impl_->model.nodes[static_cast<std::size_t>(index)]);
  });
}

Result<Graph> OnnxReading::finish() {
  return guarded([&]() -> Result<Graph> {
    TREFOIL_ASSIGN(graph, impl_->importer->finish(impl_->output));
    TREFOIL_RETURN_IF_ERROR(validateGraph(graph));
    return graph;
  });
}

Result<Graph> readOnnx(std::span<const std::byte> bytes, const OnnxOptions& options) {
  auto reading = OnnxReading::begin(bytes, options);
  if (!reading) return reading.error();
  while (!reading->done()) TREFOIL_RETURN_IF_ERROR(reading->step());
  return reading->finish();
}

std::vector<std::string> supportedOnnxOperators() {
  std::vector<std::string> types;
  for (const onnx::Operator& row : onnx::operators()) types.emplace_back(row.type);
  return types;
}

}  // namespace trefoil
