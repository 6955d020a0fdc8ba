// Plain float evaluation of a Graph: calibration and the oracle for accuracy.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"

namespace trefoil {

// Called after each node is evaluated, with its values in C, H, W order (valid only during the call).
using NodeObserver = std::function<void(int node, std::span<const float> values)>;

// Evaluates one node. inputs[i] holds the values of graph.nodes[node.inputs[i]]; `output` has
// node.shape.size() elements. Deterministic: the same bytes for the same input in every wasm engine. The
// graph must be valid.
void evaluateNode(const Graph& graph, int node, const std::vector<std::span<const float>>& inputs,
                  std::span<float> output);

// One image on its way through a graph, a node at a time, for a caller that looks at something else in
// between. Frees each value after its last reader.
class Evaluation {
 public:
  // image: as for evaluate(). Graph and image must stay as long as the evaluation is used. Errors: kBadImage
  // (wrong size), kOutOfMemory.
  static Result<Evaluation> begin(const Graph& graph, std::span<const float> image);

  // Evaluates the next node; not to be called once done(). Errors: kOutOfMemory.
  Result<void> step();
  bool done() const { return next_ == graph_->nodes.size(); }

  // The node evaluated last, at first the input, and its values in C, H, W order, valid until the next step.
  int node() const { return static_cast<int>(next_) - 1; }
  std::span<const float> values() const { return values_[next_ - 1]; }
  // Of the graph's output, once done().
  std::span<const float> result() const { return values_[static_cast<std::size_t>(graph_->output)]; }

 private:
  explicit Evaluation(const Graph& graph);
  void evaluateNext();
  void releaseRead();

  const Graph* graph_;
  std::size_t next_ = 1;
  std::vector<std::size_t> last_reader_;  // of each node
  std::vector<std::unique_ptr<float[]>> storage_;
  std::vector<std::span<const float>> values_;
  std::vector<std::span<const float>> inputs_;  // of the node at work
};

// Evaluates the graph on one image (inputShape().size() floats, C, H, W order, already normalised). Returns
// the output node's values. Errors: kBadImage (wrong size), kOutOfMemory.
Result<std::vector<float>> evaluate(const Graph& graph, std::span<const float> image,
                                    const NodeObserver& observer = {});

}  // namespace trefoil
