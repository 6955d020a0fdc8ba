// Writes an ONNX model node by node.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace trefoil {

// Attribute of a node: an integer or a list of them.
struct OnnxAttribute {
  std::string_view name;
  std::vector<std::int64_t> values;
  bool is_list = false;
};

inline OnnxAttribute attribute(std::string_view name, std::int64_t value) { return {name, {value}, false}; }
inline OnnxAttribute attributeList(std::string_view name, std::vector<std::int64_t> values) {
  return {name, std::move(values), true};
}

// Tensors are named by whoever adds them; names must differ.
class OnnxWriter {
 public:
  void addInput(std::string_view name, std::span<const std::int64_t> shape);   // float
  void addOutput(std::string_view name, std::span<const std::int64_t> shape);  // float

  // A node with one output, whose name is the node's own.
  void addNode(std::string_view op, std::span<const std::string> inputs, std::string_view output,
               std::span<const OnnxAttribute> attributes = {});

  // Constants; an empty shape makes a scalar.
  using Dims = std::span<const std::int64_t>;
  void addConstant(std::string_view name, Dims shape, std::span<const float> values);
  void addConstant(std::string_view name, Dims shape, std::span<const std::uint8_t> values);
  void addConstant(std::string_view name, Dims shape, std::span<const std::int8_t> values);
  void addConstant(std::string_view name, Dims shape, std::span<const std::int16_t> values);
  void addConstant(std::string_view name, Dims shape, std::span<const std::int32_t> values);
  void addConstant(std::string_view name, Dims shape, std::span<const std::int64_t> values);

  // The whole model; the writer is used up.
  std::vector<std::byte> finish(std::string_view graph_name, int opset);

 private:
  void addTensor(std::string_view name, Dims shape, int type, std::span<const std::byte> data);
  void addValue(std::uint32_t field, std::string_view name, std::span<const std::int64_t> shape);

  std::string graph_;  // the fields of GraphProto so far
};

}  // namespace trefoil
