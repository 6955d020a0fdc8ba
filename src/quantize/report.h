// What quantizing did to each layer.
#pragma once

#include "quantize/correct.h"
#include "quantize/lower.h"
#include "quantize/program.h"
#include "quantize/quantize.h"

namespace trefoil {

LayerReport reportLayer(const Program& program, const Step& step, const LayerChoice& choice,
                        const QConvOp& op, const WeightError& weights, const OutputError& output);

// Sets report->total from the layers.
void sumLayers(Report* report);

}  // namespace trefoil
