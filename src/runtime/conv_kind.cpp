#include "runtime/conv_kind.h"

#include <algorithm>
#include <array>
#include <bitset>

namespace trefoil {
namespace {

constexpr std::size_t kSampledCodes = 1 << 14;
constexpr std::size_t kSampledFilters = 4;

// What a task and its kind both say.
template <typename From, typename To>
void copyGeometry(const From& from, To& to) {
  to.in = from.in;
  to.out = from.out;
  to.window = from.window;
  to.groups = from.groups;
  to.input_max = from.input_max;
  to.accumulators = from.accumulators;
}

ConvKind kindOfTask(const ConvTask& task) {
  ConvKind kind;
  copyGeometry(task, kind);
  return kind;
}

int levelsOf(std::span<const std::uint8_t> scales, std::size_t filters) {
  const std::size_t stride = scales.size() / filters;
  std::size_t most = 0;
  for (std::size_t i = 0; i < std::min(filters, kSampledFilters); ++i) {
    std::bitset<256> seen;
    for (const std::uint8_t scale : scales.subspan(i * stride, stride)) seen.set(scale);
    most = std::max(most, seen.count());
  }
  return most <= 1 ? 1 : most <= 4 ? 4 : most <= 16 ? 16 : 0;
}

class Random {
 public:
  std::uint32_t operator()() {  // xorshift32
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    return state_ >> 4;
  }

 private:
  std::uint32_t state_ = 2463534242;
};

}  // namespace

std::string ConvKind::key() const {
  std::string text = ternary ? "ternary" : "int8";
  const auto add = [&](std::initializer_list<int> numbers) {
    for (const int number : numbers) text += (text.back() == ' ' ? "" : ",") + std::to_string(number);
  };
  text += " in ";
  add({in.channels, in.height, in.width, input_max});
  text += " out ";
  add({out.channels, out.height, out.width, accumulators});
  text += " window ";
  add({window.kernel_h, window.kernel_w, window.stride_h, window.stride_w, window.dilation_h,
       window.dilation_w, window.pad_top, window.pad_left, groups});
  if (ternary) {
    text += " weights ";
    add({group_size, planes, two_sided, levels, zero_quarters});
  }
  return text;
}

std::int64_t ConvKind::macs() const { return out.plane() * static_cast<std::int64_t>(weights()); }

std::size_t ConvKind::weights() const {
  return static_cast<std::size_t>(out.channels) * static_cast<std::size_t>(in.channels / groups) *
         static_cast<std::size_t>(window.kernel_h) * static_cast<std::size_t>(window.kernel_w);
}

bool ConvKind::canBeSampled() const {
  constexpr std::size_t kMostWeights = std::size_t{1} << 22;
  constexpr std::size_t kMostInputs = std::size_t{1} << 15;  // of a filter
  const std::size_t inputs =
      weights() / static_cast<std::size_t>(out.channels) * static_cast<std::size_t>(planes);
  return inputs <= kMostInputs && (out.plane() == 1 || weights() <= kMostWeights) && macs() > 0;
}

ConvKind convKind(const ConvTask& task, const TernaryWeights& weights) {
  ConvKind kind = kindOfTask(task);
  kind.group_size = weights.group_size;
  kind.planes = static_cast<int>(weights.planes.size());
  const TernaryPlane& plane = weights.planes.front();
  kind.two_sided = !plane.negative_scales.empty();
  kind.levels = levelsOf(plane.scales, static_cast<std::size_t>(task.out.channels));
  const std::size_t sampled = std::min(plane.codes.size(), kSampledCodes);
  const auto zeros =
      std::count(plane.codes.begin(), plane.codes.begin() + static_cast<std::ptrdiff_t>(sampled), 0);
  kind.zero_quarters = static_cast<int>((static_cast<std::size_t>(zeros) * 8 + sampled) / (2 * sampled));
  return kind;
}

ConvKind convKind(const ConvTask& task, std::span<const std::int8_t> /*weights*/) {
  ConvKind kind = kindOfTask(task);
  kind.ternary = false;
  return kind;
}

SampleConv::SampleConv(const ConvKind& kind) {
  const auto filters = static_cast<std::size_t>(kind.out.channels);
  pad_values_.assign(static_cast<std::size_t>(kind.in.channels), 1);
  bias_.assign(filters, 0);
  factors_.assign(filters, FixedPoint{1 << 30, 44});
  copyGeometry(kind, task_);
  task_.pad_values = pad_values_;
  task_.bias = bias_;
  task_.factors = factors_;
  task_.zero_point = kind.input_max / 2;
  task_.high = kind.input_max;

  Random random;
  if (!kind.ternary) {
    int8_.resize(kind.weights());
    for (auto& weight : int8_) weight = static_cast<std::int8_t>(random() % 255 - 127);
    return;
  }
  ternary_.group_size = kind.group_size;
  ternary_.planes.resize(static_cast<std::size_t>(kind.planes));
  const std::size_t scales = filters * static_cast<std::size_t>(scalesPerFilter(
                                           task_.channelsPerGroup(), task_.taps(), kind.group_size));
  const std::uint32_t levels = kind.levels == 0 ? 200 : static_cast<std::uint32_t>(kind.levels);
  const auto zeros_of_16 = static_cast<std::uint32_t>(4 * kind.zero_quarters);
  for (TernaryPlane& plane : ternary_.planes) {
    plane.codes.resize(kind.weights());
    for (std::size_t i = 0; i < plane.codes.size();) {
      std::uint32_t bits = random();  // 28 of them: five codes
      for (int j = 0; j < 5 && i < plane.codes.size(); ++j, ++i, bits >>= 5) {
        plane.codes[i] = static_cast<std::int8_t>(bits % 16 < zeros_of_16 ? 0 : bits & 16 ? 1 : -1);
      }
    }
    // Small enough for any sum of products to fit 32 bits wherever a real layer's can.
    const auto fill = [&](std::vector<std::uint8_t>& values) {
      values.resize(scales);
      for (auto& scale : values) scale = static_cast<std::uint8_t>(1 + random() % levels);
    };
    fill(plane.scales);
    if (kind.two_sided) fill(plane.negative_scales);
  }
}

}  // namespace trefoil
