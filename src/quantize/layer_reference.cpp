#include "quantize/layer_reference.h"

#include <utility>

#include "quantize/prepare.h"
#include "quantize/program.h"

namespace trefoil {

Result<LayerReference> LayerReference::create(Graph graph) {
  auto prepared = prepareGraph(std::move(graph));
  if (!prepared) return prepared.error();
  Program program = buildProgram(std::move(*prepared));
  LayerReference reference;
  reference.layer_of_.resize(program.graph.nodes.size());
  for (const Step& step : program.steps) {
    if (step.kind != StepKind::kInput) reference.layer_of_[step.result] = step.name;
  }
  reference.graph_ = std::move(program.graph);
  return reference;
}

}  // namespace trefoil
