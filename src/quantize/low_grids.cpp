#include "quantize/low_grids.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace trefoil {
namespace {

// The convolution whose recipe says the bits of the step's result; -1: none does.
int decidingConv(const Program& program, const std::vector<std::vector<int>>& readers, int index) {
  const Step& step = program.steps[index];
  if (step.kind == StepKind::kConv) return index;
  if (step.kind != StepKind::kLookup) return -1;
  const int source = step.inputs[0];
  // Read by others too, the convolution's own result would get these bits as well.
  const bool alone = program.steps[source].kind == StepKind::kConv && readers[source].size() == 1;
  return alone ? source : -1;
}

}  // namespace

std::vector<LowGrid> findLowGrids(const Program& program, const std::vector<Step>& low) {
  const auto readers = findReaders(program);
  const std::vector<int> sets = gridSets(program);
  std::vector<LowGrid> grids;
  for (int set = 0; set < static_cast<int>(sets.size()); ++set) {
    if (sets[set] != set || program.steps[set].accumulators) continue;
    if (low[set].grid.bits != kLowBits || program.steps[set].grid.bits <= kLowBits) continue;
    LowGrid found;
    found.grid = low[set].grid;
    bool decided = true;
    for (int i = set; i < static_cast<int>(sets.size()); ++i) {
      if (sets[i] != set) continue;
      for (const int reader : readers[i]) {
        if (program.steps[reader].kind == StepKind::kConv)
          found.readers.push_back(program.steps[reader].node);
      }
      if (passesOn(program.steps[i].kind)) continue;
      const int conv = decidingConv(program, readers, i);
      decided = decided && conv >= 0;
      if (conv < 0) break;
      found.steps.push_back(i);
      found.layers.push_back(program.graph.nodes[program.steps[conv].node].name);
    }
    if (decided && !found.steps.empty() && !found.readers.empty()) grids.push_back(std::move(found));
  }
  return grids;
}

}  // namespace trefoil
