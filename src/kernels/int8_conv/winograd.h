// Dense convolution by Winograd's minimal filtering along rows, exact in integers: four outputs beside each
// other cost taps + 3 products for every row of the filter instead of 4 * taps. A stride cuts the filter into
// phases of every stride-th tap, which share one transform. For first layers above all, whose few channels
// leave most of the time to the products.
//
// Source: S. Winograd, "Arithmetic Complexity of Computations" (1980), by A. Toom's and S. Cook's
// construction; transforms in winograd_transform.h.
#pragma once

#include <span>

#include "kernels/conv.h"

namespace trefoil {

struct WinogradRows {
  using Weights = std::span<const std::int8_t>;

  static bool supports(const ConvTask& task, const Weights& weights);
  static AlignedBuffer pack(const ConvTask& task, const Weights& weights);
  static std::size_t scratchBytes(const ConvTask& task);
  static void run(const ConvTask& task, const AlignedBuffer& packed, const std::uint8_t* input, void* output,
                  std::uint8_t* scratch, Part part);
};

}  // namespace trefoil
