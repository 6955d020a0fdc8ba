#include "quantize/frontier.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace trefoil {
namespace {

struct Upgrade {
  std::size_t layer = 0;
  int from = 0, to = 0;
  double loss = 0, cost = 0;  // what changes; loss is below 0
};

// Indices of a layer's options on the lower convex hull, by rising cost and falling loss.
std::vector<int> convexHull(const std::vector<Option>& options) {
  std::vector<int> order(options.size());
  std::iota(order.begin(), order.end(), 0);
  const auto at = [&](int i) -> const Option& { return options[static_cast<std::size_t>(i)]; };
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return at(a).cost != at(b).cost ? at(a).cost < at(b).cost : at(a).loss < at(b).loss;
  });
  std::vector<int> hull;
  for (const int i : order) {
    if (!hull.empty() && at(i).loss >= at(hull.back()).loss) continue;
    while (hull.size() > 1) {
      const Option& a = at(hull[hull.size() - 2]);
      const Option& b = at(hull.back());
      const Option& c = at(i);
      // b stays only where the way a - b falls more steeply than b - c.
      if ((a.loss - b.loss) * (c.cost - b.cost) > (b.loss - c.loss) * (b.cost - a.cost)) break;
      hull.pop_back();
    }
    hull.push_back(i);
  }
  return hull;
}

Selection cheapest(std::span<const std::vector<Option>> layers, std::vector<Upgrade>* upgrades) {
  Selection start;
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    const std::vector<int> hull = convexHull(layers[layer]);
    start.options.push_back(hull[0]);
    for (std::size_t i = 0; i < hull.size(); ++i) {
      const Option& to = layers[layer][static_cast<std::size_t>(hull[i])];
      if (i == 0) {
        start.loss += to.loss;
        start.cost += to.cost;
        continue;
      }
      const Option& from = layers[layer][static_cast<std::size_t>(hull[i - 1])];
      upgrades->push_back({layer, hull[i - 1], hull[i], to.loss - from.loss, to.cost - from.cost});
    }
  }
  // A layer's own upgrades come in their order: its hull is convex, and the sort is stable.
  std::stable_sort(upgrades->begin(), upgrades->end(),
                   [](const Upgrade& a, const Upgrade& b) { return a.loss * b.cost < b.loss * a.cost; });
  return start;
}

void apply(const Upgrade& upgrade, Selection* selection) {
  selection->options[upgrade.layer] = upgrade.to;
  selection->loss += upgrade.loss;
  selection->cost += upgrade.cost;
}

}  // namespace

std::vector<Selection> selectionFrontier(std::span<const std::vector<Option>> layers) {
  std::vector<Upgrade> upgrades;
  std::vector<Selection> points = {cheapest(layers, &upgrades)};
  for (const Upgrade& upgrade : upgrades) {
    points.push_back(points.back());
    apply(upgrade, &points.back());
  }
  return points;
}

Selection selectWithin(std::span<const std::vector<Option>> layers, double budget) {
  std::vector<Upgrade> upgrades;
  Selection selection = cheapest(layers, &upgrades);
  if (selection.cost > budget) return {};
  for (const Upgrade& upgrade : upgrades) {
    // What comes after a step that does not fit is another layer's, or needs that step.
    if (selection.options[upgrade.layer] != upgrade.from || selection.cost + upgrade.cost > budget) continue;
    apply(upgrade, &selection);
  }
  return selection;
}

}  // namespace trefoil
