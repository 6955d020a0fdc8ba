// The single rewrites that simplify() runs. Each takes a valid graph and keeps its results (to float
// rounding); it may leave nodes that nothing reads, which removeUnused() takes away.
#pragma once

#include <vector>

#include "graph/graph.h"

namespace trefoil {

// Nodes that yield their input again: reshapes to the same shape, clips without bounds, affines by 1 and 0,
// slices of everything, pads by nothing, concats of one, 1x1 pools. A reshape of a reshape becomes one.
void dropIdentities(Graph& graph);

// A PadOp with zeros on rows and columns becomes the pads of the convolutions that read it, and of pools
// where that is the same: averages that count their pads, and maxima of values that are never negative.
void mergePads(Graph& graph);

// Average pools as every later stage expects them: count_include_pad only where there are pads and where
// every window lies within the padded image, so that the divisor is the whole window. Pads of others become a
// PadOp.
void normalisePools(Graph& graph);

// The output is the class scores before the softmax. Reshapes after it stay.
void dropFinalSoftmax(Graph& graph);

// A ChannelAffine that reads another one, its only reader, takes it in.
void mergeAffines(Graph& graph);

// A ChannelAffine goes into the convolution it reads where that has no other reader.
void foldIntoConvBefore(Graph& graph);

// A ChannelAffine goes into the convolutions that read it where all its readers are convolutions and none
// pads, or the shift is zero.
void foldIntoConvAfter(Graph& graph);

// What ChannelAffines are left become 1x1 depthwise convolutions.
void affinesToConvs(Graph& graph);

// Removes nodes that the output does not depend on; the input stays.
void removeUnused(Graph& graph);

// For each node how many inputs of other nodes it is; the graph's output counts as one.
std::vector<int> countReaders(const Graph& graph);

// Where values have moved while a pass walks over the nodes in order.
class Redirects {
 public:
  explicit Redirects(const Graph& graph);
  // From now on readers of `node` read `target`, an earlier node that has not been moved itself.
  void move(int node, int target) { targets_[static_cast<std::size_t>(node)] = target; }
  int operator()(int node) const { return targets_[static_cast<std::size_t>(node)]; }
  void apply(Node& node) const {
    for (int& input : node.inputs) input = (*this)(input);
  }

 private:
  std::vector<int> targets_;
};

}  // namespace trefoil
