// Operators that work on constants only.
#include <algorithm>
#include <cmath>

#include "onnx/fold.h"
#include "onnx/operators.h"

namespace trefoil::onnx {
namespace {

Result<Value> named(const Importer& importer, const WireNode& node, Result<Tensor> result) {
  if (!result.ok()) return importer.at(node, result.error());
  return asValue(std::move(result).value());
}

// Min and Max of any number of constants, from left to right.
Result<Value> fold(Importer& importer, const WireNode& node, Binary operation) {
  TREFOIL_ASSIGN(first, importer.constant(node, 0));
  TensorPtr result = std::move(first);
  for (std::size_t i = 1; i < node.inputs.size(); ++i) {
    TREFOIL_ASSIGN(next, importer.constant(node, i));
    auto folded = foldBinary(operation, *result, *next, &importer.budget());
    if (!folded.ok()) return importer.at(node, folded.error());
    result = std::make_shared<const Tensor>(std::move(folded).value());
  }
  return Value(std::move(result));
}

template <typename Real, typename Integer>
Result<Value> mapConstant(Importer& importer, const WireNode& node, Real real, Integer integer) {
  TREFOIL_ASSIGN(source, importer.constant(node, 0));
  TREFOIL_RETURN_IF_ERROR(importer.budget().take(static_cast<std::int64_t>(source->count())));
  Tensor result = *source;
  for (float& value : result.reals) value = real(value);
  for (std::int64_t& value : result.integers) value = integer(value);
  return asValue(std::move(result));
}

std::int64_t same(std::int64_t value) { return value; }

}  // namespace

Result<Value> importMin(Importer& importer, const WireNode& node) {
  return fold(importer, node, Binary::kMin);
}
Result<Value> importMax(Importer& importer, const WireNode& node) {
  return fold(importer, node, Binary::kMax);
}

Result<Value> importEqual(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(a, importer.constant(node, 0));
  TREFOIL_ASSIGN(b, importer.constant(node, 1));
  return named(importer, node, foldBinary(Binary::kEqual, *a, *b, &importer.budget()));
}

Result<Value> importCeil(Importer& importer, const WireNode& node) {
  return mapConstant(importer, node, [](float value) { return std::ceil(value); }, same);
}

Result<Value> importFloor(Importer& importer, const WireNode& node) {
  return mapConstant(importer, node, [](float value) { return std::floor(value); }, same);
}

Result<Value> importNeg(Importer& importer, const WireNode& node) {
  return mapConstant(
      importer, node, [](float value) { return -value; },
      [](std::int64_t value) { return static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(value)); });
}

Result<Value> importSqrt(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(source, importer.constant(node, 0));
  if (source->type != ElementType::kReal) return importer.badOnnx(node, "takes the square root of integers");
  return mapConstant(importer, node, [](float value) { return std::sqrt(value); }, same);
}

Result<Value> importConstant(Importer& importer, const WireNode& node) {
  if (node.attributes.size() != 1) return importer.badOnnx(node, "must have exactly one value");
  const WireAttribute& attribute = node.attributes[0];
  Tensor tensor;
  if (attribute.name == "value") {
    if (!attribute.tensor.has_value()) return importer.badOnnx(node, "its value is not a tensor");
    return Value(&*attribute.tensor);
  }
  if (attribute.name == "value_float") {
    tensor.reals = {attribute.real};
  } else if (attribute.name == "value_floats") {
    tensor.reals = attribute.reals;
    tensor.dims = {static_cast<std::int64_t>(tensor.reals.size())};
  } else {
    tensor.type = ElementType::kInteger;
    tensor.integers = attribute.name == "value_int" ? Dims{attribute.integer} : attribute.integers;
    if (attribute.name == "value_ints") tensor.dims = {static_cast<std::int64_t>(tensor.integers.size())};
  }
  return asValue(std::move(tensor));
}

Result<Value> importConstantOfShape(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(dims, importer.integers(node, 0));
  Tensor filler;
  filler.reals = {0};
  const WireAttribute* value = node.find("value");
  if (value != nullptr && value->tensor.has_value()) {
    TREFOIL_ASSIGN(decoded, decodeTensor(*value->tensor, &importer.budget()));
    filler = std::move(decoded);
    if (filler.count() != 1) return importer.badOnnx(node, "its value must be one number");
    filler.dims.clear();
  }
  return named(importer, node, expand(filler, dims, &importer.budget()));
}

Result<Value> importExpand(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(shape, importer.integers(node, 1));
  TREFOIL_ASSIGN(found, importer.value(node, 0));
  if (auto* activation = std::get_if<NodeView>(&found)) {
    Dims dims;
    if (!broadcastDims(activation->dims, shape, &dims) || dims != activation->dims) {
      return importer.unsupported(node, "may not repeat a result of the network (shape " +
                                            dimsText(activation->dims) + " to " + dimsText(shape) + ")");
    }
    return found;
  }
  TREFOIL_ASSIGN(source, importer.constant(node, 0));
  Dims dims;
  if (!broadcastDims(source->dims, shape, &dims)) {
    return importer.badShape(node,
                             "shape " + dimsText(source->dims) + " can't be repeated to " + dimsText(shape));
  }
  return named(importer, node, expand(*source, dims, &importer.budget()));
}

Result<Value> importGather(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(data, importer.constant(node, 0));
  TREFOIL_ASSIGN(indices, importer.constant(node, 1));
  std::int64_t axis = node.integer("axis", 0);
  if (!normalizeAxis(&axis, data->dims.size())) return importer.badShape(node, "its axis does not exist");
  if (indices->type != ElementType::kInteger) return importer.badOnnx(node, "its indices are not integers");

  // Elements as [outer][axis][inner]; each index takes one block of inner elements from every outer one.
  const auto at_axis = static_cast<std::size_t>(axis);
  const std::int64_t size = data->dims[at_axis];
  Dims dims(data->dims.begin(), data->dims.begin() + axis);
  const std::int64_t outer = *elementCount(dims);
  const std::int64_t inner = *elementCount(Dims(data->dims.begin() + axis + 1, data->dims.end()));
  dims.insert(dims.end(), indices->dims.begin(), indices->dims.end());
  dims.insert(dims.end(), data->dims.begin() + axis + 1, data->dims.end());
  const auto count = elementCount(dims);
  if (!count.ok()) return importer.at(node, count.error());
  TREFOIL_RETURN_IF_ERROR(importer.budget().take(count.value()));

  Tensor result;
  result.type = data->type;
  result.dims = std::move(dims);
  for (std::int64_t o = 0; o < (count.value() > 0 ? outer : 0); ++o) {
    for (std::int64_t index : indices->integers) {
      if (index < -size || index >= size) {
        return importer.badShape(
            node, "index " + std::to_string(index) + " is outside 0.." + std::to_string(size - 1));
      }
      if (index < 0) index += size;
      const std::ptrdiff_t first = static_cast<std::ptrdiff_t>((o * size + index) * inner);
      const auto last = first + static_cast<std::ptrdiff_t>(inner);
      if (data->type == ElementType::kReal) {
        result.reals.insert(result.reals.end(), data->reals.begin() + first, data->reals.begin() + last);
      } else {
        result.integers.insert(result.integers.end(), data->integers.begin() + first,
                               data->integers.begin() + last);
      }
    }
  }
  return asValue(std::move(result));
}

Result<Value> importRange(Importer& importer, const WireNode& node) {
  TensorPtr bounds[3];
  for (std::size_t i = 0; i < 3; ++i) {
    TREFOIL_ASSIGN(bound, importer.constant(node, i));
    if (bound->type != ElementType::kInteger || bound->count() != 1) {
      return importer.unsupported(node, "its start, limit and step must be integers");
    }
    bounds[i] = std::move(bound);
  }
  const std::int64_t start = bounds[0]->integers[0], limit = bounds[1]->integers[0],
                     step = bounds[2]->integers[0];
  if (step == 0) return importer.badOnnx(node, "its step is 0");
  const double length = (static_cast<double>(limit) - static_cast<double>(start)) / static_cast<double>(step);
  const double count = std::clamp(std::ceil(length), 0.0, static_cast<double>(kMaxElements));
  TREFOIL_RETURN_IF_ERROR(importer.budget().take(static_cast<std::int64_t>(count)));
  Tensor result;
  result.type = ElementType::kInteger;
  result.dims = {static_cast<std::int64_t>(count)};
  result.integers.resize(static_cast<std::size_t>(count));
  std::uint64_t value = static_cast<std::uint64_t>(start);
  for (std::int64_t& element : result.integers) {
    element = static_cast<std::int64_t>(value);
    value += static_cast<std::uint64_t>(step);
  }
  return asValue(std::move(result));
}

Result<Value> importWhere(Importer& importer, const WireNode& node) {
  TREFOIL_ASSIGN(condition, importer.constant(node, 0));
  TREFOIL_ASSIGN(a, importer.constant(node, 1));
  TREFOIL_ASSIGN(b, importer.constant(node, 2));
  if (condition->type == ElementType::kReal || a->type != b->type) {
    return importer.badOnnx(node, "its condition must be boolean and its values of one type");
  }
  Dims dims;
  if (!broadcastDims(a->dims, b->dims, &dims) || !broadcastDims(dims, condition->dims, &dims)) {
    return importer.badShape(node, "constants of shapes " + dimsText(condition->dims) + ", " +
                                       dimsText(a->dims) + " and " + dimsText(b->dims) +
                                       " don't fit together");
  }
  Tensor chosen[3];
  const Tensor* sources[] = {condition.get(), a.get(), b.get()};
  for (std::size_t i = 0; i < 3; ++i) {
    auto expanded = expand(*sources[i], dims, &importer.budget());
    if (!expanded.ok()) return importer.at(node, expanded.error());
    chosen[i] = std::move(expanded).value();
  }
  for (std::size_t i = 0; i < chosen[0].integers.size(); ++i) {
    if (chosen[0].integers[i] != 0) continue;
    if (a->type == ElementType::kReal) {
      chosen[1].reals[i] = chosen[2].reals[i];
    } else {
      chosen[1].integers[i] = chosen[2].integers[i];
    }
  }
  return asValue(std::move(chosen[1]));
}

}  // namespace trefoil::onnx
