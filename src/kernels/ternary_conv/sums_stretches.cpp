#include "kernels/ternary_conv/sums_stretches.h"

#include "kernels/ternary_conv/sums_table.h"

namespace trefoil {
namespace {

constexpr int kDepth = 4;
constexpr int kMostGroups = 256;  // of a stretch, so that the counts of a look don't run over

// What codes look up: the entry's offset in the lower half, then whether it is added (bit 32) or subtracted
// (33), and how many codes are positive (from 40 on) and negative (from 52 on).
std::uint64_t lookOf(const CodePattern& pattern, std::size_t entry_bytes) {
  return std::uint64_t{pattern.entry} * entry_bytes | std::uint64_t{pattern.sign > 0} << 32 |
         std::uint64_t{pattern.sign < 0} << 33 | std::uint64_t{pattern.positive} << 40 |
         std::uint64_t{pattern.negative} << 52;
}

}  // namespace

bool StretchPacker::fits(const TernaryWeights& weights, const SumKind& kind) {
  constexpr int kShortest = 16;  // channels with one scale
  const int size = weights.group_size;
  return !kind.bytes() && kind.depth == kDepth &&
         (size == kWholeFilter || (size >= kShortest && size % kDepth == 0)) &&
         std::all_of(weights.planes.begin(), weights.planes.end(),
                     [](const TernaryPlane& plane) { return plane.negative_scales.empty(); });
}

StretchPacker::StretchPacker(const ConvTask& task, const TernaryWeights& weights, const SumLayout& layout)
    : task_(task),
      weights_(weights),
      layout_(layout),
      group_step_(static_cast<std::uint32_t>(layout.entries * layout.entryBytes())),
      limit_(static_cast<std::uint32_t>(32767 / std::max(1, task.input_max))) {
  for (int index = 0; index < 81; ++index) {
    std::uint32_t codes = 0;
    for (int i = 0, rest = index; i < kDepth; ++i, rest /= 3) {
      codes |= static_cast<std::uint32_t>((rest % 3 - 1) & 0xff) << 8 * i;
    }
    looks_[sum_table::codeBits(codes)] =
        lookOf(kCodePatterns<kDepth, false>[static_cast<std::size_t>(index)], layout.entryBytes());
  }
}

bool StretchPacker::begin(int block, int kernel_row, int filters, RunWriter& runs) {
  const Window& window = task_.window;
  const int channels = task_.channelsPerGroup(), size = weights_.group_size;
  const int first_group = block * layout_.groups_per_block;
  const int end_group = std::min(layout_.groups, first_group + layout_.groups_per_block);
  const int begin = layout_.firstChannel(first_group);
  const int end = std::min(layout_.endChannel(end_group - 1), channels);
  stretches_.clear();
  for (int s = 0; s < window.kernel_w; ++s) {
    const int column = s * window.dilation_w, tap = kernel_row * window.kernel_w + s;
    const int vector =
        column % window.stride_w * (layout_.tile_width + layout_.halo) + column / window.stride_w;
    for (int channel = begin, next; channel < end; channel = next) {
      next = std::min(end, channel + kMostGroups * kDepth);
      if (size != kWholeFilter) next = std::min(next, (channel / size + 1) * size);
      if (!stretches_.reserve(1)) return false;
      stretches_.put({static_cast<std::uint32_t>(tap * channels + channel),
                      static_cast<std::uint32_t>(scaleIndex(channel, tap, channels, size)),
                      static_cast<std::uint32_t>((channel - begin) / kDepth) * group_step_ +
                          static_cast<std::uint32_t>(vector) * 16,
                      static_cast<std::uint16_t>((next - channel) / kDepth),
                      static_cast<std::uint16_t>((next - channel) % kDepth)});
    }
  }
  const std::size_t most = weights_.planes.size() * window.kernel_w * (end_group - first_group) * filters;
  scaled_.clear();
  if (!scaled_.reserve(weights_.planes.size() * stretches_.count()) || !runs.reserve(0, most)) return false;
  std::uint32_t* const room = runs.extend(most);
  item_added_ = sum_.added = room;
  item_subtracted_ = sum_.subtracted = room + most;
  return true;
}

bool StretchPacker::add(int filter, std::uint32_t place_in_list, RunWriter& runs) {
  const int channels = task_.channelsPerGroup(), taps = task_.taps();
  const std::size_t first_code = static_cast<std::size_t>(filter) * taps * channels;
  const std::size_t first_scale =
      static_cast<std::size_t>(filter) * scalesPerFilter(channels, taps, weights_.group_size);
  scaled_.clear();
  for (const TernaryPlane& plane : weights_.planes) {
    const std::int8_t* const codes = plane.codes.data() + first_code;
    const std::uint8_t* const scales = plane.scales.data() + first_scale;
    for (std::size_t i = 0; i < stretches_.count(); ++i) {
      const Stretch& stretch = stretches_[i];
      if (scales[stretch.scale] > 0) scaled_.put({codes + stretch.first, &stretch, scales[stretch.scale]});
    }
  }
  for (std::size_t i = 0; i < scaled_.count(); ++i) {
    const std::uint32_t scale = scaled_[i].scale;
    if (scale == 0) continue;  // summed with an earlier one
    const std::uint32_t head = place_in_list << 16 | scale;
    for (std::size_t j = i; j < scaled_.count(); ++j) {
      if (scaled_[j].scale != scale) continue;
      if (!addStretch(scaled_[j], head, runs)) return false;
      scaled_[j].scale = 0;
    }
    if (!endItem(head, runs)) return false;
  }
  return true;
}

// Items end where their sums could leave 16 bits, whatever the inputs are.
bool StretchPacker::addStretch(const Scaled& scaled, std::uint32_t head, RunWriter& runs) {
  const Stretch& stretch = *scaled.stretch;
  const std::int8_t* codes = scaled.codes;
  std::uint32_t table = stretch.table;
  for (int left = stretch.groups; left > 0;) {
    const int groups = std::min(left, static_cast<int>(roomInSum()) / kDepth);
    if (groups == 0) {
      if (!endItem(head, runs)) return false;
      continue;
    }
    addGroups(looks_.data(), codes, groups, table, group_step_, sum_);
    codes += groups * kDepth;
    table += static_cast<std::uint32_t>(groups) * group_step_;
    left -= groups;
  }
  if (stretch.rest == 0) return true;
  if (roomInSum() < stretch.rest && !endItem(head, runs)) return false;
  std::int8_t last[kDepth] = {};
  std::copy_n(codes, stretch.rest, last);
  addGroups(looks_.data(), last, 1, table, group_step_, sum_);
  return true;
}

// Whether an entry is added or subtracted can't be predicted, so it is written to both places. Not inlined:
// WebAssembly engines optimize functions that are called often, not long loops.
[[gnu::noinline]] void StretchPacker::addGroups(const std::uint64_t* looks, const std::int8_t* codes,
                                                int groups, std::uint32_t table, std::uint32_t step,
                                                Sum& sum) {
  std::uint32_t *added = sum.added, *subtracted = sum.subtracted;
  std::uint64_t counts = 0;
  for (; groups > 0; --groups, codes += kDepth, table += step) {
    std::uint32_t word;
    std::memcpy(&word, codes, sizeof(word));
    const std::uint64_t look = looks[sum_table::codeBits(word)];
    added[0] = subtracted[-1] = table + static_cast<std::uint32_t>(look);
    added += look >> 32 & 1;
    subtracted -= look >> 33 & 1;
    counts += look >> 40;
  }
  sum.added = added;
  sum.subtracted = subtracted;
  sum.positive += static_cast<std::uint32_t>(counts & 0xfff);
  sum.negative += static_cast<std::uint32_t>(counts >> 12);
}

bool StretchPacker::endItem(std::uint32_t head, RunWriter& runs) {
  const std::uint32_t *added = item_added_, *subtracted = sum_.subtracted;
  auto first = static_cast<std::size_t>(sum_.added - item_added_);
  auto second = static_cast<std::size_t>(item_subtracted_ - sum_.subtracted);
  item_added_ = sum_.added;
  item_subtracted_ = sum_.subtracted;
  sum_.positive = sum_.negative = 0;
  if (first + second == 0) return true;
  // With a negative scale where more entries are subtracted there are fewer kinds of items.
  if (second > first) {
    std::swap(added, subtracted);
    std::swap(first, second);
    head = (head & 0xffff0000U) | (-head & 0xffffU);
  }
  if (!runs.reserve(1, 0)) return false;
  runs.put(head, added, first, subtracted, second);
  return true;
}

}  // namespace trefoil
