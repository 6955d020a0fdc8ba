// Writes small ONNX models in memory, for tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <protozero/pbf_writer.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace trefoil::testing {

using OnnxDims = std::vector<std::int64_t>;

// TensorProto.DataType
enum class OnnxType : std::int32_t {
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kHalf = 10,
  kDouble = 11,
  kUint32 = 12,
  kUint64 = 13,
  kBfloat = 16,
};

// One TensorProto. `values` adds the fields that hold its values; `name` may be empty (attributes).
template <typename Values>
std::string onnxTensor(std::string_view name, const OnnxDims& dims, OnnxType type, Values values) {
  std::string bytes;
  protozero::pbf_writer tensor(bytes);
  for (const std::int64_t dim : dims) tensor.add_int64(1, dim);
  tensor.add_int32(2, static_cast<std::int32_t>(type));
  tensor.add_string(8, name.data(), name.size());
  values(tensor);
  return bytes;
}

// The values as raw_data.
template <typename T>
std::string onnxRawTensor(std::string_view name, const OnnxDims& dims, OnnxType type,
                          const std::vector<T>& values) {
  std::string raw(values.size() * sizeof(T), '\0');
  if (!raw.empty()) std::memcpy(raw.data(), values.data(), raw.size());
  return onnxTensor(name, dims, type, [&](protozero::pbf_writer& tensor) { tensor.add_bytes(9, raw); });
}

struct OnnxTensorMessage {
  std::string bytes;
};

struct OnnxAttribute {
  std::string name;
  std::variant<std::int64_t, float, std::string, OnnxDims, std::vector<float>, OnnxTensorMessage> value;
};
using OnnxAttributes = std::vector<OnnxAttribute>;
using OnnxNames = std::vector<std::string>;

inline OnnxAttribute attribute(std::string name, std::int64_t value) { return {std::move(name), value}; }
inline OnnxAttribute attribute(std::string name, int value) {
  return {std::move(name), static_cast<std::int64_t>(value)};
}
inline OnnxAttribute attribute(std::string name, float value) { return {std::move(name), value}; }
inline OnnxAttribute attribute(std::string name, const char* value) {
  return {std::move(name), std::string(value)};
}
inline OnnxAttribute attribute(std::string name, OnnxDims value) {
  return {std::move(name), std::move(value)};
}

class OnnxBuilder {
 public:
  explicit OnnxBuilder(std::int64_t opset = 13) : opset_(opset) {}

  // A dimension of 0 is written as the symbol "n".
  OnnxBuilder& input(std::string_view name, const OnnxDims& dims) {
    std::string shape;
    protozero::pbf_writer shape_writer(shape);
    for (const std::int64_t dim : dims) {
      std::string message;
      protozero::pbf_writer writer(message);
      if (dim == 0) {
        writer.add_string(2, "n");
      } else {
        writer.add_int64(1, dim);
      }
      shape_writer.add_message(1, message);
    }
    std::string tensor;
    protozero::pbf_writer tensor_writer(tensor);
    tensor_writer.add_int32(1, static_cast<std::int32_t>(OnnxType::kFloat));
    tensor_writer.add_message(2, shape);
    std::string type;
    protozero::pbf_writer(type).add_message(1, tensor);
    protozero::pbf_writer graph(graph_);
    std::string value = named(name);
    protozero::pbf_writer(value).add_message(2, type);
    graph.add_message(11, value);
    return *this;
  }

  OnnxBuilder& output(std::string_view name) {
    protozero::pbf_writer(graph_).add_message(12, named(name));
    return *this;
  }

  OnnxBuilder& initializer(const std::string& tensor) {
    protozero::pbf_writer(graph_).add_message(5, tensor);
    return *this;
  }
  OnnxBuilder& floats(std::string_view name, const OnnxDims& dims, const std::vector<float>& values) {
    return initializer(onnxRawTensor(name, dims, OnnxType::kFloat, values));
  }
  OnnxBuilder& ints(std::string_view name, const OnnxDims& values) {
    return initializer(
        onnxRawTensor(name, {static_cast<std::int64_t>(values.size())}, OnnxType::kInt64, values));
  }

  OnnxBuilder& node(std::string_view type, const OnnxNames& inputs, const OnnxNames& outputs,
                    const OnnxAttributes& attributes = {}, std::string_view name = {},
                    std::string_view domain = {}) {
    std::string message;
    protozero::pbf_writer writer(message);
    for (const std::string& input : inputs) writer.add_string(1, input);
    for (const std::string& output : outputs) writer.add_string(2, output);
    if (!name.empty()) writer.add_string(3, name.data(), name.size());
    writer.add_string(4, type.data(), type.size());
    for (const OnnxAttribute& given : attributes) writer.add_message(5, attributeMessage(given));
    if (!domain.empty()) writer.add_string(7, domain.data(), domain.size());
    protozero::pbf_writer(graph_).add_message(1, message);
    return *this;
  }

  std::string bytes() const {
    std::string model;
    protozero::pbf_writer writer(model);
    writer.add_int64(1, 8);
    std::string graph = graph_;
    protozero::pbf_writer(graph).add_string(2, "test");
    writer.add_message(7, graph);
    std::string opset;
    protozero::pbf_writer(opset).add_int64(2, opset_);
    writer.add_message(8, opset);
    return model;
  }

 private:
  static std::string named(std::string_view name) {
    std::string message;
    protozero::pbf_writer(message).add_string(1, name.data(), name.size());
    return message;
  }

  static std::string attributeMessage(const OnnxAttribute& given) {
    std::string message = named(given.name);
    protozero::pbf_writer writer(message);
    struct Write {
      protozero::pbf_writer& out;
      void operator()(std::int64_t value) const { out.add_int64(3, value); }
      void operator()(float value) const { out.add_float(2, value); }
      void operator()(const std::string& value) const { out.add_bytes(4, value); }
      void operator()(const OnnxDims& values) const {
        for (const std::int64_t value : values) out.add_int64(8, value);
      }
      void operator()(const std::vector<float>& values) const {
        for (const float value : values) out.add_float(7, value);
      }
      void operator()(const OnnxTensorMessage& tensor) const { out.add_message(5, tensor.bytes); }
    };
    std::visit(Write{writer}, given.value);
    return message;
  }

  std::int64_t opset_;
  std::string graph_;
};

// Views the bytes of a model as readOnnx() takes them.
inline std::span<const std::byte> asBytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// 1, 2, 3, ... scaled: values that are all different.
inline std::vector<float> ramp(std::size_t count, float step = 1) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i + 1) * step;
  return values;
}

}  // namespace trefoil::testing
