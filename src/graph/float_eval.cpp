#include "graph/float_eval.h"

#include <algorithm>
#include <functional>
#include <new>
#include <string>

#include "graph/float_ops.h"

namespace trefoil {
namespace {

// Evaluates one operation of a valid graph; all shapes and counts are known to fit.
struct Evaluator {
  const Graph& graph;
  const Node& node;
  const std::vector<std::span<const float>>& inputs;
  std::span<float> output;

  const Shape& shape(std::size_t i) const {
    return graph.nodes[static_cast<std::size_t>(node.inputs[i])].shape;
  }
  const float* x() const { return inputs[0].data(); }
  float* y() const { return output.data(); }
  void copy() const { std::copy(inputs[0].begin(), inputs[0].end(), output.begin()); }

  void operator()(const InputOp&) const {}  // its value is given
  void operator()(const ConvOp& op) const { evaluateConv(op, shape(0), node.shape, x(), y()); }
  void operator()(const ChannelAffineOp& op) const { evaluateChannelAffine(op, node.shape, x(), y()); }
  void operator()(const ActivationOp& op) const { evaluateActivation(op, node.shape, x(), y()); }
  void operator()(const AddOp&) const {
    std::transform(inputs[0].begin(), inputs[0].end(), inputs[1].begin(), output.begin(), std::plus<>());
  }
  void operator()(const MulOp&) const { evaluateMul(node.shape, shape(1), x(), inputs[1].data(), y()); }
  void operator()(const ConcatOp&) const {
    auto to = output.begin();
    for (const std::span<const float> input : inputs) to = std::copy(input.begin(), input.end(), to);
  }
  void operator()(const PoolOp& op) const { evaluatePool(op, shape(0), node.shape, x(), y()); }
  void operator()(const LrnOp& op) const { evaluateLrn(op, node.shape, x(), y()); }
  void operator()(const PadOp& op) const { evaluatePad(op, shape(0), node.shape, x(), y()); }
  void operator()(const SliceOp& op) const { evaluateSlice(op, shape(0), node.shape, x(), y()); }
  void operator()(const ReshapeOp&) const { copy(); }
  void operator()(const SoftmaxOp&) const { evaluateSoftmax(node.shape.size(), x(), y()); }
};

// For each node the last one that reads it, or itself where none does; the graph's output is kept to the end.
std::vector<std::size_t> lastReaders(const Graph& graph) {
  std::vector<std::size_t> last(graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    last[i] = i;
    for (const int input : graph.nodes[i].inputs) last[static_cast<std::size_t>(input)] = i;
  }
  last[static_cast<std::size_t>(graph.output)] = graph.nodes.size();
  return last;
}

Error outOfMemory() {
  return makeError(ErrorCode::kOutOfMemory,
                   "evaluating the float network ran out of memory; use a smaller input size");
}

}  // namespace

void evaluateNode(const Graph& graph, int node, const std::vector<std::span<const float>>& inputs,
                  std::span<float> output) {
  const Node& n = graph.nodes[static_cast<std::size_t>(node)];
  std::visit(Evaluator{graph, n, inputs, output}, n.op);
}

Evaluation::Evaluation(const Graph& graph)
    : graph_(&graph),
      last_reader_(lastReaders(graph)),
      storage_(graph.nodes.size()),
      values_(graph.nodes.size()) {}

Result<Evaluation> Evaluation::begin(const Graph& graph, std::span<const float> image) {
  const std::int64_t expected = graph.inputShape().size();
  if (static_cast<std::int64_t>(image.size()) != expected) {
    return makeError(ErrorCode::kBadImage, "the image has " + std::to_string(image.size()) +
                                               " values where the network takes " + std::to_string(expected) +
                                               " (channels x rows x columns)");
  }
  try {
    Evaluation evaluation(graph);
    evaluation.values_[0] = image;
    return evaluation;
  } catch (const std::bad_alloc&) {
    return outOfMemory();
  }
}

Result<void> Evaluation::step() {
  try {
    releaseRead();
    evaluateNext();
    return {};
  } catch (const std::bad_alloc&) {
    return outOfMemory();
  }
}

// What nobody reads after the node evaluated last, which may be that node's own value.
void Evaluation::releaseRead() {
  const std::size_t done = next_ - 1;
  if (last_reader_[done] == done) storage_[done].reset();
  for (const int input : graph_->nodes[done].inputs) {
    const auto index = static_cast<std::size_t>(input);
    if (last_reader_[index] == done) storage_[index].reset();
  }
}

void Evaluation::evaluateNext() {
  const Node& node = graph_->nodes[next_];
  const auto count = static_cast<std::size_t>(node.shape.size());
  storage_[next_] = std::make_unique_for_overwrite<float[]>(count);
  const std::span<float> output(storage_[next_].get(), count);
  inputs_.clear();
  for (const int input : node.inputs) inputs_.push_back(values_[static_cast<std::size_t>(input)]);
  evaluateNode(*graph_, static_cast<int>(next_), inputs_, output);
  values_[next_++] = output;
}

Result<std::vector<float>> evaluate(const Graph& graph, std::span<const float> image,
                                    const NodeObserver& observer) {
  auto evaluation = Evaluation::begin(graph, image);
  if (!evaluation) return evaluation.error();
  if (observer) observer(0, evaluation->values());
  while (!evaluation->done()) {
    TREFOIL_RETURN_IF_ERROR(evaluation->step());
    if (observer) observer(evaluation->node(), evaluation->values());
  }
  const std::span<const float> result = evaluation->result();
  return std::vector<float>(result.begin(), result.end());
}

}  // namespace trefoil
