#include <new>

#include "passes/passes.h"
#include "passes/rewrites.h"

namespace trefoil {
namespace {

using Pass = void (*)(Graph& graph);

// In this order: identities hide the patterns that the others look for, pads must sit in the convolutions
// before it is known whether a shift can move past them, and only what could not be folded becomes a
// convolution of its own.
constexpr Pass kPasses[] = {
    dropFinalSoftmax, dropIdentities,     mergePads,         normalisePools,
    mergeAffines,     foldIntoConvBefore, foldIntoConvAfter, affinesToConvs,
};

}  // namespace

Result<Graph> simplify(Graph graph) {
  try {
    TREFOIL_RETURN_IF_ERROR(validateGraph(graph));
    removeUnused(graph);
    for (const Pass pass : kPasses) {
      pass(graph);
      removeUnused(graph);
    }
    TREFOIL_RETURN_IF_ERROR(validateGraph(graph));
    return graph;
  } catch (const std::bad_alloc&) {
    return makeError(ErrorCode::kOutOfMemory,
                     "simplifying the network ran out of memory; use a smaller network");
  }
}

}  // namespace trefoil
