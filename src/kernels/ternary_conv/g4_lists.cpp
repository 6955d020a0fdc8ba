#include "kernels/ternary_conv/g4_lists.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "kernels/ternary_conv/g4_table.h"

namespace trefoil {
namespace {

constexpr std::size_t kReadAhead = 4;  // words that the inner loops may read past a list

// One look-up: +-entry of a table times a scale.
struct LookUp {
  std::uint32_t offset;
  std::uint8_t scale;  // above 0
  std::int8_t sign;
  std::uint8_t positive, negative;  // inputs that it adds and subtracts
};

// Where the words go: nowhere in the first pass, which only counts them.
class Words {
 public:
  explicit Words(std::uint32_t* to) : to_(to) {}
  void put(std::uint32_t word) {
    if (to_) to_[count_] = word;
    ++count_;
  }
  void set(std::size_t at, std::uint32_t word) {
    if (to_) to_[at] = word;
  }
  std::size_t count() const { return count_; }

 private:
  std::uint32_t* to_;
  std::size_t count_ = 0;
};

std::uint32_t scalePair(int first, int second) {
  return static_cast<std::uint16_t>(first) | std::uint32_t{static_cast<std::uint16_t>(second)} << 16;
}

class Packer {
 public:
  Packer(const ConvTask& task, const TernaryWeights& weights, const G4Layout& layout, LookUp* look_ups)
      : task_(task), weights_(weights), layout_(layout), look_ups_(look_ups) {}

  // All lists in turn; returns the number of words.
  std::size_t write(G4Mode mode, std::uint32_t* to);
  std::size_t lookUps() const { return total_look_ups_; }
  std::size_t segments() const { return total_segments_; }

 private:
  std::span<LookUp> collect(int filter, int block, int kernel_row);
  void collectGroup(const TernaryPlane& plane, int filter, int tap, int channel, std::uint32_t table_offset,
                    std::size_t& count);
  void writeSingles(std::span<const LookUp> look_ups, Words& words);
  void writeSegments(std::span<LookUp> look_ups, Words& words);

  const ConvTask& task_;
  const TernaryWeights& weights_;
  const G4Layout& layout_;
  LookUp* look_ups_;  // room for the look-ups of one filter in one list
  std::size_t total_look_ups_ = 0, total_segments_ = 0;
};

// The look-ups of 4 channels at one tap. Codes whose scales differ become look-ups of their own in the same table.
void Packer::collectGroup(const TernaryPlane& plane, int filter, int tap, int channel, std::uint32_t table_offset,
                          std::size_t& count) {
  const int channels = task_.channelsPerGroup(), taps = task_.taps();
  const int present = std::min(4, channels - channel);
  const std::int8_t* codes = &plane.codes[(static_cast<std::size_t>(filter) * taps + tap) * channels + channel];
  const auto scales_at = static_cast<std::size_t>(filter) * scalesPerFilter(channels, taps, weights_.group_size);
  int scales[4] = {0, 0, 0, 0};
  for (int i = 0; i < present; ++i) {
    const std::size_t at = scales_at + scaleIndex(channel + i, tap, channels, weights_.group_size);
    const bool other = codes[i] < 0 && !plane.negative_scales.empty();
    if (codes[i] != 0) scales[i] = (other ? plane.negative_scales : plane.scales)[at];
  }
  for (int i = 0; i < present; ++i) {
    const int scale = scales[i];
    if (scale == 0) continue;
    LookUp look_up{0, static_cast<std::uint8_t>(scale), 0, 0, 0};
    std::int8_t masked[4] = {0, 0, 0, 0};
    for (int j = i; j < present; ++j) {
      if (scales[j] != scale) continue;
      masked[j] = codes[j];
      scales[j] = 0;
      ++(codes[j] > 0 ? look_up.positive : look_up.negative);
    }
    const SignedSum entry = tableEntry(masked);
    look_up.offset = table_offset + static_cast<std::uint32_t>(entry.index * layout_.entry_vectors * 16);
    look_up.sign = static_cast<std::int8_t>(entry.sign);
    look_ups_[count++] = look_up;
  }
}

std::span<LookUp> Packer::collect(int filter, int block, int kernel_row) {
  const Window& window = task_.window;
  const int first_group = block * layout_.groups_per_block;
  const int end_group = std::min(layout_.groups, first_group + layout_.groups_per_block);
  std::size_t count = 0;
  for (int s = 0; s < window.kernel_w; ++s) {
    const int column = s * window.dilation_w;
    const int vector =
        column % window.stride_w * (layout_.tile_width + layout_.halo) + column / window.stride_w;
    for (int group = first_group; group < end_group; ++group) {
      const int table = (group - first_group) * kTableEntries * layout_.entry_vectors;
      const auto offset = static_cast<std::uint32_t>(table + vector) * 16;
      for (const TernaryPlane& plane : weights_.planes) {
        collectGroup(plane, filter, kernel_row * window.kernel_w + s, group * 4, offset, count);
      }
    }
  }
  return {look_ups_, count};
}

void Packer::writeSingles(std::span<const LookUp> look_ups, Words& words) {
  words.put(static_cast<std::uint32_t>((look_ups.size() + 1) / 2));
  for (std::size_t i = 0; i < look_ups.size(); i += 2) {
    const LookUp& first = look_ups[i];
    const bool paired = i + 1 < look_ups.size();
    const LookUp& second = look_ups[paired ? i + 1 : i];
    words.put(first.offset);
    words.put(second.offset);
    words.put(scalePair(first.sign * first.scale, paired ? second.sign * second.scale : 0));
  }
}

// Segments gather the look-ups of one scale, as many as can be summed in 16 bits whatever the inputs are.
void Packer::writeSegments(std::span<LookUp> look_ups, Words& words) {
  const int limit = 32767 / std::max(1, task_.input_max);
  std::sort(look_ups.begin(), look_ups.end(), [](const LookUp& a, const LookUp& b) {
    return a.scale != b.scale ? a.scale < b.scale : a.offset < b.offset;
  });
  const std::size_t pairs_at = words.count();
  words.put(0);
  std::uint32_t segments = 0;
  std::size_t scales_at = 0;
  std::uint32_t scales = 0, counts = 0;
  for (std::size_t begin = 0, end; begin < look_ups.size(); begin = end) {
    int positive = 0, negative = 0;
    std::uint32_t added = 0;
    for (end = begin; end < look_ups.size() && look_ups[end].scale == look_ups[begin].scale && end - begin < 255;
         ++end) {
      if (positive + look_ups[end].positive > limit || negative + look_ups[end].negative > limit) break;
      positive += look_ups[end].positive;
      negative += look_ups[end].negative;
      added += look_ups[end].sign > 0;
    }
    const std::uint32_t size = static_cast<std::uint32_t>(end - begin);
    const int sign = added > 0 ? 1 : -1;  // the first entry is always one to add
    if (sign < 0) added = size;
    const int shift = segments % 2 * 16;
    if (shift == 0) {
      scales_at = words.count();
      words.put(0);
      words.put(0);
      scales = counts = 0;
    }
    scales |= std::uint32_t{static_cast<std::uint16_t>(sign * look_ups[begin].scale)} << shift;
    counts |= (added | (size - added) << 8) << shift;
    words.set(scales_at, scales);
    words.set(scales_at + 1, counts);
    ++segments;
    for (const int wanted : {sign, -sign}) {
      for (std::size_t i = begin; i < end; ++i) {
        if (look_ups[i].sign == wanted) words.put(look_ups[i].offset);
      }
    }
  }
  words.set(pairs_at, (segments + 1) / 2);
  total_segments_ += segments;
}

std::size_t Packer::write(G4Mode mode, std::uint32_t* to) {
  const int kernel_h = task_.window.kernel_h;
  total_look_ups_ = total_segments_ = 0;
  Words words(to);
  const std::size_t lists = listIndex(layout_, task_, task_.groups, 0, 0);
  for (std::size_t i = 0; i < lists; ++i) words.put(0);
  for (int group = 0; group < task_.groups; ++group) {
    for (int block = 0; block < layout_.blocks; ++block) {
      for (int r = 0; r < kernel_h; ++r) {
        words.set(listIndex(layout_, task_, group, block, r), static_cast<std::uint32_t>(words.count()));
        for (int k = 0; k < task_.filtersPerGroup(); ++k) {
          const std::span<LookUp> look_ups = collect(group * task_.filtersPerGroup() + k, block, r);
          total_look_ups_ += look_ups.size();
          if (mode == G4Mode::kSingles) {
            writeSingles(look_ups, words);
          } else {
            writeSegments(look_ups, words);
          }
        }
      }
    }
  }
  for (std::size_t i = 0; i < kReadAhead; ++i) words.put(0);
  return words.count();
}

}  // namespace

AlignedBuffer packG4(const ConvTask& task, const TernaryWeights& weights) {
  const G4Layout layout = g4Layout(task);
  // Four codes have at most four scales.
  const std::size_t most = weights.planes.size() * 4 * task.window.kernel_w * layout.groups_per_block;
  AlignedBuffer room(most * sizeof(LookUp));
  if (!room.data()) return {};
  Packer packer(task, weights, layout, reinterpret_cast<LookUp*>(room.data()));
  // The inner loops need about 4 operations for a single, 2 for an entry of a segment and 8 more for a segment.
  std::size_t words = packer.write(G4Mode::kSegments, nullptr);
  G4Mode mode = G4Mode::kSegments;
  if (packer.segments() * 8 > packer.lookUps() * 2) {
    mode = G4Mode::kSingles;
    words = packer.write(mode, nullptr);
  }
  AlignedBuffer packed(sizeof(G4Header) + words * sizeof(std::uint32_t));
  if (!packed.data()) return packed;
  *reinterpret_cast<G4Header*>(packed.data()) = {mode};
  packer.write(mode, reinterpret_cast<std::uint32_t*>(packed.data()) + sizeof(G4Header) / 4);
  return packed;
}

}  // namespace trefoil
