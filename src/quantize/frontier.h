// Which option for which layer: the points where no other choice has both less loss and less cost.
#pragma once

#include <span>
#include <vector>

namespace trefoil {

struct Option {
  double loss = 0;  // of layers, adds up
  double cost = 0;  // likewise: bytes, milliseconds, ...
};

// One way to quantize the network: for each layer the index of its option, and the sums.
struct Selection {
  std::vector<int> options;
  double loss = 0, cost = 0;
};

// From the cheapest choice everywhere to the one of least loss: between neighbours one layer takes a better
// option, and it is the one where a unit of cost takes most loss away. Each point has the least loss of all
// choices at its cost (options that lie above the line between two others of their layer are left out; so it
// is the lower convex hull). Every layer has an option; ties go to the earlier layer.
std::vector<Selection> selectionFrontier(std::span<const std::vector<Option>> layers);

// The last point within `budget`, and from there every further step of the frontier, in its order, that
// still fits. Empty options: even the cheapest choice costs more.
Selection selectWithin(std::span<const std::vector<Option>> layers, double budget);

}  // namespace trefoil
