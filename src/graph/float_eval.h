// Plain float evaluation of a Graph: calibration and the oracle for accuracy.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"

namespace trefoil {

// Called after each node is evaluated, with its values in C, H, W order (valid only during the call).
using NodeObserver = std::function<void(int node, std::span<const float> values)>;

// Evaluates one node. inputs[i] holds the values of graph.nodes[node.inputs[i]]; `output` has
// node.shape.size() elements. Deterministic: the same bytes for the same input in every wasm engine. The
// graph must be valid.
void evaluateNode(const Graph& graph, int node, const std::vector<std::span<const float>>& inputs,
                  std::span<float> output);

// Evaluates the graph on one image (inputShape().size() floats, C, H, W order, already normalised); frees
// each value after its last reader. Returns the output node's values. Errors: kBadImage (wrong size).
Result<std::vector<float>> evaluate(const Graph& graph, std::span<const float> image,
                                    const NodeObserver& observer = {});

}  // namespace trefoil
