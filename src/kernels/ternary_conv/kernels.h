// The kernels of this folder, for its table of variants (ternary_conv.cpp).
#pragma once

#include "base/ternary.h"
#include "kernels/conv.h"
#include "kernels/ternary_conv/sums_layout.h"

namespace trefoil {

bool fcSupports(const ConvTask& task, const TernaryWeights& weights);
AlignedBuffer packFc(const ConvTask& task, const TernaryWeights& weights);
std::size_t fcScratchBytes(const ConvTask& task);
void fcRun(const ConvTask& task, const AlignedBuffer& packed, const std::uint8_t* input, void* output,
           std::uint8_t* scratch, Part part);

bool sumsSupport(const ConvTask& task, const TernaryWeights& weights, const SumKind& kind);
AlignedBuffer packSums(const ConvTask& task, const TernaryWeights& weights, const SumKind& kind);
std::size_t sumScratchBytes(const ConvTask& task, const SumKind& kind);
void runSums(const ConvTask& task, const SumKind& kind, const AlignedBuffer& packed,
             const std::uint8_t* input, void* output, std::uint8_t* scratch, Part part);

}  // namespace trefoil
