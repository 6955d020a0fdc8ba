// What the float network does on the calibration images: histograms of activations, moments of every filter.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "image/image.h"

namespace trefoil {

// Counts of values on both sides of zero. The range is a power of two and doubles (pairs of bins are joined)
// when a value exceeds it, so that one pass over the images is enough and any two histograms can be merged.
class Histogram {
 public:
  static constexpr int kBins = 4096;  // a side; at least half of them are in use on the longer side

  // Values must be finite.
  void add(std::span<const float> values);
  void merge(const Histogram& other);

  bool empty() const { return count_ == 0; }
  double min() const { return min_; }  // 0 at most
  double max() const { return max_; }  // 0 at least
  std::uint64_t count() const { return count_; }
  std::uint64_t zeros() const { return zeros_; }  // exact zeros: in no bin, and exact on every grid

  struct Bin {
    double value;  // its centre
    double count;
  };
  std::vector<Bin> bins() const;  // those that are not empty, by rising value

 private:
  void growTo(int exponent);
  double width() const;

  std::vector<std::uint64_t> positive_, negative_;
  int exponent_ = 0;  // the range is 2^exponent_; valid once there are bins
  double min_ = 0, max_ = 0;
  std::uint64_t count_ = 0, zeros_ = 0;
};

struct Moments {
  double sum = 0, squares = 0;
  std::int64_t count = 0;
  void add(std::span<const float> values);
  double mean() const;
  double deviation() const;
};

struct Calibration {
  std::vector<Histogram> values;  // one a node; empty where not wanted
  std::vector<std::vector<Moments>>
      filters;                             // one a node; of a convolution one a filter, of its pre-activation
  std::vector<std::vector<float>> logits;  // one an image: the values of the graph's output
};

struct CalibrationPlan {
  std::vector<bool> wanted;  // one a node: make its histogram
  int moment_images = 0;     // filters' moments are of the first so many images
};

// Runs every image through the graph. `done` is told the images finished so far; false cancels.
// Errors: kBadImage (size), kOverflow (the float network itself yields infinity or NaN), kAborted.
Result<Calibration> calibrate(const Graph& graph, const std::vector<std::vector<std::uint8_t>>& images,
                              const Preprocess& preprocess, const CalibrationPlan& plan,
                              const std::function<bool(std::size_t images)>& done);

}  // namespace trefoil
