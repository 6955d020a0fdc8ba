// The float network with the layers of the quantized one, so that the two can be compared layer by layer.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "image/image.h"

namespace trefoil {

class LayerReference {
 public:
  // graph: valid, as readOnnx() or simplify() gives it. Errors: as quantize() for a network without an
  // integer form.
  static Result<LayerReference> create(Graph graph);

  // Told of each layer, by the name of the quantized network's node, the float values that its result stands
  // for (a clamp that the layer took in is applied), in C, H, W order; they are valid only during the call.
  using Observer = std::function<void(std::string_view layer, std::span<const float> values)>;

  // planes: u8, inputShape().size() of them. Errors: kBadImage (size), kOutOfMemory.
  Result<void> run(std::span<const std::uint8_t> planes, const Preprocess& preprocess,
                   const Observer& observer) const;

 private:
  Graph graph_;                        // prepared
  std::vector<std::string> layer_of_;  // by node; empty: no layer's result
};

}  // namespace trefoil
