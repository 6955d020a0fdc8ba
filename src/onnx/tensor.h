// Constants while a model is read: weights, and the small integer tensors of shape arithmetic.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "onnx/common.h"
#include "onnx/wire.h"

namespace trefoil::onnx {

enum class ElementType { kReal, kInteger, kBool };

// Of the values' vectors one is used: reals for kReal (half, bfloat16 and double are converted to float),
// integers for the others (every integer type is widened; a bool is 0 or 1).
struct Tensor {
  ElementType type = ElementType::kReal;
  Dims dims;
  std::vector<float> reals;
  std::vector<std::int64_t> integers;

  std::size_t count() const { return type == ElementType::kReal ? reals.size() : integers.size(); }
};

using TensorPtr = std::shared_ptr<const Tensor>;

// What a TensorProto.DataType becomes; false where it is no number (strings, complex).
bool elementTypeOf(std::int32_t onnx_type, ElementType* type);

// Reads the values. Safe for untrusted input: nothing is allocated before the file is seen to hold that many
// values. Errors: kExternalData, kBadShape, kBadOnnx (wrong number of values, unknown type).
Result<Tensor> decodeTensor(const WireTensor& wire, Budget* budget);

float halfToFloat(std::uint16_t bits);

}  // namespace trefoil::onnx
