// What one convolution meets on the calibration images: inputs as the quantized network makes them, results
// as the float network has them, at a sample of the output's places.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/shape.h"

namespace trefoil {

struct SamplePlace {
  int image = 0;
  int y = 0, x = 0;  // of the output
};

// `wanted` places (all, if there are not more) of all images' results, evenly spread but not on a lattice;
// by rising image.
std::vector<SamplePlace> choosePlaces(int images, const Shape& out, std::int64_t wanted);

// Inputs of one convolution, u8 planes by image; outside the image they are pad_values, one a channel.
struct SampleInputs {
  Window window;
  Shape shape;
  std::span<const std::uint8_t> pad_values;
  std::span<const std::uint8_t> images;  // one after the other
};

// Second moments of a convolution group's patches about their mean, in the order [R][S][C] of weights unless
// permuted, and of its outputs with them.
struct LayerMoments {
  std::int64_t places = 0;     // samples behind the sums
  int images = 0;              // that these are of
  int size = 0;                // K: channels of a filter times taps
  std::vector<int> order;      // order[j]: the index in [R][S][C] of column j
  std::vector<float> inputs;   // [K][K], the upper triangle: covariance of the patches
  std::vector<float> outputs;  // [filters][K]: covariance of outputs with patches
};

class LayerSampler {
 public:
  // results: [places][result_stride] float outputs, of which this group's are `filters` from first_filter on.
  // scale: real size of one step of the inputs' grid.
  LayerSampler(const SampleInputs& inputs, std::span<const SamplePlace> places, int first_channel,
               int channels, double scale);

  // Variance of each input of a patch, in the order [R][S][C].
  const std::vector<double>& variances() const { return variances_; }

  // Fills moments->inputs and outputs for moments->order. `work` is told multiply-adds as they are done;
  // false ends it, and the result.
  bool measure(std::span<const float> results, int result_stride, int first_filter, int filters,
               const std::function<bool(double)>& work, LayerMoments* moments) const;

 private:
  void gather(const SamplePlace& place, float* patch) const;

  const SampleInputs& inputs_;
  std::span<const SamplePlace> places_;
  int first_channel_, channels_;
  double scale_;
  std::vector<float> means_;
  std::vector<double> variances_;
};

}  // namespace trefoil
