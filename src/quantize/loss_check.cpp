#include "quantize/loss_check.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace trefoil {
namespace {

constexpr std::size_t kFewestImages = 8;  // two of which are held out
constexpr std::size_t kHeldOutEvery = 4;
constexpr double kCloseEnough = 1.2;  // ratio of predicted losses between which no more tries are made
constexpr double kLongestStep = 4;    // of predicted losses, where one is scaled by what was measured

std::size_t bestClass(const std::vector<float>& logits) {
  return static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

std::string points(double loss) {
  const std::string hundredths = std::to_string(std::llround(loss * 100) + 100);  // three digits or more
  return std::to_string(std::llround(loss * 100) / 100) + "." + hundredths.substr(hundredths.size() - 2);
}

}  // namespace

bool canHoldOut(std::size_t images) { return images >= kFewestImages; }

std::pair<std::vector<std::size_t>, std::vector<std::size_t>> splitHeldOut(std::size_t images) {
  std::pair<std::vector<std::size_t>, std::vector<std::size_t>> split;
  for (std::size_t i = 0; i < images; ++i)
    (i % kHeldOutEvery == kHeldOutEvery - 1 ? split.second : split.first).push_back(i);
  return split;
}

AnswerLoss measureAnswers(const std::vector<std::vector<float>>& real,
                          const std::vector<std::vector<float>>& quantized) {
  AnswerLoss sum;
  if (real.empty()) return sum;
  double squares = 0;
  for (std::size_t i = 0; i < real.size(); ++i) {
    const std::size_t wanted = bestClass(real[i]);
    const std::size_t answer = bestClass(quantized[i]);
    double total = 0;
    for (const float score : real[i]) total += std::exp(double{score} - real[i][wanted]);
    const double loss = 100 * (1 - std::exp(double{real[i][answer]} - real[i][wanted])) / total;
    sum.loss += loss;
    squares += loss * loss;
    sum.agreement += answer == wanted ? 1 : 0;
  }
  const auto count = static_cast<double>(real.size());
  const double mean = sum.loss / count;
  const double variance = std::max(0.0, squares / count - mean * mean) / std::max(1.0, count - 1);
  return {mean, std::sqrt(variance), sum.agreement / count};
}

const LossTry* LossSearch::good() const {
  const LossTry* found = nullptr;
  for (const LossTry& tried : tries_) {
    if (tried.measured <= wish_ && (found == nullptr || tried.predicted > found->predicted)) found = &tried;
  }
  return found;
}

const LossTry* LossSearch::bad() const {
  const LossTry* found = nullptr;
  for (const LossTry& tried : tries_) {
    if (tried.measured > wish_ && (found == nullptr || tried.predicted < found->predicted)) found = &tried;
  }
  return found;
}

std::optional<double> LossSearch::next() const {
  if (tries_.empty()) return wish_;
  if (tries_.size() == kMostTries) return {};
  const LossTry* below = good();
  const LossTry* above = bad();
  if (below == nullptr) {
    if (above->predicted <= 0) return {};
    // The last try is the best there is: only if that fails, the wish can't be met.
    if (tries_.size() + 1 == kMostTries) return 0;
    return above->predicted * std::max(1 / kLongestStep, std::min(wish_ / above->measured, 1 / kCloseEnough));
  }
  if (!cheaper_) return {};
  if (above == nullptr) {
    // What was predicted to lose nothing says nothing of what may be predicted.
    const double from = std::max(below->predicted, wish_ / kLongestStep);
    const double ratio = std::min(kLongestStep, wish_ / std::max(below->measured, wish_ / kLongestStep));
    return ratio < kCloseEnough ? std::optional<double>() : from * ratio;
  }
  if (above->predicted <= below->predicted * kCloseEnough) return {};
  const double least = std::max(below->predicted, above->predicted / (kLongestStep * kLongestStep));
  return std::sqrt(least * above->predicted);
}

std::size_t LossSearch::best() const {
  const LossTry* found = good();
  if (found == nullptr) {
    found = &*std::min_element(tries_.begin(), tries_.end(),
                               [](const LossTry& a, const LossTry& b) { return a.measured < b.measured; });
  }
  return static_cast<std::size_t>(found - tries_.data());
}

bool LossSearch::met() const { return good() != nullptr; }

std::vector<std::string> lossWarnings(const LossCheck* check) {
  if (check == nullptr) {
    return {
        "the loss of top-1 is only predicted: a part of 8 or more calibration images would be held out "
        "to measure it; give 128 or more"};
  }
  std::vector<std::string> warnings;
  const std::string images = std::to_string(check->images) + " held-out calibration images";
  if (check->measured > check->wished) {
    warnings.push_back("a loss of " + points(check->wished) + " points of top-1 was not met: the best of " +
                       std::to_string(check->tries.size()) + " mixtures lost " + points(check->measured) +
                       " on " + images + "; ask for that, or give more images");
  }
  if (check->images < kSteadyHeldOut) {
    warnings.push_back("the loss of top-1 was measured on only " + images +
                       ", which hardly tells it from none; give 128 images or more");
  }
  return warnings;
}

}  // namespace trefoil
