#include "quantize/compensate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "graph/float_gemm.h"
#include "quantize/factor.h"
#include "quantize/group_search.h"
#include "quantize/plain_filter.h"

namespace trefoil {
namespace {

constexpr double kDamping = 0.05;  // of the mean variance of an input
// Fewer samples than inputs (fully connected layers have one an image) say little of how inputs go together:
// the damping grows with inputs a sample beyond the first number, so that the weights stay more and more by
// themselves.
constexpr double kTrustedInputsPerSample = 0.5;
constexpr double kDampingPerInput = 0.05;
// What the quantized layers before this one changed is made up for as far as the images can tell how. The
// places of one image resemble each other, and count as so many.
constexpr double kPlacesPerImage = 8;
constexpr std::size_t kBlock = 64;  // columns between updates of all later ones
constexpr int kSweeps = 2;
constexpr double kHeadroom = 1.25;  // compensation makes some scales larger than they were
constexpr int kMaxInt8 = 127;

// Rows of the transposed part: element (k, j) is r[row + j][column + k].
MatrixRows transposedPart(const float* r, std::size_t n, std::size_t row, std::size_t column) {
  return [=](std::int64_t k, std::int64_t first, int count, float* buffer) -> const float* {
    const float* from =
        r + (row + static_cast<std::size_t>(first)) * n + column + static_cast<std::size_t>(k);
    for (int j = 0; j < count; ++j) buffer[j] = from[static_cast<std::size_t>(j) * n];
    return buffer;
  };
}

MatrixRows part(const float* r, std::size_t n, std::size_t row, std::size_t column) {
  return [=](std::int64_t k, std::int64_t first, int, float*) -> const float* {
    return r + (row + static_cast<std::size_t>(k)) * n + column + static_cast<std::size_t>(first);
  };
}

class Compensator {
 public:
  Compensator(std::span<const float> weights, const CompensatedFilters& filters, const LayerChoice& choice,
              LayerMoments moments, const std::function<bool(double)>& work, QConvOp* op)
      : choice_(choice),
        part_(filters),
        moments_(std::move(moments)),
        work_(work),
        op_(*op),
        size_(static_cast<std::size_t>(moments_.size)),
        filters_(static_cast<std::size_t>(filters.count)),
        weights_(weights.subspan(filters.first * size_, filters_ * size_)),
        ternary_(choice.weights == WeightKind::kTernary),
        search_(choice.planes) {}

  bool run(std::span<const StepBounds> bounds) {
    makeGroups();
    makeGrids(bounds);
    if (!makeTargets()) return false;
    quantized_.assign(filters_ * size_, 0.0F);
    for (std::size_t first = 0; first < groups_.size();) {
      const std::size_t last = blockEnd(first);
      quantizeBlock(first, last);
      if (!work_(blockWork(first, last))) return false;
      first = last;
    }
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
      for (std::size_t first = 0; first < groups_.size();) {
        const std::size_t last = blockEnd(first);
        improveBlock(first, last);
        if (!work_(2 * blockWork(first, last))) return false;
        first = last;
      }
    }
    return true;
  }

  std::vector<double> errors() const {
    std::vector<double> errors;
    for (std::size_t k = 0; k < filters_; ++k) {
      double sum = 0;
      for (std::size_t j = 0; j < size_; ++j) sum += double{target_[k * size_ + j]} * target_[k * size_ + j];
      errors.push_back(sum);
    }
    return errors;
  }

 private:
  struct Group {
    std::size_t column = 0, count = 0;  // in the order of compensation
    std::size_t place = 0;              // in [R][S][C]
    std::size_t scale = 0;              // among the filter's scales
  };

  void makeGroups() {
    if (!ternary_) {
      for (std::size_t j = 0; j < size_; ++j)
        groups_.push_back({j, 1, static_cast<std::size_t>(moments_.order[j]), 0});
      return;
    }
    const int taps = op_.window.kernel_h * op_.window.kernel_w;
    const std::vector<std::size_t> starts = groupStarts(part_.channels, taps, choice_.group_size);
    for (std::size_t j = 0; j < size_;) {
      const auto place = static_cast<std::size_t>(moments_.order[j]);
      const auto at =
          static_cast<std::size_t>(std::lower_bound(starts.begin(), starts.end(), place) - starts.begin());
      groups_.push_back({j, starts[at + 1] - place, place, at});
      j += groups_.back().count;
    }
    scales_ = starts.size() - 1;
  }

  // Whole groups, of kBlock columns together if there are so many.
  std::size_t blockEnd(std::size_t first) const {
    std::size_t last = first;
    while (last < groups_.size() && groups_[last].column - groups_[first].column < kBlock) ++last;
    return last;
  }
  std::size_t columnAfter(std::size_t group) const { return groups_[group].column + groups_[group].count; }
  double blockWork(std::size_t first, std::size_t last) const {
    const auto width = static_cast<double>(columnAfter(last - 1) - groups_[first].column);
    return width * static_cast<double>(filters_ * (size_ - groups_[first].column));
  }

  void makeGrids(std::span<const StepBounds> bounds) {
    PlainFilter plain(choice_, ternary_ ? starts() : std::vector<std::size_t>{0});
    for (std::size_t k = 0; k < filters_; ++k) {
      ScaleGrid grid;
      const auto filter = weights_.subspan(k * size_, size_);
      float& scale = op_.filter_scales[part_.first + k];
      if (ternary_) {
        plain.fit(filter);
        const bool free = plain.levels().empty();
        const double largest = plain.largestScale() * (free ? kHeadroom : 1);
        if (largest > 0) scale = stepWithin(largest / plain.largestInteger(), bounds[part_.first + k]);
        for (const double level : plain.levels()) {
          grid.levels.push_back(static_cast<int>(std::min(std::floor(level / scale + 0.5), 255.0)));
        }
      }
      grid.step = scale;
      grids_.push_back(std::move(grid));
    }
  }

  std::vector<std::size_t> starts() const {
    return groupStarts(part_.channels, op_.window.kernel_h * op_.window.kernel_w, choice_.group_size);
  }

  bool makeTargets() {
    std::vector<float>& h = moments_.inputs;
    double trace = 0;
    for (std::size_t j = 0; j < size_; ++j) trace += h[j * size_ + j];
    const double inputs = static_cast<double>(size_) / static_cast<double>(moments_.places);
    const double share = kDamping + kDampingPerInput * std::max(0.0, inputs - kTrustedInputsPerSample);
    const auto damping = static_cast<float>(trace > 0 ? share * trace / static_cast<double>(size_) : 1.0);
    for (std::size_t j = 0; j < size_; ++j) h[j * size_ + j] += damping;
    target_ = std::move(moments_.outputs);
    for (std::size_t k = 0; k < filters_; ++k) {
      for (std::size_t j = 0; j < size_; ++j)
        target_[k * size_ + j] += damping * weights_[k * size_ + static_cast<std::size_t>(moments_.order[j])];
    }
    double before = 0;
    const auto factored = factorize(static_cast<int>(size_), damping / 100, h.data(), [&](double done) {
      const double more = done - before;
      before = done;
      return work_(more);
    });
    if (!factored) return false;
    solveTransposed(static_cast<int>(size_), h.data(), static_cast<std::int64_t>(filters_), target_.data());
    shrinkTargets();
    return work_(static_cast<double>(filters_ * size_) * static_cast<double>(size_));
  }

  // From the weights that the samples ask for part of the way back to the float network's own: a regression
  // with about as many unknowns as samples learns these by heart.
  void shrinkTargets() {
    const double samples = std::min(static_cast<double>(moments_.places), kPlacesPerImage * moments_.images);
    const auto share = static_cast<float>(samples / (samples + static_cast<double>(size_)));
    for (float& t : target_) t *= share;
    std::vector<float> rest;
    rest.reserve(filters_ * size_);
    for (std::size_t k = 0; k < filters_; ++k) {
      for (const int place : moments_.order)
        rest.push_back((1 - share) * weights_[k * size_ + static_cast<std::size_t>(place)]);
    }
    for (std::size_t row = 0; row < size_; row += kBlock) {
      const std::size_t depth = std::min(kBlock, size_ - row);
      multiplyAdd(static_cast<std::int64_t>(filters_), static_cast<std::int64_t>(size_ - row),
                  static_cast<std::int64_t>(depth), rest.data() + row, static_cast<std::int64_t>(size_),
                  part(moments_.inputs.data(), size_, row, row), target_.data() + row,
                  static_cast<std::int64_t>(size_));
    }
  }

  const float* factor(std::size_t row, std::size_t column) const {
    return moments_.inputs.data() + row * size_ + column;
  }

  // Takes the block's codes off the columns from `from` on.
  void subtract(std::size_t first, std::size_t last, std::size_t from, const std::vector<float>& values) {
    const std::size_t row = groups_[first].column;
    const std::size_t depth = columnAfter(last - 1) - row;
    if (from == size_) return;
    multiplyAdd(static_cast<std::int64_t>(filters_), static_cast<std::int64_t>(size_ - from),
                static_cast<std::int64_t>(depth), values.data(), static_cast<std::int64_t>(depth),
                part(moments_.inputs.data(), size_, row, from), target_.data() + from,
                static_cast<std::int64_t>(size_));
  }

  void quantizeBlock(std::size_t first, std::size_t last) {
    const std::size_t begin = groups_[first].column;
    const std::size_t end = columnAfter(last - 1);
    for (std::size_t g = first; g < last; ++g) {
      const Group& group = groups_[g];
      setFactor(group);
      for (std::size_t k = 0; k < filters_; ++k) {
        float* target = target_.data() + k * size_ + group.column;
        quantizeGroup(group, k, target);
        const float* q = quantized_.data() + k * size_ + group.column;
        for (std::size_t i = 0; i < group.count; ++i) {
          if (q[i] == 0) continue;
          const float* row = factor(group.column + i, group.column);
          for (std::size_t j = i; j < end - group.column; ++j) target[j] -= q[i] * row[j];
        }
      }
    }
    subtract(first, last, end, blockValues(begin, end, -1));
  }

  std::vector<float> blockValues(std::size_t begin, std::size_t end, float sign) const {
    std::vector<float> values;
    values.reserve(filters_ * (end - begin));
    for (std::size_t k = 0; k < filters_; ++k) {
      for (std::size_t j = begin; j < end; ++j) values.push_back(sign * quantized_[k * size_ + j]);
    }
    return values;
  }

  void setFactor(const Group& group) {
    if (!ternary_) return;
    factor_.resize(group.count * group.count);
    for (std::size_t i = 0; i < group.count; ++i)
      std::copy_n(factor(group.column + i, group.column), group.count, factor_.data() + i * group.count);
    search_.setFactor(static_cast<int>(group.count), factor_);
  }

  void quantizeGroup(const Group& group, std::size_t k, const float* target) {
    if (!ternary_) {
      store(group, k, int8Integer(target[0] / *factor(group.column, group.column), grids_[k].step));
      return;
    }
    // The weights that would leave no error, and the force towards them.
    wanted_.assign(target, target + group.count);
    force_.assign(group.count, 0.0F);
    for (std::size_t i = 0; i < group.count; ++i) {
      const float* row = factor_.data() + i * group.count;
      wanted_[i] /= row[i];
      for (std::size_t j = i + 1; j < group.count; ++j) wanted_[j] -= wanted_[i] * row[j];
      float sum = 0;
      for (std::size_t j = i; j < group.count; ++j) sum += row[j] * target[j];
      force_[i] = sum;
    }
    search_.search(force_, wanted_, grids_[k], &codes_);
    store(group, k);
  }

  void improveBlock(std::size_t first, std::size_t last) {
    const std::size_t begin = groups_[first].column;
    const std::size_t width = columnAfter(last - 1) - begin;
    const auto rows = static_cast<std::int64_t>(filters_);
    const auto columns = static_cast<std::int64_t>(width);
    const auto depth = static_cast<std::int64_t>(size_ - begin);
    const auto stride = static_cast<std::int64_t>(size_);
    const MatrixRows transposed = transposedPart(moments_.inputs.data(), size_, begin, begin);
    std::vector<float> forces(filters_ * width, 0.0F);
    multiplyAdd(rows, columns, depth, target_.data() + begin, stride, transposed, forces.data(), columns);
    std::vector<float> metric(width * width, 0.0F);
    multiplyAdd(columns, columns, depth, factor(begin, begin), stride, transposed, metric.data(), columns);
    std::vector<float> changes = blockValues(begin, begin + width, 1);
    for (std::size_t g = first; g < last; ++g) {
      const Group& group = groups_[g];
      const std::size_t at = group.column - begin;
      own_.resize(group.count * group.count);
      for (std::size_t i = 0; i < group.count; ++i)
        std::copy_n(metric.data() + (at + i) * width + at, group.count, own_.data() + i * group.count);
      if (ternary_) search_.setMetric(static_cast<int>(group.count), own_);
      for (std::size_t k = 0; k < filters_; ++k) improveGroup(group, k, width, at, metric, &forces);
    }
    for (std::size_t k = 0; k < filters_; ++k) {
      for (std::size_t j = 0; j < width; ++j) changes[k * width + j] -= quantized_[k * size_ + begin + j];
    }
    subtract(first, last, begin, changes);
  }

  void improveGroup(const Group& group, std::size_t k, std::size_t width, std::size_t at,
                    const std::vector<float>& metric, std::vector<float>* forces) {
    float* force = forces->data() + k * width;
    const float* q = quantized_.data() + k * size_ + group.column;
    before_.assign(q, q + group.count);
    if (ternary_) {
      load(group, k);
      force_.assign(force + at, force + at + group.count);
      for (std::size_t i = 0; i < group.count; ++i) {
        if (q[i] == 0) continue;
        for (std::size_t j = 0; j < group.count; ++j) force_[j] += q[i] * own_[i * group.count + j];
      }
      search_.improve(force_, grids_[k], &codes_);
      store(group, k);
    } else {
      store(group, k, int8Integer(q[0] + force[at] / own_[0], grids_[k].step));
    }
    for (std::size_t i = 0; i < group.count; ++i) {
      const float change = q[i] - before_[i];
      if (change == 0) continue;
      const float* row = metric.data() + (at + i) * width;
      for (std::size_t j = 0; j < width; ++j) force[j] -= change * row[j];
    }
  }

  static int int8Integer(double value, double step) {
    return static_cast<int>(std::clamp(std::floor(value / step + 0.5), -double{kMaxInt8}, double{kMaxInt8}));
  }

  void store(const Group& group, std::size_t k, int integer) {
    op_.int8[(part_.first + k) * size_ + group.place] = static_cast<std::int8_t>(integer);
    quantized_[k * size_ + group.column] = static_cast<float>(integer * grids_[k].step);
  }

  void store(const Group& group, std::size_t k) {
    const std::size_t filter = part_.first + k;
    float* q = quantized_.data() + k * size_ + group.column;
    std::fill_n(q, group.count, 0.0F);
    for (std::size_t p = 0; p < op_.ternary.planes.size(); ++p) {
      TernaryPlane& plane = op_.ternary.planes[p];
      std::copy(codes_.codes[p].begin(), codes_.codes[p].end(),
                plane.codes.begin() + static_cast<std::ptrdiff_t>(filter * size_ + group.place));
      plane.scales[filter * scales_ + group.scale] = static_cast<std::uint8_t>(codes_.scales[p]);
      const auto scale = static_cast<float>(grids_[k].step * codes_.scales[p]);
      for (std::size_t i = 0; i < group.count; ++i) q[i] += scale * static_cast<float>(codes_.codes[p][i]);
    }
  }

  void load(const Group& group, std::size_t k) {
    const std::size_t filter = part_.first + k;
    for (std::size_t p = 0; p < op_.ternary.planes.size(); ++p) {
      const TernaryPlane& plane = op_.ternary.planes[p];
      const auto from = plane.codes.begin() + static_cast<std::ptrdiff_t>(filter * size_ + group.place);
      codes_.codes[p].assign(from, from + static_cast<std::ptrdiff_t>(group.count));
      codes_.scales[p] = plane.scales[filter * scales_ + group.scale];
    }
  }

  const LayerChoice& choice_;
  const CompensatedFilters& part_;
  LayerMoments moments_;  // inputs becomes the factor R
  const std::function<bool(double)>& work_;
  QConvOp& op_;
  std::size_t size_, filters_;
  std::span<const float> weights_;
  bool ternary_;
  GroupSearch search_;
  std::vector<Group> groups_;
  std::size_t scales_ = 0;  // of a filter
  std::vector<ScaleGrid> grids_;
  std::vector<float> target_;     // [filters][size], what is left of (W* - Q) R
  std::vector<float> quantized_;  // [filters][size], in the order of compensation
  GroupCodes codes_;
  std::vector<float> factor_, own_, wanted_, force_, before_;
};

}  // namespace

std::vector<int> compensationOrder(std::span<const double> variances, std::span<const std::size_t> starts) {
  std::vector<double> sums;
  for (std::size_t g = 0; g + 1 < starts.size(); ++g)
    sums.push_back(std::accumulate(variances.begin() + static_cast<std::ptrdiff_t>(starts[g]),
                                   variances.begin() + static_cast<std::ptrdiff_t>(starts[g + 1]), 0.0));
  std::vector<std::size_t> groups(sums.size());
  std::iota(groups.begin(), groups.end(), std::size_t{0});
  std::stable_sort(groups.begin(), groups.end(),
                   [&](std::size_t a, std::size_t b) { return sums[a] > sums[b]; });
  std::vector<int> order;
  for (const std::size_t g : groups) {
    for (std::size_t i = starts[g]; i < starts[g + 1]; ++i) order.push_back(static_cast<int>(i));
  }
  return order;
}

double compensationWork(int filters, int size) {
  const double square = double{0.5} * size * size;
  return square * (size / 3.0 + filters * (3.0 + 2.0 * kSweeps));
}

bool compensate(std::span<const float> weights, const CompensatedFilters& filters, const LayerChoice& choice,
                std::span<const StepBounds> bounds, LayerMoments moments,
                const std::function<bool(double)>& work, QConvOp* op, std::vector<double>* errors) {
  Compensator compensator(weights, filters, choice, std::move(moments), work, op);
  if (!compensator.run(bounds)) return false;
  if (errors != nullptr) *errors = compensator.errors();
  return true;
}

}  // namespace trefoil
