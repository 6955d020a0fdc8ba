#include "onnx_export/onnx_writer.h"

#include <bit>
#include <protozero/pbf_writer.hpp>

namespace trefoil {
namespace {

// Field numbers and values of onnx.proto.
namespace model {
constexpr std::uint32_t kIrVersion = 1, kProducerName = 2, kGraph = 7, kOpsetImport = 8;
constexpr std::int64_t kIrVersionValue = 10;  // the first with opset 21
}  // namespace model
namespace opset {
constexpr std::uint32_t kVersion = 2;
}
namespace graph {
constexpr std::uint32_t kNode = 1, kName = 2, kInitializer = 5, kInput = 11, kOutput = 12;
}
namespace node {
constexpr std::uint32_t kInput = 1, kOutput = 2, kName = 3, kOpType = 4, kAttribute = 5;
}
namespace attr {
constexpr std::uint32_t kName = 1, kInt = 3, kInts = 8, kType = 20;
constexpr std::int32_t kTypeInt = 2, kTypeInts = 7;
}  // namespace attr
namespace tensor {
constexpr std::uint32_t kDims = 1, kDataType = 2, kName = 8, kRawData = 9;
constexpr int kFloat = 1, kUint8 = 2, kInt8 = 3, kInt16 = 5, kInt32 = 6, kInt64 = 7;
}  // namespace tensor
namespace value {
constexpr std::uint32_t kName = 1, kType = 2, kTensorType = 1, kElemType = 1, kShape = 2, kDim = 1,
                        kDimValue = 1;
}

static_assert(std::endian::native == std::endian::little, "raw tensor data is little-endian");

}  // namespace

void OnnxWriter::addValue(std::uint32_t field, std::string_view name, std::span<const std::int64_t> shape) {
  protozero::pbf_writer writer(graph_);
  protozero::pbf_writer info(writer, field);
  info.add_string(value::kName, name.data(), name.size());
  protozero::pbf_writer type(info, value::kType);
  protozero::pbf_writer tensor_type(type, value::kTensorType);
  tensor_type.add_int32(value::kElemType, tensor::kFloat);
  protozero::pbf_writer dims(tensor_type, value::kShape);
  for (const std::int64_t size : shape) {
    protozero::pbf_writer dim(dims, value::kDim);
    dim.add_int64(value::kDimValue, size);
  }
}

void OnnxWriter::addInput(std::string_view name, std::span<const std::int64_t> shape) {
  addValue(graph::kInput, name, shape);
}

void OnnxWriter::addOutput(std::string_view name, std::span<const std::int64_t> shape) {
  addValue(graph::kOutput, name, shape);
}

void OnnxWriter::addNode(std::string_view op, std::span<const std::string> inputs, std::string_view output,
                         std::span<const OnnxAttribute> attributes) {
  protozero::pbf_writer writer(graph_);
  protozero::pbf_writer fields(writer, graph::kNode);
  for (const std::string& input : inputs) fields.add_string(node::kInput, input);
  fields.add_string(node::kOutput, output.data(), output.size());
  fields.add_string(node::kName, output.data(), output.size());
  fields.add_string(node::kOpType, op.data(), op.size());
  for (const OnnxAttribute& attribute : attributes) {
    protozero::pbf_writer own(fields, node::kAttribute);
    own.add_string(attr::kName, attribute.name.data(), attribute.name.size());
    if (attribute.is_list) {
      for (const std::int64_t item : attribute.values) own.add_int64(attr::kInts, item);
    } else {
      own.add_int64(attr::kInt, attribute.values.front());
    }
    own.add_int32(attr::kType, attribute.is_list ? attr::kTypeInts : attr::kTypeInt);
  }
}

void OnnxWriter::addTensor(std::string_view name, Dims shape, int type, std::span<const std::byte> data) {
  protozero::pbf_writer writer(graph_);
  protozero::pbf_writer fields(writer, graph::kInitializer);
  for (const std::int64_t size : shape) fields.add_int64(tensor::kDims, size);
  fields.add_int32(tensor::kDataType, type);
  fields.add_string(tensor::kName, name.data(), name.size());
  fields.add_bytes(tensor::kRawData, reinterpret_cast<const char*>(data.data()), data.size());
}

void OnnxWriter::addConstant(std::string_view name, Dims shape, std::span<const float> values) {
  addTensor(name, shape, tensor::kFloat, std::as_bytes(values));
}
void OnnxWriter::addConstant(std::string_view name, Dims shape, std::span<const std::uint8_t> values) {
  addTensor(name, shape, tensor::kUint8, std::as_bytes(values));
}
void OnnxWriter::addConstant(std::string_view name, Dims shape, std::span<const std::int8_t> values) {
  addTensor(name, shape, tensor::kInt8, std::as_bytes(values));
}
void OnnxWriter::addConstant(std::string_view name, Dims shape, std::span<const std::int16_t> values) {
  addTensor(name, shape, tensor::kInt16, std::as_bytes(values));
}
void OnnxWriter::addConstant(std::string_view name, Dims shape, std::span<const std::int32_t> values) {
  addTensor(name, shape, tensor::kInt32, std::as_bytes(values));
}
void OnnxWriter::addConstant(std::string_view name, Dims shape, std::span<const std::int64_t> values) {
  addTensor(name, shape, tensor::kInt64, std::as_bytes(values));
}

std::vector<std::byte> OnnxWriter::finish(std::string_view graph_name, int opset) {
  {
    protozero::pbf_writer writer(graph_);
    writer.add_string(graph::kName, graph_name.data(), graph_name.size());
  }
  std::string file;
  protozero::pbf_writer writer(file);
  writer.add_int64(model::kIrVersion, model::kIrVersionValue);
  writer.add_string(model::kProducerName, "trefoil");
  {
    protozero::pbf_writer import(writer, model::kOpsetImport);
    import.add_int64(opset::kVersion, opset);
  }
  writer.add_message(model::kGraph, graph_);
  graph_.clear();
  const auto bytes = std::as_bytes(std::span(file));
  return {bytes.begin(), bytes.end()};
}

}  // namespace trefoil
