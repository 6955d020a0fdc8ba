// A filter's scales from a codebook of a few levels.
#pragma once

#include <span>
#include <vector>

#include "quantize/recipe.h"

namespace trefoil {

// At most `count` levels above zero, by falling size, with the least weighted squared distance of `values`
// (>= 0, one weight each) to their nearest level. Fitted levels: by dynamic programming over runs of sorted
// values (exact up to 128 values, neighbours are joined beyond), then Lloyd's algorithm. Geometric rows: the
// best first level of a search. No levels where all values are zero.
std::vector<double> fitLevels(std::span<const double> values, std::span<const double> weights, int count,
                              LevelKind kind);

// What the largest level should be as an integer of 8 bits, so that the others of a geometric row are
// integers too as far as possible.
int largestLevelInteger(int count, LevelKind kind);

}  // namespace trefoil
