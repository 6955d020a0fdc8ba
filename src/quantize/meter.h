// How far quantizing is.
#pragma once

#include <algorithm>
#include <string_view>

#include "base/progress.h"

namespace trefoil {

// Turns the shares of single phases into one that never falls.
class Meter {
 public:
  // What the phases take, in runs of one image.
  Meter(const Progress& progress, double images, double chosen, double corrected) : progress_(progress) {
    const double total = images + chosen + corrected;
    calibrate_end_ = total > 0 ? (1 - kShare) * images / total : 0;
    choose_end_ = total > 0 ? (1 - kShare) * (images + chosen) / total : 0;
  }
  bool calibrate(double share) { return tell("calibrate", calibrate_end_ * share, ""); }
  bool choose(double share, std::string_view layer) {
    return tell("choose", calibrate_end_ + (choose_end_ - calibrate_end_) * share, layer);
  }
  bool quantize(double share, std::string_view layer) {
    return tell("quantize", within(kShare / (1 - choose_end_) * share), layer);
  }
  bool correct(double share, std::string_view layer) {
    const double start = kShare / (1 - choose_end_);
    return tell("correct", within(start + (1 - start) * share), layer);
  }
  // The next of several times that the network is quantized: half of what is left, as each may be the last.
  void beginTry() {
    try_start_ = tries_ == 0 ? 0 : try_end_;
    try_end_ = (1 + try_start_) / 2;
    ++tries_;
  }

 private:
  static constexpr double kShare = 0.05;  // of the whole time, that weights take
  // share: of quantizing and correcting.
  double within(double share) const {
    return choose_end_ + (1 - choose_end_) * (try_start_ + (try_end_ - try_start_) * share);
  }
  bool tell(std::string_view phase, double fraction, std::string_view layer) {
    latest_ = std::max(latest_, std::min(fraction, 1.0));
    return !progress_ || progress_(phase, latest_, layer);
  }
  const Progress& progress_;
  double calibrate_end_ = 0, choose_end_ = 0;
  double try_start_ = 0, try_end_ = 1;
  int tries_ = 0;
  double latest_ = 0;
};

}  // namespace trefoil
