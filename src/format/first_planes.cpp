#include "format/first_planes.h"

#include <algorithm>
#include <string>
#include <utility>

namespace trefoil {
namespace {

// What filter k of a plane adds up to where every input is its padding value.
std::int64_t padSum(const QConvOp& conv, const TernaryPlane& plane, int k, int filters, int in_channels) {
  const int channels = in_channels / conv.groups;
  const int taps = conv.window.kernel_h * conv.window.kernel_w;
  const int first = k / (filters / conv.groups) * channels;
  const int group_size = conv.ternary.group_size;
  const auto scales =
      static_cast<std::size_t>(scalesPerFilter(channels, taps, group_size)) * static_cast<std::size_t>(k);
  const std::vector<std::uint8_t>& negative =
      plane.negative_scales.empty() ? plane.scales : plane.negative_scales;
  std::size_t at =
      static_cast<std::size_t>(k) * static_cast<std::size_t>(channels) * static_cast<std::size_t>(taps);
  std::int64_t sum = 0;
  for (int tap = 0; tap < taps; ++tap) {
    for (int c = 0; c < channels; ++c, ++at) {
      const int code = plane.codes[at];
      if (code == 0) continue;
      const std::size_t index = scales + static_cast<std::size_t>(scaleIndex(c, tap, channels, group_size));
      const int channel = first + c;
      sum += std::int64_t{code} * (code > 0 ? plane.scales : negative)[index] *
             conv.pad_values[static_cast<std::size_t>(channel)];
    }
  }
  return sum;
}

}  // namespace

bool hasSecondPlanes(const QuantModel& model) {
  return std::any_of(model.nodes.begin(), model.nodes.end(), [](const QNode& node) {
    const auto* conv = std::get_if<QConvOp>(&node.op);
    return conv != nullptr && conv->ternary.planes.size() > 1;
  });
}

QuantModel firstPlanes(QuantModel model) {
  for (QNode& node : model.nodes) {
    auto* conv = std::get_if<QConvOp>(&node.op);
    if (conv == nullptr || conv->ternary.planes.size() < 2) continue;
    const int filters = node.shape.channels;
    const int in_channels = model.nodes[static_cast<std::size_t>(node.inputs[0])].shape.channels;
    for (int k = 0; k < filters; ++k) {
      // In range: validateModel() has counted the second plane at every input's largest value.
      auto& bias = conv->bias[static_cast<std::size_t>(k)];
      bias =
          static_cast<std::int32_t>(bias + padSum(*conv, conv->ternary.planes[1], k, filters, in_channels));
    }
    conv->ternary.planes.pop_back();
  }
  return model;
}

Result<void> checkRefines(const QuantModel& whole, const QuantModel& first) {
  QuantModel expected = first;
  expected.logit_scales = whole.logit_scales;
  expected.logit_offsets = whole.logit_offsets;
  for (std::size_t i = 0; i < std::min(whole.nodes.size(), first.nodes.size()); ++i) {
    const auto* conv = std::get_if<QConvOp>(&whole.nodes[i].op);
    auto* own = std::get_if<QConvOp>(&expected.nodes[i].op);
    if (conv == nullptr || own == nullptr) continue;
    own->bias = conv->bias;
    own->filter_scales = conv->filter_scales;
    own->output.factors = conv->output.factors;
    if (conv->ternary.planes.size() == 2 && own->ternary.planes.size() == 1) {
      own->ternary.planes.push_back(conv->ternary.planes[1]);
    }
  }
  if (expected == whole && !hasSecondPlanes(first)) return {};
  return makeError(
      ErrorCode::kBadModel,
      "the network of the first planes differs from the whole one in more than second planes can "
      "refine: only biases, scales and factors may change with them");
}

}  // namespace trefoil
