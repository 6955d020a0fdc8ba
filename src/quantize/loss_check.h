// Whether a loss of top-1 that was predicted holds: really quantized networks on images held out.
//
// The images have no labels, so the float network's own probabilities are taken for the chance of each class
// to be right, as in expectedLoss() (sensitivity.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "quantize/quantize.h"

namespace trefoil {

using ImageList = std::vector<std::vector<std::uint8_t>>;

inline constexpr int kSteadyHeldOut = 32;  // images; on fewer a loss is hardly told from none

// Whether so many images are enough for a part of them to be held out.
bool canHoldOut(std::size_t images);

// Indices of the images to calibrate with, and of the others: every fourth.
std::pair<std::vector<std::size_t>, std::vector<std::size_t>> splitHeldOut(std::size_t images);

// loss: points of top-1; error: its standard error; agreement: share of images with the same best class,
// 0..1.
struct AnswerLoss {
  double loss = 0, error = 0, agreement = 0;
};
// One entry an image.
AnswerLoss measureAnswers(const std::vector<std::vector<float>>& real,
                          const std::vector<std::vector<float>>& quantized);

// Looks for the cheapest choice whose measured loss meets a wish, by what to predict at most: tries of
// rising predicted loss are taken to rise in measured loss and to fall in cost.
class LossSearch {
 public:
  static constexpr std::size_t kMostTries = 3;

  // cheaper: whether to look for cheaper choices than the first that met the wish. wish: points, above 0.
  LossSearch(double wish, bool cheaper) : wish_(wish), cheaper_(cheaper) {}

  // What the next choice may be predicted to lose; 0: the best there is. Nothing: there is no use in another.
  std::optional<double> next() const;
  void add(const LossTry& tried) { tries_.push_back(tried); }

  const std::vector<LossTry>& tries() const { return tries_; }
  // Index of the cheapest try that met the wish; of the one that lost least, where none did.
  std::size_t best() const;
  bool met() const;

 private:
  const LossTry* good() const;  // the cheapest one that meets the wish; null: none
  const LossTry* bad() const;   // the dearest one that does not; null: none
  double wish_;
  bool cheaper_;
  std::vector<LossTry> tries_;
};

// The report's warnings about a check. check is null where there were too few images.
std::vector<std::string> lossWarnings(const LossCheck* check);

}  // namespace trefoil
