#include "runtime/plan.h"

#include <algorithm>
#include <limits>
#include <string>

#include "kernels/move/move.h"
#include "runtime/arena.h"

namespace trefoil {
namespace {

// Offsets of all values within the arena. A value may lie within another one: a reshape that moves no byte
// within its input, the parts of a concatenation within the whole.
class Placement {
 public:
  explicit Placement(const std::vector<QNode>& nodes) : nodes_(nodes), host_(nodes.size()) {
    for (std::size_t i = 0; i < nodes.size(); ++i) host_[i] = {i, 0};
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (std::holds_alternative<QReshapeOp>(nodes[i].op)) shareReshape(i);
      if (std::holds_alternative<QConcatOp>(nodes[i].op)) shareConcat(i);
    }
  }

  // without_result: the last node yields accumulators, which live elsewhere. Fills offsets, returns the
  // arena's size.
  std::uint64_t place(bool without_result, std::vector<std::uint64_t>* offsets) const {
    std::vector<ArenaValue> values(nodes_.size());
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      values[i] = {tensorBytes(nodes_[i].shape), static_cast<int>(i), static_cast<int>(i)};
      if (hostOf(i).node != i) values[i].bytes = 0;
    }
    if (without_result) values.back().bytes = 0;
    const auto use = [&](std::size_t value, std::size_t step) {
      ArenaValue& host = values[hostOf(value).node];
      host.first = std::min(host.first, static_cast<int>(step));
      host.last = std::max(host.last, static_cast<int>(step));
    };
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      use(i, i);
      for (const int input : nodes_[i].inputs) use(static_cast<std::size_t>(input), i);
    }
    const ArenaPlan plan = planArena(values);
    offsets->resize(nodes_.size());
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      const Host host = hostOf(i);
      (*offsets)[i] = plan.offsets[host.node] + host.offset;
    }
    return plan.bytes;
  }

 private:
  struct Host {
    std::size_t node;
    std::uint64_t offset;
  };

  Host hostOf(std::size_t i) const {
    Host host{i, 0};
    while (host_[host.node].node != host.node)
      host = {host_[host.node].node, host.offset + host_[host.node].offset};
    return host;
  }

  void shareReshape(std::size_t i) {
    const auto input = static_cast<std::size_t>(nodes_[i].inputs[0]);
    const Shape& from = nodes_[input].shape;
    if (samePlaces(planeLayout(from), planeLayout(nodes_[i].shape), static_cast<std::size_t>(from.size()))) {
      host_[i] = {input, 0};
    }
  }

  void shareConcat(std::size_t i) {
    std::uint64_t offset = 0;
    for (const int input : nodes_[i].inputs) {
      const auto part = static_cast<std::size_t>(input);
      // Kernels need aligned buffers; a value that lies elsewhere already (in another concatenation, or here
      // twice) is copied.
      if (offset % kArenaAlignment == 0 && host_[part].node == part) host_[part] = {i, offset};
      offset += tensorBytes(nodes_[part].shape);
    }
  }

  const std::vector<QNode>& nodes_;
  std::vector<Host> host_;
};

// Below this, handing work to other threads costs more than it saves: about a microsecond.
constexpr std::int64_t kDividedMacs = 200'000;
constexpr std::size_t kDividedBytes = std::size_t{32} << 10;

std::int64_t countMacs(const QNode& node, const Shape& in) {
  const auto* conv = std::get_if<QConvOp>(&node.op);
  if (!conv) return 0;
  return node.shape.size() * (in.channels / conv->groups) * conv->window.kernel_h * conv->window.kernel_w;
}

}  // namespace

Result<Planner> Planner::begin(std::vector<QNode> nodes, bool output_accumulators) {
  Planner planner;
  planner.output_accumulators_ = output_accumulators;
  Plan& plan = planner.plan_;
  plan.nodes = std::move(nodes);
  std::vector<std::uint64_t> places;
  const std::uint64_t arena_bytes = Placement(plan.nodes).place(output_accumulators, &places);
  if (arena_bytes > std::numeric_limits<std::size_t>::max() / 2) {
    return makeError(ErrorCode::kOutOfMemory,
                     "the activations need " + std::to_string(arena_bytes) + " bytes");
  }
  plan.offsets.assign(places.begin(), places.end());
  plan.arena_bytes = static_cast<std::size_t>(arena_bytes);
  plan.input_offset = plan.offsets.front();
  plan.output_offset = plan.offsets.back();
  return planner;
}

Result<void> Planner::step(const KernelWishes& wishes, const PackedModel* packed) {
  const std::size_t index = plan_.steps.size() + 1;
  QNode& node = plan_.nodes[index];
  std::vector<const QNode*> inputs;
  std::vector<std::size_t> input_offsets;
  for (const int input : node.inputs) {
    inputs.push_back(&plan_.nodes[static_cast<std::size_t>(input)]);
    input_offsets.push_back(plan_.offsets[static_cast<std::size_t>(input)]);
  }
  LayerInfo layer;
  layer.name = node.name;
  layer.operation = opName(node.op);
  layer.shape = node.shape;
  layer.input_bits = inputs[0]->grid.bits;
  layer.macs = countMacs(node, inputs[0]->shape);
  const bool accumulators = output_accumulators_ && index + 1 == plan_.nodes.size();
  if (packed) TREFOIL_RETURN_IF_ERROR(packed->unpackCodes(index, &node));
  Result<RunStep> step = makeStep({&node, inputs, input_offsets, plan_.offsets[index], accumulators}, wishes);
  if (!step) return step.error();
  layer.variant = step->variant;
  layer.weight_bytes = step->packed_bytes;
  step->divides = layer.macs >= kDividedMacs ||
                  std::max(tensorBytes(node.shape), tensorBytes(inputs[0]->shape)) >= kDividedBytes;
  plan_.layers.push_back(std::move(layer));
  plan_.packed_bytes += step->packed_bytes;
  plan_.scratch_bytes = std::max(plan_.scratch_bytes, step->scratch_bytes);
  plan_.steps.push_back(std::move(*step));
  return {};
}

}  // namespace trefoil
