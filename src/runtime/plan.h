// A model made ready to run: where every value lies, and the steps in order.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "format/packed_model.h"
#include "runtime/session.h"
#include "runtime/steps.h"

namespace trefoil {

struct Plan {
  std::vector<QNode> nodes;    // without their weights; the steps refer to them
  std::vector<RunStep> steps;  // one a node but the input
  std::vector<LayerInfo> layers;
  std::vector<std::size_t> offsets;  // one a node: its result in the arena; none where it yields accumulators
  std::size_t input_offset = 0, output_offset = 0;  // in the arena; the latter only where q is the output
  std::size_t arena_bytes = 0, scratch_bytes = 0, packed_bytes = 0;
};

// Takes the nodes of a valid model. packed: where they lack their codes, what has them. Errors:
// kUnknownVariant, kOutOfMemory.
Result<Plan> makePlan(std::vector<QNode> nodes, bool output_accumulators, const KernelWishes& wishes,
                      const PackedModel* packed = nullptr);

}  // namespace trefoil
