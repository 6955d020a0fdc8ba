// A model made ready to run: where every value lies, and the steps in order.
#pragma once

#include <cstdint>
#include <utility>
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

// Makes a plan, a layer at a time.
class Planner {
 public:
  // Takes the nodes of a valid model. Errors: kOutOfMemory.
  static Result<Planner> begin(std::vector<QNode> nodes, bool output_accumulators);

  // Makes the next layer ready; not to be called once done(). packed: where the nodes lack their codes, what
  // has them. Errors: kUnknownVariant, kOutOfMemory.
  Result<void> step(const KernelWishes& wishes, const PackedModel* packed);
  bool done() const { return plan_.steps.size() + 1 == plan_.nodes.size(); }

  Plan take() { return std::move(plan_); }

 private:
  Plan plan_;
  bool output_accumulators_ = true;
};

}  // namespace trefoil
