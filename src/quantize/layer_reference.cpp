#include "quantize/layer_reference.h"

#include <utility>

#include "graph/float_eval.h"
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

Result<void> LayerReference::run(std::span<const std::uint8_t> planes, const Preprocess& preprocess,
                                 const Observer& observer) const {
  const std::vector<float> image = normalize(planes, graph_.inputShape().channels, preprocess);
  const auto scores = evaluate(graph_, image, [&](int node, std::span<const float> values) {
    if (!layer_of_[node].empty()) observer(layer_of_[node], values);
  });
  return scores ? Result<void>() : Result<void>(scores.error());
}

}  // namespace trefoil
