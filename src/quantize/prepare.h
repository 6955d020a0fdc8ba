// The float graph in the form that the integer program is made of.
#pragma once

#include "graph/graph.h"

namespace trefoil {

// Simplifies, then: drops reshapes (and what softmax simplify() leaves) at the end, moves ReLU and clips in
// front of max pools (where the operation before can clamp at no cost), puts a 1x1 depthwise convolution
// between the input and every reader that is not a convolution (only weights can take mean and deviation in),
// and drops what is not needed. Errors: as simplify(); kUnsupportedOp for what has no integer form.
Result<Graph> prepareGraph(Graph graph);

// For every node the nodes that read it, once for each time it is read.
std::vector<std::vector<int>> findReaders(const Graph& graph);

}  // namespace trefoil
