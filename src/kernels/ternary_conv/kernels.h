// The kernels of this folder, for its table of variants (ternary_conv.cpp).
#pragma once

#include "base/ternary.h"
#include "kernels/conv.h"

namespace trefoil {

bool fcSupports(const ConvTask& task, const TernaryWeights& weights);
AlignedBuffer packFc(const ConvTask& task, const TernaryWeights& weights);
std::size_t fcScratchBytes(const ConvTask& task);
void fcRun(const ConvTask& task, const AlignedBuffer& packed, const std::uint8_t* input, void* output,
           std::uint8_t* scratch, Part part);

bool g4Supports(const ConvTask& task, const TernaryWeights& weights);
AlignedBuffer packG4(const ConvTask& task, const TernaryWeights& weights);
std::size_t g4ScratchBytes(const ConvTask& task);
void g4Run(const ConvTask& task, const AlignedBuffer& packed, const std::uint8_t* input, void* output,
           std::uint8_t* scratch, Part part);

}  // namespace trefoil
