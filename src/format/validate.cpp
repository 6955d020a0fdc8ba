#include <algorithm>
#include <cmath>
#include <string>

#include "format/quant_model.h"
#include "format/validate_op.h"

namespace trefoil {
namespace {

// Far above any real classifier; what a hostile file can make the runtime reserve or compute ends here.
constexpr std::size_t kMaxNodes = 1 << 14;
constexpr std::int64_t kMaxTotalBytes = std::int64_t{1} << 30;  // activations of all nodes together
constexpr std::int64_t kMaxWork = std::int64_t{1} << 42;        // multiply-accumulates of one image

Error bad(std::string message) { return makeError(ErrorCode::kBadModel, std::move(message)); }

std::string describe(const QuantModel& model, std::size_t index) {
  const std::string& name = model.nodes[index].name;
  std::string text = "node " + std::to_string(index);
  if (!name.empty()) text += " ('" + (name.size() > 80 ? name.substr(0, 80) + "..." : name) + "')";
  return text + ": ";
}

bool allFinite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

Result<void> checkShapeAndGrid(const QNode& node) {
  const Shape& shape = node.shape;
  for (const int size : {shape.channels, shape.height, shape.width}) {
    if (size < 1 || size > kMaxDimension) return bad("a dimension is " + std::to_string(size));
  }
  // In two steps: the product of three dimensions of 2^20 fits 64 bits, but let the limit not rest on that.
  if (shape.plane() > kMaxElements || shape.size() > kMaxElements) return bad("the result is too large");
  const Grid& grid = node.grid;
  if (grid.bits < 4 || grid.bits > 8)
    return bad("grid of " + std::to_string(grid.bits) + " bits, 4 to 8 are possible");
  if (grid.zero_point < 0 || grid.zero_point > grid.max()) return bad("the zero point is outside the grid");
  if (!std::isfinite(grid.scale)) return bad("the grid's scale is not finite");
  return {};
}

Result<void> checkArity(const QNode& node, std::size_t index) {
  const bool is_input = std::holds_alternative<QInputOp>(node.op);
  if (is_input != (index == 0)) return bad(is_input ? "a second input" : "the first node is not the input");
  std::size_t low = 1;
  std::size_t high = 1;
  if (is_input) low = high = 0;
  if (std::holds_alternative<QAddOp>(node.op) || std::holds_alternative<QMulOp>(node.op)) low = high = 2;
  if (std::holds_alternative<QConcatOp>(node.op)) high = kMaxNodes;
  if (node.inputs.size() < low || node.inputs.size() > high) {
    return bad("has " + std::to_string(node.inputs.size()) + " inputs");
  }
  for (const int input : node.inputs) {
    if (input < 0 || static_cast<std::size_t>(input) >= index) {
      return bad("reads node " + std::to_string(input) + ", which does not come before it");
    }
  }
  return {};
}

Result<void> checkOutputs(const QuantModel& model) {
  const QNode& last = model.nodes.back();
  if (model.output_accumulators) {
    const auto* pool = std::get_if<QPoolOp>(&last.op);
    if (!std::holds_alternative<QConvOp>(last.op) && !(pool && pool->average)) {
      return bad("the last node is no convolution or average pool, so it has no accumulators to yield");
    }
  }
  const auto classes = static_cast<std::size_t>(last.shape.size());
  if (model.logit_scales.size() != classes || model.logit_offsets.size() != classes) {
    return bad("has " + std::to_string(classes) + " classes, but " +
               std::to_string(model.logit_scales.size()) + " logit scales and " +
               std::to_string(model.logit_offsets.size()) + " logit offsets");
  }
  if (!allFinite(model.logit_scales) || !allFinite(model.logit_offsets)) {
    return bad("a logit scale or offset is not finite");
  }
  const Metadata& metadata = model.metadata;
  if (!metadata.labels.empty() && metadata.labels.size() != classes) {
    return bad("has " + std::to_string(classes) + " classes, but " + std::to_string(metadata.labels.size()) +
               " labels");
  }
  if (metadata.resize < 0 || metadata.resize > kMaxDimension) return bad("the resize size is out of range");
  if (!metadata.letterbox.empty() && (metadata.letterbox.size() != 3 || metadata.resize != 0)) {
    return bad("a letterbox of the preprocessing has a colour of three numbers, and no resize");
  }
  for (int c = 0; c < 3; ++c) {
    if (!std::isfinite(metadata.mean[c])) return bad("a mean of the preprocessing is not finite");
    if (!std::isfinite(metadata.std[c]) || metadata.std[c] <= 0) {
      return bad("a standard deviation of the preprocessing is not a positive number");
    }
  }
  return {};
}

}  // namespace

Result<void> validateModel(const QuantModel& model) {
  return validateModel(model, [&](std::size_t index) -> Result<const QNode*> { return &model.nodes[index]; });
}

Result<void> validateModel(const QuantModel& model,
                           const std::function<Result<const QNode*>(std::size_t index)>& whole) {
  if (model.nodes.empty()) return bad("the model has no nodes");
  if (model.nodes.size() > kMaxNodes)
    return bad("the model has more than " + std::to_string(kMaxNodes) + " nodes");
  std::int64_t bytes = 0;
  std::int64_t work = 0;
  std::vector<const QNode*> inputs;
  for (std::size_t i = 0; i < model.nodes.size(); ++i) {
    const QNode& node = model.nodes[i];
    const auto in_node = [&](const Error& error) {
      return makeError(error.code, describe(model, i) + error.message);
    };
    if (auto result = checkShapeAndGrid(node); !result) return in_node(result.error());
    if (auto result = checkArity(node, i); !result) return in_node(result.error());
    inputs.clear();
    for (const int input : node.inputs) inputs.push_back(&model.nodes[static_cast<std::size_t>(input)]);
    const bool accumulators = model.output_accumulators && i + 1 == model.nodes.size();
    const auto whole_node = whole(i);
    if (!whole_node) return in_node(whole_node.error());
    if (auto result = validateOp(**whole_node, inputs, accumulators); !result) return in_node(result.error());

    bytes += node.shape.channels *
             ((node.shape.plane() + 15) / 16 * 16);  // as the runtime lays planes out, or more
    if (bytes > kMaxTotalBytes) return bad("the activations take more than 1 GiB");
    work += opWork(node, inputs);
    if (work > kMaxWork) return bad("one image takes more than 2^42 multiply-accumulates");
  }
  return checkOutputs(model);
}

}  // namespace trefoil
