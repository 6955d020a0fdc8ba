#include "quantize/calibration.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "graph/float_eval.h"

namespace trefoil {
namespace {

// Halves the resolution of one side `steps` times.
void coarsen(std::vector<std::uint64_t>* bins, int steps) {
  if (steps >= 12) {  // 2^12 = kBins: all in one
    std::uint64_t all = 0;
    for (const std::uint64_t n : *bins) all += n;
    std::fill(bins->begin(), bins->end(), 0);
    (*bins)[0] = all;
    return;
  }
  const std::size_t joined = std::size_t{1} << steps;
  const std::size_t left = bins->size() / joined;
  for (std::size_t i = 0; i < left; ++i) {
    std::uint64_t sum = 0;
    for (std::size_t j = 0; j < joined; ++j) sum += (*bins)[i * joined + j];
    (*bins)[i] = sum;
  }
  std::fill(bins->begin() + static_cast<std::ptrdiff_t>(left), bins->end(), 0);
}

}  // namespace

double Histogram::width() const { return std::ldexp(1.0, exponent_) / kBins; }

void Histogram::growTo(int exponent) {
  if (positive_.empty()) {
    positive_.assign(kBins, 0);
    negative_.assign(kBins, 0);
    exponent_ = exponent;
  } else if (exponent > exponent_) {
    coarsen(&positive_, exponent - exponent_);
    coarsen(&negative_, exponent - exponent_);
    exponent_ = exponent;
  }
}

void Histogram::add(std::span<const float> values) {
  float low = 0;
  float high = 0;
  for (const float v : values) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  min_ = std::min<double>(min_, low);
  max_ = std::max<double>(max_, high);
  count_ += values.size();
  const float largest = std::max(-low, high);
  if (largest == 0) {
    zeros_ += values.size();
    return;
  }
  int exponent = 0;
  std::frexp(largest, &exponent);  // largest < 2^exponent
  growTo(exponent);
  // A power of two: the product is exact, so a value's bin does not depend on how far the range has grown.
  const double scale = 1.0 / width();
  for (const float v : values) {
    if (v == 0) {
      ++zeros_;
    } else {
      const auto bin = static_cast<std::size_t>(std::fabs(v) * scale);
      ++(v > 0 ? positive_ : negative_)[bin];
    }
  }
}

void Histogram::merge(const Histogram& other) {
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  count_ += other.count_;
  zeros_ += other.zeros_;
  if (other.positive_.empty()) return;
  growTo(other.exponent_);
  Histogram copy = other;
  copy.growTo(exponent_);
  for (std::size_t i = 0; i < kBins; ++i) {
    positive_[i] += copy.positive_[i];
    negative_[i] += copy.negative_[i];
  }
}

std::vector<Histogram::Bin> Histogram::bins() const {
  std::vector<Bin> result;
  if (positive_.empty()) return result;
  const double step = width();
  for (std::size_t i = kBins; i-- > 0;) {
    if (negative_[i] != 0) {
      result.push_back({-(static_cast<double>(i) + 0.5) * step, static_cast<double>(negative_[i])});
    }
  }
  for (std::size_t i = 0; i < kBins; ++i) {
    if (positive_[i] != 0) {
      result.push_back({(static_cast<double>(i) + 0.5) * step, static_cast<double>(positive_[i])});
    }
  }
  return result;
}

void Moments::add(std::span<const float> values) {
  double plane_sum = 0;
  double plane_squares = 0;
  for (const float v : values) {
    plane_sum += v;
    plane_squares += double{v} * v;
  }
  sum += plane_sum;
  squares += plane_squares;
  count += static_cast<std::int64_t>(values.size());
}

double Moments::mean() const { return count == 0 ? 0 : sum / static_cast<double>(count); }

double Moments::deviation() const {
  if (count == 0) return 0;
  const double average = mean();
  return std::sqrt(std::max(0.0, squares / static_cast<double>(count) - average * average));
}

Result<Calibration> calibrate(const Graph& graph, const std::vector<std::vector<std::uint8_t>>& images,
                              const Preprocess& preprocess, const CalibrationPlan& plan,
                              const std::function<bool(std::size_t images)>& done) {
  Calibration result;
  result.values.resize(graph.nodes.size());
  result.filters.resize(graph.nodes.size());
  int broken = -1;  // first node with a value that is no number
  int image = 0;
  const NodeObserver observe = [&](int node, std::span<const float> values) {
    if (broken >= 0) return;
    const Shape& shape = graph.nodes[node].shape;
    const bool is_conv = std::holds_alternative<ConvOp>(graph.nodes[node].op);
    if (!plan.wanted[node] && !is_conv) return;
    if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); })) {
      broken = node;
      return;
    }
    if (plan.wanted[node]) result.values[node].add(values);
    if (!is_conv || image >= plan.moment_images) return;
    std::vector<Moments>& filters = result.filters[node];
    filters.resize(static_cast<std::size_t>(shape.channels));
    const auto plane = static_cast<std::size_t>(shape.plane());
    for (std::size_t k = 0; k < filters.size(); ++k) filters[k].add(values.subspan(k * plane, plane));
  };
  for (; image < static_cast<int>(images.size()); ++image) {
    auto scores = evaluate(graph, normalize(images[image], graph.inputShape().channels, preprocess), observe);
    if (!scores) return scores.error();
    if (broken >= 0) {
      return makeError(ErrorCode::kOverflow, "the float network yields infinity or NaN at '" +
                                                 graph.nodes[broken].name + "' for calibration image " +
                                                 std::to_string(image) + "; check mean, std and the model");
    }
    result.logits.push_back(std::move(*scores));
    if (!done(static_cast<std::size_t>(image) + 1))
      return makeError(ErrorCode::kAborted, "cancelled while calibrating");
  }
  return result;
}

}  // namespace trefoil
