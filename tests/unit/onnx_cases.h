// What the tests of the ONNX reader's operators share.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "graph/float_eval.h"
#include "helpers/onnx_builder.h"
#include "onnx/onnx_reader.h"

namespace trefoil::testing {

inline Graph mustRead(const OnnxBuilder& model, const OnnxOptions& options = {}) {
  Result<Graph> graph = readOnnx(asBytes(model.bytes()), options);
  REQUIRE_MESSAGE(graph.ok(), (graph.ok() ? "" : graph.error().message));
  return std::move(graph).value();
}

inline Error mustFail(const OnnxBuilder& model, const OnnxOptions& options = {}) {
  const Result<Graph> graph = readOnnx(asBytes(model.bytes()), options);
  REQUIRE_FALSE(graph.ok());
  return graph.error();
}

// The class scores for one image, in C, H, W order.
inline std::vector<float> run(const OnnxBuilder& model, const std::vector<float>& image) {
  const Graph graph = mustRead(model);
  Result<std::vector<float>> scores = evaluate(graph, image);
  REQUIRE_MESSAGE(scores.ok(), (scores.ok() ? "" : scores.error().message));
  return std::move(scores).value();
}

// A model of one operator on an image "x" (batch 1), flattened to the output.
inline OnnxBuilder single(std::string_view type, const OnnxDims& image, const OnnxNames& other_inputs = {},
                          const OnnxAttributes& attributes = {}, std::int64_t opset = 13) {
  OnnxBuilder model(opset);
  OnnxDims dims = {1};
  dims.insert(dims.end(), image.begin(), image.end());
  OnnxNames inputs = {"x"};
  inputs.insert(inputs.end(), other_inputs.begin(), other_inputs.end());
  model.input("x", dims).output("out").node(type, inputs, {"y"}, attributes, "tested");
  model.node("Flatten", {"y"}, {"out"});
  return model;
}

// The operation of the node that an ONNX node of that name became.
template <typename Op>
const Op& opOf(const Graph& graph, std::string_view name) {
  for (const Node& node : graph.nodes) {
    if (node.name != name) continue;
    const Op* op = std::get_if<Op>(&node.op);
    REQUIRE(op != nullptr);
    return *op;
  }
  FAIL("no node of that name");
  std::abort();  // FAIL throws
}

inline const Shape& shapeOf(const Graph& graph, std::string_view name) {
  for (const Node& node : graph.nodes) {
    if (node.name == name) return node.shape;
  }
  FAIL("no node of that name");
  std::abort();  // FAIL throws
}

inline bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace trefoil::testing
