// Quantizing without images: what a trained network's batch norms say of its activations.
//
// Batch norm's result has, over the images that it was trained on, mean beta and deviation |gamma| in every
// channel. As Nagel et al. 2019 ("Data-Free Quantization Through Weight Equalization and Bias Correction",
// section 4) take activations' ranges from these, so does this: each channel is taken for normally
// distributed, and followed through the operations up to the next batch norm.
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "quantize/calibration.h"
#include "quantize/program.h"

namespace trefoil {

// Mean and variance of a node's values, one entry a channel.
struct ChannelMoments {
  std::vector<double> mean, variance;
};

struct DataFreeStatistics {
  Calibration calibration;             // as if of images
  std::vector<ChannelMoments> values;  // by node; empty where no integer layer needs them
};

// Samples of a channel are its distribution's 512 quantiles, up to 3.1 deviations; where two values meet,
// they are paired as if they were independent. Pools pass values on: maxima and averages are no wider than
// what they read. graph: prepared. Errors: kBadImage, naming the layer that has no batch norm behind it.
Result<DataFreeStatistics> statisticsFromBatchNorms(const Graph& graph, const std::vector<bool>& wanted);

// Matches mean and deviation of each of the layer's filters to the float filter's on inputs of these moments,
// whose channels and pixels are taken as independent: mean by bias correction (same source), gain within
// 0.5..2. weights: real, in the order of the integer ones.
void correctDataFree(const Program& program, const Step& step, std::span<const float> weights,
                     const ChannelMoments& input, QConvOp* op);

}  // namespace trefoil
