// Where a network's time goes on this machine.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "runtime/session.h"

namespace trefoil {

struct Profile {
  std::vector<double> runs;    // milliseconds of each, from planes to logits, its layers not timed
  std::vector<double> layers;  // one a layer of Session::layers(): milliseconds of the fastest time
};

// Runs the network `runs` times and, if the layers are wanted, as often again with a clock between them; the
// two kinds take turns. A clock coarser than a layer gives 0 for it now and then, hence as its minimum.
// Errors: kBadImage.
Result<Profile> profileRuns(Session& session, std::span<const std::uint8_t> planes, int runs, bool layers,
                            const Clock& clock);

// Loads of a vector, each with an addition, that this machine and engine do in a nanosecond: the best of
// several measurements, in `milliseconds` or a little more. At least one, 0 where the clock stands still.
double measureLoadRate(double milliseconds, const Clock& clock);

// The multiply-accumulates of the dense layer that one load and one addition are worth in a ternary
// convolution whose sum tables cost nothing: four weights at 8 or, up to 4 bits, 16 pixels. What skips zeros
// may do better. 0 where that is no measure: for other operations, and for a single pixel, whose lanes hold
// filters.
int macsPerLoad(const LayerInfo& layer);

}  // namespace trefoil
