#include "onnx/importer.h"

#include <algorithm>
#include <cmath>

#include "onnx/operators.h"

namespace trefoil::onnx {
namespace {

constexpr std::size_t kMaxNodes = 1 << 17;

bool validShape(const Shape& shape) {
  const auto valid = [](int size) { return size >= 1 && size <= kMaxDimension; };
  return valid(shape.channels) && valid(shape.height) && valid(shape.width) &&
         shape.plane() <= kMaxElements / shape.channels;
}

// The dims of an N, C, H, W tensor (or of its first axes) as a shape; false where one is too large for it.
bool imageShape(const Dims& dims, Shape* shape) {
  int sizes[3] = {1, 1, 1};
  for (std::size_t i = 1; i < dims.size(); ++i) {
    if (dims[i] < 1 || dims[i] > kMaxDimension) return false;
    sizes[i - 1] = static_cast<int>(dims[i]);
  }
  *shape = {sizes[0], sizes[1], sizes[2]};
  return true;
}

// Axis that is longer than 1, of a tensor which has only one such beside the batch; else axis 1.
std::size_t longAxis(const Dims& dims) {
  std::size_t found = 1;
  for (std::size_t i = 1; i < dims.size(); ++i) {
    if (dims[i] == 1) continue;
    if (dims[found] != 1) return 1;
    found = i;
  }
  return found;
}

}  // namespace

void Importer::addInput(std::string_view name, const Dims& dims, const Shape& shape, bool channels_last) {
  batch_ = dims[0];
  Node node;
  node.name = cleanName(name);
  node.op = InputOp{};
  node.shape = shape;
  used_names_.emplace(node.name, 1);
  graph_.name = cleanName(model_.graph_name);
  graph_.nodes.push_back(std::move(node));

  NodeView image;
  image.dims = dims;
  if (channels_last) image = view(0, {kBatch, kRows, kColumns, kChannels});
  values_[name] = std::move(image);
}

Result<void> Importer::importNode(const WireNode& node) {
  const Operator* row = findOperator(node.type);
  if (row == nullptr) return unsupported(node, "unknown operator");
  for (const WireAttribute& attribute : node.attributes) {
    if (!acceptsAttribute(*row, attribute.name)) {
      return unsupported(node, "attribute " + quoted(attribute.name) + " is not supported");
    }
  }
  TREFOIL_ASSIGN(result, row->run(*this, node));
  if (!node.outputs.empty() && !node.outputs[0].empty()) values_[node.outputs[0]] = std::move(result);
  return {};
}

Result<Graph> Importer::finish(std::string_view output) {
  const Value* value = find(output);
  const NodeView* result = value != nullptr ? std::get_if<NodeView>(value) : nullptr;
  if (result == nullptr) {
    return makeError(ErrorCode::kBadOnnx,
                     "the model's output " + quoted(output) + " does not depend on its input");
  }
  // The batch may have been squeezed away.
  const bool has_batch = result->dims.size() > 1;
  const auto long_axes = std::count_if(result->dims.begin() + (has_batch ? 1 : 0), result->dims.end(),
                                       [](std::int64_t dim) { return dim != 1; });
  const std::int64_t features = shapeOf(result->node).size();
  if (!result->inOrder() || long_axes > 1 || (has_batch && result->dims[0] != batch_) ||
      features > kMaxDimension) {
    return makeError(ErrorCode::kBadShape, "the model's output " + quoted(output) + " has the shape " +
                                               dimsText(result->dims) +
                                               ", but a classifier's must be one vector of class scores");
  }
  WireNode namer;
  namer.name = output;
  TREFOIL_ASSIGN(last, emitReshape(namer, result->node, {static_cast<int>(features), 1, 1}));

  // Nodes that were only asked for their shape, or that a later one replaced, are left out.
  std::vector<bool> needed(graph_.nodes.size(), false);
  needed[0] = true;
  needed[static_cast<std::size_t>(last)] = true;
  for (std::size_t i = graph_.nodes.size(); i-- > 0;) {
    if (!needed[i]) continue;
    for (const int input : graph_.nodes[i].inputs) needed[static_cast<std::size_t>(input)] = true;
  }
  std::vector<int> index(graph_.nodes.size(), 0);
  Graph graph;
  graph.name = std::move(graph_.name);
  for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
    if (!needed[i]) continue;
    index[i] = static_cast<int>(graph.nodes.size());
    for (int& input : graph_.nodes[i].inputs) input = index[static_cast<std::size_t>(input)];
    graph.nodes.push_back(std::move(graph_.nodes[i]));
  }
  graph.output = index[static_cast<std::size_t>(last)];
  return graph;
}

const Value* Importer::find(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? nullptr : &found->second;
}

bool Importer::isConstant(const WireNode& node, std::size_t input) const {
  if (!node.has(input)) return false;
  const Value* value = find(node.inputs[input]);
  return value == nullptr ? names_.initializers.contains(node.inputs[input])
                          : !std::holds_alternative<NodeView>(*value);
}

Result<Value> Importer::value(const WireNode& node, std::size_t input) const {
  if (!node.has(input)) return badOnnx(node, "input " + std::to_string(input) + " is not given");
  const std::string_view name = node.inputs[input];
  if (const Value* value = find(name)) return *value;
  const auto initializer = names_.initializers.find(name);
  if (initializer != names_.initializers.end()) return Value(initializer->second);
  const auto producer = names_.producers.find(name);
  if (producer != names_.producers.end() && producer->second.output > 0) {
    const WireNode& from = model_.nodes[static_cast<std::size_t>(producer->second.node)];
    return unsupported(from, "its output " + std::to_string(producer->second.output) + " (" + quoted(name) +
                                 ") is used; only the first one may be");
  }
  return error(ErrorCode::kMissingInitializer, node,
               "reads tensor " + quoted(name) + ", which nothing produces");
}

Result<NodeView> Importer::activation(const WireNode& node, std::size_t input) const {
  TREFOIL_ASSIGN(found, value(node, input));
  if (auto* activation = std::get_if<NodeView>(&found)) return std::move(*activation);
  return unsupported(node,
                     "input " + std::to_string(input) + " (" + quoted(node.inputs[input]) +
                         ") is a constant where a result of the network is expected; fold constants when "
                         "exporting (for instance with onnxsim)");
}

Result<TensorPtr> Importer::constant(const WireNode& node, std::size_t input) {
  TREFOIL_ASSIGN(found, value(node, input));
  if (auto* tensor = std::get_if<TensorPtr>(&found)) return std::move(*tensor);
  if (const auto* wire = std::get_if<const WireTensor*>(&found)) {
    TREFOIL_ASSIGN(tensor, decodeTensor(**wire, &budget_));
    return TensorPtr(std::make_shared<const Tensor>(std::move(tensor)));
  }
  return unsupported(node, "input " + std::to_string(input) + " (" + quoted(node.inputs[input]) +
                               ") must be a constant, but depends on the image");
}

Result<Dims> Importer::integers(const WireNode& node, std::size_t input) {
  TREFOIL_ASSIGN(tensor, constant(node, input));
  if (tensor->type != ElementType::kInteger || tensor->dims.size() > 1) {
    return badOnnx(node, "input " + std::to_string(input) + " must be a list of integers");
  }
  TREFOIL_RETURN_IF_ERROR(budget_.take(static_cast<std::int64_t>(tensor->count())));
  return tensor->integers;
}

Result<float> Importer::scalar(const WireNode& node, std::size_t input) {
  TREFOIL_ASSIGN(tensor, constant(node, input));
  if (tensor->type != ElementType::kReal || tensor->count() != 1) {
    return badOnnx(node, "input " + std::to_string(input) + " must be one real number");
  }
  return tensor->reals[0];
}

Result<Tensor> Importer::weights(const WireNode& node, std::size_t input) {
  TREFOIL_ASSIGN(found, value(node, input));
  Tensor tensor;
  if (const auto* wire = std::get_if<const WireTensor*>(&found)) {
    TREFOIL_ASSIGN(decoded, decodeTensor(**wire, &budget_));
    tensor = std::move(decoded);
  } else {
    TREFOIL_ASSIGN(shared, constant(node, input));
    TREFOIL_RETURN_IF_ERROR(budget_.take(static_cast<std::int64_t>(shared->count())));
    tensor = *shared;
  }
  const std::string which = "input " + std::to_string(input) + " (" + quoted(node.inputs[input]) + ")";
  if (tensor.type != ElementType::kReal) return badOnnx(node, which + " must hold real numbers");
  if (!std::all_of(tensor.reals.begin(), tensor.reals.end(),
                   [](float value) { return std::isfinite(value); })) {
    return badOnnx(node, which + " holds a value that is not finite (NaN or infinity)");
  }
  return tensor;
}

Result<std::optional<Dims>> Importer::parameter(const WireNode& node, std::string_view attribute,
                                                std::size_t input) {
  if (const WireAttribute* found = node.find(attribute)) return std::optional<Dims>(found->integers);
  if (!node.has(input)) return std::optional<Dims>();
  TREFOIL_ASSIGN(values, integers(node, input));
  return std::optional<Dims>(std::move(values));
}

Result<Dims> Importer::requiredParameter(const WireNode& node, std::string_view attribute,
                                         std::size_t input) {
  TREFOIL_ASSIGN(values, parameter(node, attribute, input));
  if (!values.has_value()) return badOnnx(node, "has no '" + std::string(attribute) + "'");
  return std::move(*values);
}

std::string Importer::uniqueName(const WireNode& node, std::string_view suffix) {
  std::string name = cleanName(nodeName(node)) + std::string(suffix);
  int& tried = used_names_[name];
  if (++tried == 1) return name;
  for (;; ++tried) {
    std::string candidate = name + "_" + std::to_string(tried);
    if (used_names_.emplace(candidate, 1).second) return candidate;
  }
}

Result<int> Importer::emit(const WireNode& node, Op op, std::vector<int> inputs, const Shape& shape,
                           std::string_view suffix) {
  if (!validShape(shape)) {
    return badShape(node, "its result would have the shape " + shapeText(shape) + "; sizes must be 1 to " +
                              std::to_string(kMaxDimension) + ", and " + std::to_string(kMaxElements) +
                              " elements at most");
  }
  if (graph_.nodes.size() >= kMaxNodes) return badOnnx(node, "the network has too many operations");
  graph_.nodes.push_back({uniqueName(node, suffix), std::move(op), std::move(inputs), shape});
  return static_cast<int>(graph_.nodes.size()) - 1;
}

Result<int> Importer::emitReshape(const WireNode& node, int source, const Shape& shape) {
  const Node& from = graph_.nodes[static_cast<std::size_t>(source)];
  if (std::holds_alternative<ReshapeOp>(from.op)) source = from.inputs[0];
  if (shapeOf(source) == shape) return source;
  const std::tuple key(source, shape.channels, shape.height, shape.width);
  const auto known = reshapes_.find(key);
  if (known != reshapes_.end()) return known->second;
  TREFOIL_ASSIGN(result, emit(node, ReshapeOp{}, {source}, shape, "/reshape"));
  reshapes_[key] = result;
  return result;
}

Result<Placed> Importer::place(const WireNode& node, const NodeView& value, AxisRule rule) {
  if (!value.inOrder() && (!isDirect(value) || value.perm[0] != 0 || rule == AxisRule::kChannelsFirst)) {
    return unsupportedTranspose(node, value.transpose);
  }
  const Dims& base = value.inOrder() ? value.dims : value.base;
  Shape shape;
  if (base.size() < 2 || base.size() > 4 || base[0] != batch_ || !imageShape(base, &shape)) {
    return badShape(node, "can't work on a tensor of shape " + dimsText(value.dims) +
                              "; expected are [N,C], [N,C,L] or [N,C,H,W] with a batch of " +
                              std::to_string(batch_));
  }
  Placed placed;
  placed.transpose = value.transpose;
  std::vector<int> axes = {kBatch, kChannels, kRows, kColumns};
  axes.resize(base.size());
  if (value.inOrder()) {
    const std::size_t channels = rule == AxisRule::kAny ? longAxis(base) : 1;
    if (channels != 1) {
      int next = kRows;
      for (std::size_t i = 1; i < axes.size(); ++i) axes[i] = i == channels ? kChannels : next++;
      shape = {static_cast<int>(base[channels]), 1, 1};
    }
    placed.axes = std::move(axes);
  } else {
    for (const int axis : value.perm) placed.axes.push_back(axes[static_cast<std::size_t>(axis)]);
  }
  TREFOIL_ASSIGN(source, emitReshape(node, value.node, shape));
  placed.node = source;
  return placed;
}

NodeView Importer::view(int node, const std::vector<int>& axes, std::string_view transpose) const {
  const Shape& shape = shapeOf(node);
  const std::int64_t sizes[] = {batch_, shape.channels, shape.height, shape.width};
  NodeView value;
  value.node = node;
  value.dims.assign(sizes, sizes + axes.size());
  std::vector<int> perm;
  for (const int axis : axes) perm.push_back(axis + 1);
  transposeView(&value, perm, transpose);
  return value;
}

Result<int> Importer::image(const WireNode& node, const NodeView& value) {
  if (value.dims.size() != 4) {
    return unsupported(node, "its input has the shape " + dimsText(value.dims) +
                                 "; only images of shape [N,C,H,W] are supported");
  }
  TREFOIL_ASSIGN(placed, place(node, value, AxisRule::kChannelsFirst));
  return placed.node;
}

Error Importer::error(ErrorCode code, const WireNode& node, std::string_view what) const {
  std::string message = "node " + quoted(nodeName(node)) + " (" + cleanName(node.type);
  if (code == ErrorCode::kUnsupportedOp) {
    message += ", opset " + std::to_string(model_.opset);
    if (unsupported_ != nullptr) {
      *unsupported_ = {cleanName(node.type), cleanName(nodeName(node)), model_.opset, {}};
    }
  }
  return makeError(code, message + "): " + std::string(what));
}

Error Importer::unsupportedTranspose(const WireNode& node, std::string_view transpose) const {
  return unsupported(
      node, "needs the result of Transpose " + quoted(transpose) +
                " moved in memory, which is not supported; Transpose may only switch between N,C,H,W "
                "and N,H,W,C around operators that work in either");
}

}  // namespace trefoil::onnx
