// A QuantModel run by its definition and nothing else: 64-bit integers, direct loops, division instead of
// shifts, every value kept. It shares no arithmetic with the runtime, which must give the same integers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "format/quant_model.h"

namespace trefoil::testing {

using Integers = std::vector<std::int64_t>;

// value / 2^shift, halves up.
inline std::int64_t roundedQuotient(std::int64_t value, int shift) {
  const std::int64_t divisor = std::int64_t{1} << shift;
  const std::int64_t half = divisor / 2;
  std::int64_t quotient = value / divisor;
  std::int64_t rest = value % divisor;
  if (rest < 0) {
    rest += divisor;
    --quotient;
  }
  return shift > 0 && rest >= half ? quotient + 1 : quotient;
}

class ReferenceInterpreter {
 public:
  // `model` must be valid; planes: the input in C, H, W order.
  ReferenceInterpreter(const QuantModel& model, std::span<const std::uint8_t> planes) : model_(model) {
    values_.resize(model.nodes.size());
    values_[0].assign(planes.begin(), planes.end());
    for (std::size_t i = 1; i < model.nodes.size(); ++i) {
      node_ = &model.nodes[i];
      accumulators_ = model.output_accumulators && i + 1 == model.nodes.size();
      out_.assign(static_cast<std::size_t>(node_->shape.size()), 0);
      std::visit([this](const auto& op) { run(op); }, node_->op);
      values_[i] = out_;
    }
    if (!model.output_accumulators) {
      for (auto& value : values_.back()) value -= model.nodes.back().grid.zero_point;
    }
  }

  const Integers& logits() const { return values_.back(); }

 private:
  const QNode& input(std::size_t i) const { return model_.nodes[static_cast<std::size_t>(node_->inputs[i])]; }
  static std::size_t index(const Shape& shape, int c, int y, int x) {
    return static_cast<std::size_t>((std::int64_t{c} * shape.height + y) * shape.width + x);
  }
  std::int64_t at(std::size_t i, int c, int y, int x) const {
    return values_[static_cast<std::size_t>(node_->inputs[i])][index(input(i).shape, c, y, x)];
  }
  static bool inside(const Shape& shape, int y, int x) {
    return y >= 0 && y < shape.height && x >= 0 && x < shape.width;
  }

  // For every c, y, x of the result.
  template <typename Value>
  void fill(const Value& value) {
    for (int c = 0; c < node_->shape.channels; ++c) {
      for (int y = 0; y < node_->shape.height; ++y) {
        for (int x = 0; x < node_->shape.width; ++x) out_[index(node_->shape, c, y, x)] = value(c, y, x);
      }
    }
  }

  std::int64_t finish(std::int64_t scaled, int low, int high) const {
    return std::clamp<std::int64_t>(node_->grid.zero_point + scaled, low, high);
  }
  std::int64_t finish(std::int64_t value, const OutputStage& stage, std::size_t factor) const {
    const FixedPoint f = stage.factors[factor];
    return finish(roundedQuotient(value * f.multiplier, f.shift), stage.low, stage.high);
  }

  static std::int64_t weight(const QConvOp& conv, int channels, int k, int tap, int c) {
    const int taps = conv.window.kernel_h * conv.window.kernel_w;
    const auto at = static_cast<std::size_t>((std::int64_t{k} * taps + tap) * channels + c);
    if (!conv.int8.empty()) return conv.int8[at];
    std::int64_t sum = 0;
    const int group = conv.ternary.group_size;
    const int scales_per_tap = group == kWholeFilter ? 1 : (channels + group - 1) / group;
    const int scale = group == kWholeFilter ? k : (k * taps + tap) * scales_per_tap + c / group;
    for (const TernaryPlane& plane : conv.ternary.planes) {
      const int code = plane.codes[at];
      const auto& scales = code < 0 && !plane.negative_scales.empty() ? plane.negative_scales : plane.scales;
      sum += code * int{scales[static_cast<std::size_t>(scale)]};
    }
    return sum;
  }

  void run(const QConvOp& conv) {
    const Shape& in = input(0).shape;
    const Window& w = conv.window;
    const int channels = in.channels / conv.groups;
    const int filters = node_->shape.channels / conv.groups;
    fill([&](int k, int y, int x) {
      std::int64_t sum = conv.bias[static_cast<std::size_t>(k)];
      for (int r = 0; r < w.kernel_h; ++r) {
        for (int s = 0; s < w.kernel_w; ++s) {
          for (int c = 0; c < channels; ++c) {
            const int channel = k / filters * channels + c;
            const int in_y = y * w.stride_h + r * w.dilation_h - w.pad_top;
            const int in_x = x * w.stride_w + s * w.dilation_w - w.pad_left;
            const std::int64_t q = inside(in, in_y, in_x)
                                       ? at(0, channel, in_y, in_x)
                                       : conv.pad_values[static_cast<std::size_t>(channel)];
            sum += q * weight(conv, channels, k, r * w.kernel_w + s, c);
          }
        }
      }
      return accumulators_ ? sum : finish(sum, conv.output, static_cast<std::size_t>(k));
    });
  }

  void run(const QAddOp& add) {
    fill([&](int c, int y, int x) {
      const std::int64_t a = at(0, c, y, x) - input(0).grid.zero_point;
      const std::int64_t b = at(1, c, y, x) - input(1).grid.zero_point;
      return finish(roundedQuotient(a * add.multipliers[0] + b * add.multipliers[1], add.shift), add.low,
                    add.high);
    });
  }

  void run(const QMulOp& mul) {
    const bool spread = input(1).shape != node_->shape;
    fill([&](int c, int y, int x) {
      const std::int64_t a = at(0, c, y, x) - input(0).grid.zero_point;
      const std::int64_t b = at(1, c, spread ? 0 : y, spread ? 0 : x) - input(1).grid.zero_point;
      return finish(a * b, mul.output, 0);
    });
  }

  void run(const QRescaleOp& rescale) {
    fill([&](int c, int y, int x) {
      return finish(at(0, c, y, x) - input(0).grid.zero_point, rescale.output, 0);
    });
  }

  void run(const QConcatOp&) {
    fill([&](int c, int y, int x) {
      std::size_t part = 0;
      for (; c >= input(part).shape.channels; ++part) c -= input(part).shape.channels;
      return at(part, c, y, x);
    });
  }

  void run(const QPoolOp& pool) {
    const Shape& in = input(0).shape;
    const Window& w = pool.window;
    fill([&](int c, int y, int x) {
      std::int64_t sum = 0;
      std::int64_t largest = -1;
      std::size_t count = 0;
      for (int r = 0; r < w.kernel_h; ++r) {
        for (int s = 0; s < w.kernel_w; ++s) {
          const int in_y = y * w.stride_h + r * w.dilation_h - w.pad_top;
          const int in_x = x * w.stride_w + s * w.dilation_w - w.pad_left;
          if (!inside(in, in_y, in_x)) continue;
          const std::int64_t q = at(0, c, in_y, in_x);
          sum += q - input(0).grid.zero_point;
          largest = std::max(largest, q);
          ++count;
        }
      }
      if (!pool.average) return largest;
      if (accumulators_) return sum;
      return finish(sum, pool.output, pool.output.factors.size() == 1 ? 0 : count - 1);
    });
  }

  void run(const QLookupOp& lookup) {
    fill([&](int c, int y, int x) {
      const std::int64_t table = lookup.table.size() == 256 ? 0 : c;
      return std::int64_t{lookup.table[static_cast<std::size_t>(256 * table + at(0, c, y, x))]};
    });
  }

  void run(const QLrnOp& lrn) {
    fill([&](int c, int y, int x) {
      const int zero_point = input(0).grid.zero_point;
      std::int64_t sum = 0;
      const int first = c - (lrn.size - 1) / 2;
      for (int other = first; other < first + lrn.size; ++other) {
        if (other < 0 || other >= node_->shape.channels) continue;
        const std::int64_t value = at(0, other, y, x) - zero_point;
        sum += value * value;
      }
      const std::int64_t entry = sum / (std::int64_t{1} << lrn.table_shift);
      const auto last = static_cast<std::int64_t>(lrn.table.size()) - 1;
      const std::int64_t factor = lrn.table[static_cast<std::size_t>(std::min(entry, last))];
      return finish(roundedQuotient((at(0, c, y, x) - zero_point) * factor, lrn.shift), 0, node_->grid.max());
    });
  }

  void run(const QPadOp& pad) {
    const Shape& in = input(0).shape;
    fill([&](int c, int y, int x) {
      const int from_c = c - pad.before[0];
      const int from_y = y - pad.before[1];
      const int from_x = x - pad.before[2];
      if (from_c < 0 || from_c >= in.channels || !inside(in, from_y, from_x)) return std::int64_t{pad.value};
      return at(0, from_c, from_y, from_x);
    });
  }

  void run(const QSliceOp& slice) {
    fill([&](int c, int y, int x) {
      return at(0, slice.start[0] + c * slice.step[0], slice.start[1] + y * slice.step[1],
                slice.start[2] + x * slice.step[2]);
    });
  }

  void run(const QReshapeOp&) { out_ = values_[static_cast<std::size_t>(node_->inputs[0])]; }
  void run(const QInputOp&) {}

  const QuantModel& model_;
  std::vector<Integers> values_;
  const QNode* node_ = nullptr;  // at hand, with its result
  bool accumulators_ = false;
  Integers out_;
};

// The integers L of a model for one image.
inline Integers referenceLogits(const QuantModel& model, std::span<const std::uint8_t> planes) {
  return ReferenceInterpreter(model, planes).logits();
}

}  // namespace trefoil::testing
