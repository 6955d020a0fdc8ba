// Rewrites of the float graph that keep its results (to float rounding), in a fixed order.
#pragma once

#include "graph/graph.h"

namespace trefoil {

// Runs every pass in order: drop identities (reshapes to the same shape, clips without bounds), fold
// ChannelAffine into the convolution before it, or after it where padding allows (no padding, or a zero
// shift), turn the ChannelAffine that remain into 1x1 depthwise convolutions, drop the final softmax, remove
// unused nodes. The result is valid.
Result<Graph> simplify(Graph graph);

}  // namespace trefoil
