// The float network with the layers of the quantized one, so that the two can be compared layer by layer.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"

namespace trefoil {

class LayerReference {
 public:
  // graph: valid, as readOnnx() or simplify() gives it. Errors: as quantize() for a network without an
  // integer form.
  static Result<LayerReference> create(Graph graph);

  // The graph to evaluate. Values of a node are those that the result of layerOf() stands for (a clamp that
  // the layer took in is applied).
  const Graph& graph() const { return graph_; }
  // The name of the quantized network's node; empty: no layer's result.
  std::string_view layerOf(int node) const { return layer_of_[static_cast<std::size_t>(node)]; }

 private:
  Graph graph_;                        // prepared
  std::vector<std::string> layer_of_;  // by node
};

}  // namespace trefoil
