// Operators that keep every element and change only how the tensor is seen; on constants they are worked out.
#include <algorithm>
#include <cmath>

#include "onnx/fold.h"
#include "onnx/operators.h"

namespace trefoil::onnx {
namespace {

// Dims of a value that may be a result or a constant.
Result<Dims> dimsOf(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(found, importer.value(node, 0));
  if (const auto* activation = std::get_if<NodeView>(&found)) return activation->dims;
  if (const auto* wire = std::get_if<const WireTensor*>(&found)) return (*wire)->dims;
  return std::get<TensorPtr>(found)->dims;
}

// Input 0 under other dims of the same count.
Result<Value> reshaped(Importer& importer, const WireNode& node, Dims dims) {
  TREFOIL_ASSIGN(found, importer.value(node, 0));
  if (auto* activation = std::get_if<NodeView>(&found)) {
    activation->dims = std::move(dims);
    return found;
  }
  TREFOIL_ASSIGN(source, importer.constant(node, 0));
  TREFOIL_RETURN_IF_ERROR(importer.budget().take(static_cast<std::int64_t>(source->count())));
  Tensor result = *source;
  result.dims = std::move(dims);
  return asValue(std::move(result));
}

// Sets in `marked` the axes of a list, for a tensor of that many; each may stand once.
Result<void> markAxes(const Importer& importer, const WireNode& node, const Dims& axes,
                      std::vector<bool>* marked) {
  for (std::int64_t axis : axes) {
    if (!normalizeAxis(&axis, marked->size()) || (*marked)[static_cast<std::size_t>(axis)]) {
      return importer.badShape(node, "its axes " + dimsText(axes) + " don't fit a tensor of " +
                                         std::to_string(marked->size()) + " dimensions");
    }
    (*marked)[static_cast<std::size_t>(axis)] = true;
  }
  return {};
}

}  // namespace

Result<Value> importIdentity(Importer& importer, const WireNode& node) { return importer.value(node, 0); }

Result<Value> importDropout(Importer& importer, const WireNode& node) {
  if (node.has(2)) {
    TREFOIL_ASSIGN(training, importer.constant(node, 2));
    if (training->integers != Dims{0}) return importer.unsupported(node, "training_mode must be false");
  }
  return importer.value(node, 0);
}

Result<Value> importCast(Importer& importer, const WireNode& node) {
  ElementType to = ElementType::kReal;
  const std::int64_t code = node.integer("to", 0);
  if (code < 0 || code > 64 || !elementTypeOf(static_cast<std::int32_t>(code), &to)) {
    return importer.unsupported(node, "can't cast to type " + std::to_string(code));
  }
  TREFOIL_ASSIGN(found, importer.value(node, 0));
  if (std::holds_alternative<NodeView>(found)) {
    if (to == ElementType::kReal) return found;
    return importer.unsupported(node, "may not cast a result of the network to integers");
  }
  TREFOIL_ASSIGN(source, importer.constant(node, 0));
  if (source->type == to) return Value(std::move(source));
  TREFOIL_RETURN_IF_ERROR(importer.budget().take(static_cast<std::int64_t>(source->count())));
  Tensor result;
  result.type = to;
  result.dims = source->dims;
  if (to == ElementType::kReal) {
    result.reals.assign(source->integers.begin(), source->integers.end());
  } else if (source->type == ElementType::kReal) {
    for (const float value : source->reals) {
      // Every float below 2^63 in magnitude has an int64; C++ leaves the others undefined.
      if (!(std::abs(value) < 0x1p63F))
        return importer.badOnnx(node, "casts a value that no integer can hold");
      result.integers.push_back(static_cast<std::int64_t>(value));
    }
  } else {
    result.integers = source->integers;
  }
  if (to == ElementType::kBool) {
    for (std::size_t i = 0; i < result.integers.size(); ++i) {
      const bool is_set =
          source->type == ElementType::kReal ? source->reals[i] != 0 : source->integers[i] != 0;
      result.integers[i] = is_set ? 1 : 0;
    }
  }
  return asValue(std::move(result));
}

Result<Value> importShape(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(dims, dimsOf(importer, node));
  const auto rank = static_cast<std::int64_t>(dims.size());
  const SliceRange range = resolveSlice(node.integer("start", 0), node.integer("end", rank), 1, rank);
  Tensor result;
  result.type = ElementType::kInteger;
  result.integers.assign(dims.begin() + range.start, dims.begin() + range.start + range.count);
  result.dims = {range.count};
  return asValue(std::move(result));
}

Result<Value> importReshape(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(dims, dimsOf(importer, node));
  TREFOIL_ASSIGN(target, importer.integers(node, 1));
  const auto mismatch = [&] {
    return importer.badShape(node, "can't turn shape " + dimsText(dims) + " into " + dimsText(target));
  };
  Dims result = target;
  std::size_t inferred = result.size();
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (result[i] == 0 && node.integer("allowzero", 0) == 0) {
      if (i >= dims.size()) return mismatch();
      result[i] = dims[i];
    } else if (result[i] == -1) {
      if (inferred < result.size()) return mismatch();
      inferred = i;
      result[i] = 1;
    }
  }
  const auto wanted = elementCount(result);
  if (!wanted.ok()) return importer.at(node, wanted.error());
  TREFOIL_ASSIGN(count, elementCount(dims));
  if (inferred < result.size() && wanted.value() > 0 && count % wanted.value() == 0) {
    result[inferred] = count / wanted.value();
  } else if (wanted.value() != count) {
    return mismatch();
  }
  return reshaped(importer, node, std::move(result));
}

Result<Value> importFlatten(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(dims, dimsOf(importer, node));
  std::int64_t axis = node.integer("axis", 1);
  if (axis != static_cast<std::int64_t>(dims.size()) && !normalizeAxis(&axis, dims.size())) {
    return importer.badShape(node,
                             "axis " + std::to_string(axis) + " does not exist in shape " + dimsText(dims));
  }
  TREFOIL_ASSIGN(before, elementCount(Dims(dims.begin(), dims.begin() + axis)));
  TREFOIL_ASSIGN(after, elementCount(Dims(dims.begin() + axis, dims.end())));
  return reshaped(importer, node, {before, after});
}

Result<Value> importSqueeze(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(dims, dimsOf(importer, node));
  TREFOIL_ASSIGN(axes, importer.parameter(node, "axes", 1));
  std::vector<bool> dropped(dims.size(), false);
  if (axes.has_value()) {
    TREFOIL_RETURN_IF_ERROR(markAxes(importer, node, *axes, &dropped));
  } else {
    // Every axis of size 1, but for the batch of a result: it only happens to be one image here.
    const std::size_t first = importer.isConstant(node, 0) ? 0 : 1;
    for (std::size_t i = first; i < dims.size(); ++i) dropped[i] = dims[i] == 1;
  }
  Dims result;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (!dropped[i]) {
      result.push_back(dims[i]);
    } else if (dims[i] != 1) {
      return importer.badShape(node, "can't drop axis " + std::to_string(i) + " of shape " + dimsText(dims));
    }
  }
  return reshaped(importer, node, std::move(result));
}

Result<Value> importUnsqueeze(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(dims, dimsOf(importer, node));
  TREFOIL_ASSIGN(axes, importer.requiredParameter(node, "axes", 1));
  if (dims.size() + axes.size() > kMaxRank) {
    return importer.badShape(node,
                             "would make a tensor of more than " + std::to_string(kMaxRank) + " dimensions");
  }
  std::vector<bool> added(dims.size() + axes.size(), false);
  TREFOIL_RETURN_IF_ERROR(markAxes(importer, node, axes, &added));
  Dims result;
  auto next = dims.begin();
  for (const bool is_new : added) result.push_back(is_new ? 1 : *next++);
  return reshaped(importer, node, std::move(result));
}

Result<Value> importTranspose(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(dims, dimsOf(importer, node));
  std::vector<int> perm;
  if (const WireAttribute* attribute = node.find("perm")) {
    std::vector<bool> seen(dims.size(), false);
    TREFOIL_RETURN_IF_ERROR(markAxes(importer, node, attribute->integers, &seen));
    if (attribute->integers.size() != dims.size())
      return importer.badShape(node, "its perm doesn't list every axis");
    for (std::int64_t axis : attribute->integers) {
      normalizeAxis(&axis, dims.size());
      perm.push_back(static_cast<int>(axis));
    }
  } else {
    for (std::size_t i = dims.size(); i-- > 0;) perm.push_back(static_cast<int>(i));
  }
  TREFOIL_ASSIGN(found, importer.value(node, 0));
  if (auto* activation = std::get_if<NodeView>(&found)) {
    if (!transposeView(activation, perm, nodeName(node))) {
      return importer.unsupportedTranspose(node, activation->transpose);
    }
    return found;
  }
  TREFOIL_ASSIGN(source, importer.constant(node, 0));
  const Dims strides = rowMajorStrides(source->dims);
  auto result =
      stridedCopy(*source, permuted(source->dims, perm), 0, permuted(strides, perm), &importer.budget());
  if (!result.ok()) return importer.at(node, result.error());
  return asValue(std::move(result).value());
}

}  // namespace trefoil::onnx
