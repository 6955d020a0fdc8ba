#include "onnx/order.h"

#include <functional>
#include <queue>
#include <string>

namespace trefoil::onnx {
namespace {

constexpr int kUnreached = -1;

class Orderer {
 public:
  Orderer(const WireModel& model, const Names& names, std::string_view input)
      : model_(model),
        names_(names),
        input_(input),
        pending_(model.nodes.size(), kUnreached),
        readers_(model.nodes.size()) {}

  Result<std::vector<int>> order(std::string_view output) {
    const auto producer = names_.producers.find(output);
    if (producer == names_.producers.end()) return std::vector<int>{};
    TREFOIL_RETURN_IF_ERROR(reach(producer->second.node));

    std::priority_queue<int, std::vector<int>, std::greater<>> ready;  // lowest index first: the file's order
    for (const int node : reached_) {
      if (pending(node) == 0) ready.push(node);
    }
    std::vector<int> order;
    while (!ready.empty()) {
      const int node = ready.top();
      ready.pop();
      order.push_back(node);
      for (const int reader : readers_[static_cast<std::size_t>(node)]) {
        if (--pending(reader) == 0) ready.push(reader);
      }
    }
    if (order.size() < reached_.size()) return cycle();
    return order;
  }

 private:
  int& pending(int node) { return pending_[static_cast<std::size_t>(node)]; }
  const WireNode& wire(int node) const { return model_.nodes[static_cast<std::size_t>(node)]; }

  // Walks back from a node to everything it reads, counting for each node the inputs that must come before
  // it.
  Result<void> reach(int last) {
    pending(last) = 0;
    reached_.push_back(last);
    for (std::size_t i = 0; i < reached_.size(); ++i) {
      const int node = reached_[i];
      for (const std::string_view name : wire(node).inputs) {
        if (name.empty() || name == input_ || names_.initializers.contains(name)) continue;
        const auto producer = names_.producers.find(name);
        if (producer == names_.producers.end()) return missing(node, name);
        const int before = producer->second.node;
        readers_[static_cast<std::size_t>(before)].push_back(node);
        ++pending(node);
        if (pending(before) == kUnreached) {
          pending(before) = 0;
          reached_.push_back(before);
        }
      }
    }
    return {};
  }

  Error missing(int node, std::string_view name) const {
    std::string message = "node " + quoted(nodeName(wire(node))) + " (" + cleanName(wire(node).type) +
                          ") reads tensor " + quoted(name) + ", which is not in the file";
    for (const WireValue& input : model_.inputs) {
      if (input.name == name) {
        message += "; it is a second input of the model, and only one, the image " + quoted(input_) +
                   ", is supported";
        break;
      }
    }
    return makeError(ErrorCode::kMissingInitializer, std::move(message));
  }

  // Every node still pending reads another pending one; following those must come round.
  Error cycle() {
    int node = 0;
    for (const int candidate : reached_) {
      if (pending(candidate) > 0) node = candidate;
    }
    std::vector<bool> seen(model_.nodes.size(), false);
    while (!seen[static_cast<std::size_t>(node)]) {
      seen[static_cast<std::size_t>(node)] = true;
      for (const std::string_view name : wire(node).inputs) {
        const auto producer = names_.producers.find(name);
        if (producer != names_.producers.end() && pending(producer->second.node) > 0 && name != input_ &&
            !names_.initializers.contains(name)) {
          node = producer->second.node;
          break;
        }
      }
    }
    return makeError(ErrorCode::kGraphCycle,
                     "node " + quoted(nodeName(wire(node))) + " (" + cleanName(wire(node).type) +
                         ") depends on its own result; the model's graph must have no cycle");
  }

  const WireModel& model_;
  const Names& names_;
  std::string_view input_;
  std::vector<int> pending_;  // inputs not yet placed, or kUnreached
  std::vector<std::vector<int>> readers_;
  std::vector<int> reached_;
};

}  // namespace

std::string_view nodeName(const WireNode& node) {
  if (!node.name.empty()) return node.name;
  for (const std::string_view output : node.outputs) {
    if (!output.empty()) return output;
  }
  return node.type;
}

Result<Names> indexNames(const WireModel& model) {
  Names names;
  const auto twice = [](std::string_view name) {
    return makeError(ErrorCode::kBadOnnx, "tensor " + quoted(name) + " is defined twice");
  };
  for (const WireTensor& tensor : model.initializers) {
    if (!names.initializers.emplace(tensor.name, &tensor).second) return twice(tensor.name);
  }
  for (std::size_t i = 0; i < model.nodes.size(); ++i) {
    const auto& outputs = model.nodes[i].outputs;
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      if (outputs[k].empty()) continue;
      const Producer producer{static_cast<int>(i), static_cast<int>(k)};
      if (names.initializers.contains(outputs[k]) || !names.producers.emplace(outputs[k], producer).second) {
        return twice(outputs[k]);
      }
    }
  }
  return names;
}

Result<std::vector<int>> orderNodes(const WireModel& model, const Names& names, std::string_view input,
                                    std::string_view output) {
  return Orderer(model, names, input).order(output);
}

}  // namespace trefoil::onnx
