// Activations that may have fewer bits than the recipe says, for kernels that are faster on these.
#pragma once

#include <string>
#include <vector>

#include "quantize/program.h"

namespace trefoil {

inline constexpr int kLowBits = 4;

// Steps on one grid, whose bits single layers of a recipe can set.
struct LowGrid {
  Grid grid;                        // of kLowBits
  std::vector<int> steps;           // that put values on it
  std::vector<std::string> layers;  // convolutions that a recipe gives the bits to (LayerRecipe)
  std::vector<int> readers;         // nodes of convolutions that read it
};

// program: with the recipe's grids. low: the same steps, with those of kLowBits in place of the recipe's
// activation bits. Grids that differ and that convolutions alone put values on (or tables behind one).
std::vector<LowGrid> findLowGrids(const Program& program, const std::vector<Step>& low);

}  // namespace trefoil
