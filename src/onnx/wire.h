// The ONNX file as it is stored: protobuf messages taken apart, nothing interpreted. Views point into the
// file's bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "onnx/common.h"

namespace trefoil::onnx {

struct WireTensor {
  std::string_view name;
  Dims dims;
  std::int32_t type = 0;                // TensorProto.DataType
  bool external = false;                // the values are in another file
  std::optional<std::string_view> raw;  // raw_data
  std::string_view bytes;  // the whole message: decodeTensor() reads values from its typed fields
};

struct WireAttribute {
  std::string_view name;
  float real = 0;
  std::int64_t integer = 0;
  std::string_view text;
  std::vector<float> reals;
  std::vector<std::int64_t> integers;
  std::optional<WireTensor> tensor;
};

struct WireNode {
  std::string_view name, type, domain;
  std::vector<std::string_view> inputs, outputs;  // an empty name: not given
  std::vector<WireAttribute> attributes;

  const WireAttribute* find(std::string_view attribute) const;  // null where absent
  std::int64_t integer(std::string_view attribute, std::int64_t fallback) const;
  float real(std::string_view attribute, float fallback) const;
  std::string_view text(std::string_view attribute, std::string_view fallback) const;
  bool has(std::size_t input) const { return input < inputs.size() && !inputs[input].empty(); }
};

inline constexpr std::int64_t kSymbolic = -1;

struct WireValue {
  std::string_view name;
  bool has_shape = false;
  Dims dims;  // kSymbolic where the model leaves a dimension open
};

struct WireModel {
  std::int64_t opset = 0;  // of the default domain; 0: none stated
  std::string_view graph_name;
  std::vector<WireNode> nodes;
  std::vector<WireTensor> initializers;
  std::vector<WireValue> inputs, outputs;
};

// Safe for untrusted input; `bytes` must outlive the result. Error: kBadOnnx.
Result<WireModel> parseModel(std::span<const std::byte> bytes);

}  // namespace trefoil::onnx
