#include "kernels/ternary_conv/g4_lists.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <utility>

#include "kernels/ternary_conv/g4_table.h"
#include "kernels/ternary_conv/kernels.h"

namespace trefoil {
namespace {

constexpr std::size_t kReadAhead = 4;  // words that the inner loops may read past a list
constexpr int kMostEntries = 255;      // of a segment

// One look-up: +-entry of a table times a scale.
struct LookUp {
  std::uint32_t offset;
  std::uint8_t scale;  // above 0
  std::int8_t sign;
  std::uint8_t positive, negative;  // inputs that it adds and subtracts
};

// What four codes look up, at index (c0 + 1) + 3 (c1 + 1) + 9 (c2 + 1) + 27 (c3 + 1).
struct CodePattern {
  std::uint8_t entry;
  std::int8_t sign;
  std::uint8_t positive, negative;
};

constexpr std::array<CodePattern, 81> makePatterns() {
  std::array<CodePattern, 81> patterns{};
  for (int index = 0; index < 81; ++index) {
    const std::int8_t codes[4] = {
        static_cast<std::int8_t>(index % 3 - 1), static_cast<std::int8_t>(index / 3 % 3 - 1),
        static_cast<std::int8_t>(index / 9 % 3 - 1), static_cast<std::int8_t>(index / 27 - 1)};
    const SignedSum sum = tableEntry(codes);
    CodePattern& pattern = patterns[index];
    pattern = {static_cast<std::uint8_t>(sum.index), static_cast<std::int8_t>(sum.sign), 0, 0};
    for (const std::int8_t code : codes) {
      if (code > 0) ++pattern.positive;
      if (code < 0) ++pattern.negative;
    }
  }
  return patterns;
}

constexpr std::array<CodePattern, 81> kPatterns = makePatterns();

const CodePattern& patternOf(const int (&codes)[4]) {
  return kPatterns[codes[0] + 3 * codes[1] + 9 * codes[2] + 27 * codes[3] + 40];
}

// Words in memory that grows.
class Words {
 public:
  // Makes room for `more` words; false where memory is out.
  bool reserve(std::size_t more) {
    if (count_ + more <= capacity_) return true;
    return resize(std::max(count_ + more, capacity_ + capacity_ / 4));
  }
  void put(std::uint32_t word) { data()[count_++] = word; }
  std::uint32_t& operator[](std::size_t at) { return data()[at]; }
  std::size_t count() const { return count_; }
  // The words, in memory that is not much larger; empty where memory is out.
  AlignedBuffer take() {
    if (capacity_ > count_ + count_ / 16 && !resize(count_)) return {};
    return std::move(buffer_);
  }

 private:
  std::uint32_t* data() { return reinterpret_cast<std::uint32_t*>(buffer_.data()); }
  bool resize(std::size_t capacity) {
    AlignedBuffer larger(capacity * sizeof(std::uint32_t));
    if (!larger.data()) return false;
    if (count_ > 0) std::memcpy(larger.data(), buffer_.data(), count_ * sizeof(std::uint32_t));
    buffer_ = std::move(larger);
    capacity_ = capacity;
    return true;
  }

  AlignedBuffer buffer_;
  std::size_t count_ = 0, capacity_ = 0;
};

std::uint32_t scalePair(int first, int second) {
  return static_cast<std::uint16_t>(first) | std::uint32_t{static_cast<std::uint16_t>(second)} << 16;
}

class Packer {
 public:
  // room: twice the most look-ups of one filter in one list.
  Packer(const ConvTask& task, const TernaryWeights& weights, const G4Layout& layout, std::span<LookUp> room)
      : task_(task),
        weights_(weights),
        layout_(layout),
        channels_(task.channelsPerGroup()),
        scales_per_filter_(scalesPerFilter(channels_, task.taps(), weights.group_size)),
        look_ups_(room.data()),
        sorted_(room.data() + room.size() / 2) {}

  G4Mode chooseMode();
  AlignedBuffer pack(G4Mode mode);

 private:
  std::size_t collect(int filter, int block, int kernel_row);
  void collectGroup(const TernaryPlane& plane, int filter, int tap, int channel, std::uint32_t table_offset,
                    std::size_t& count);
  void collectMixedGroup(const int (&codes)[4], int (&scales)[4], std::uint32_t table_offset,
                         std::size_t& count);
  void addLookUp(const int (&codes)[4], int scale, std::uint32_t table_offset, std::size_t& count);
  std::span<const LookUp> gatherScales(std::size_t count);
  std::size_t segmentEnd(std::span<const LookUp> look_ups, std::size_t begin) const;
  void writeSingles(std::span<const LookUp> look_ups, Words& words) const;
  void writeSegments(std::span<const LookUp> look_ups, Words& words) const;

  const ConvTask& task_;
  const TernaryWeights& weights_;
  const G4Layout& layout_;
  int channels_;
  int scales_per_filter_;
  LookUp* look_ups_;
  LookUp* sorted_;
};

void Packer::addLookUp(const int (&codes)[4], int scale, std::uint32_t table_offset, std::size_t& count) {
  const CodePattern& pattern = patternOf(codes);
  if (pattern.sign == 0 || scale == 0) return;
  const auto entry = static_cast<std::uint32_t>(pattern.entry * layout_.entry_vectors * 16);
  look_ups_[count++] = {table_offset + entry, static_cast<std::uint8_t>(scale), pattern.sign,
                        pattern.positive, pattern.negative};
}

// Codes whose scales differ become look-ups of their own in the same table.
void Packer::collectMixedGroup(const int (&codes)[4], int (&scales)[4], std::uint32_t table_offset,
                               std::size_t& count) {
  for (int i = 0; i < 4; ++i) {
    if (codes[i] == 0 || scales[i] == 0) continue;
    const int scale = scales[i];
    int masked[4] = {0, 0, 0, 0};
    for (int j = i; j < 4; ++j) {
      if (scales[j] != scale) continue;
      masked[j] = codes[j];
      scales[j] = 0;
    }
    addLookUp(masked, scale, table_offset, count);
  }
}

// The look-ups of 4 channels at one tap.
void Packer::collectGroup(const TernaryPlane& plane, int filter, int tap, int channel,
                          std::uint32_t table_offset, std::size_t& count) {
  const int present = std::min(4, channels_ - channel), group_size = weights_.group_size;
  const std::int8_t* from =
      &plane.codes[(static_cast<std::size_t>(filter) * task_.taps() + tap) * channels_ + channel];
  int codes[4] = {0, 0, 0, 0};
  for (int i = 0; i < present; ++i) codes[i] = from[i];
  const std::uint8_t* scales_from = &plane.scales[static_cast<std::size_t>(filter) * scales_per_filter_];
  if (group_size % 4 == 0 && plane.negative_scales.empty()) {  // kWholeFilter too
    addLookUp(codes, scales_from[scaleIndex(channel, tap, channels_, group_size)], table_offset, count);
    return;
  }
  int scales[4] = {0, 0, 0, 0};
  for (int i = 0; i < present; ++i) {
    const int index = scaleIndex(channel + i, tap, channels_, group_size);
    const bool negative = codes[i] < 0 && !plane.negative_scales.empty();
    scales[i] = negative
                    ? plane.negative_scales[static_cast<std::size_t>(filter) * scales_per_filter_ + index]
                    : scales_from[index];
  }
  collectMixedGroup(codes, scales, table_offset, count);
}

// The look-ups of a filter in one list, in look_ups_; returns their number.
std::size_t Packer::collect(int filter, int block, int kernel_row) {
  const Window& window = task_.window;
  const int first_group = block * layout_.groups_per_block;
  const int end_group = std::min(layout_.groups, first_group + layout_.groups_per_block);
  std::size_t count = 0;
  for (int s = 0; s < window.kernel_w; ++s) {
    const int column = s * window.dilation_w;
    const int vector =
        column % window.stride_w * (layout_.tile_width + layout_.halo) + column / window.stride_w;
    for (const TernaryPlane& plane : weights_.planes) {
      for (int group = first_group; group < end_group; ++group) {
        const int table = (group - first_group) * kTableEntries * layout_.entry_vectors;
        collectGroup(plane, filter, kernel_row * window.kernel_w + s, group * 4,
                     static_cast<std::uint32_t>(table + vector) * 16, count);
      }
    }
  }
  return count;
}

// The look-ups with those of one scale together (a counting sort).
std::span<const LookUp> Packer::gatherScales(std::size_t count) {
  const auto smaller = [](const LookUp& a, const LookUp& b) { return a.scale < b.scale; };
  if (std::is_sorted(look_ups_, look_ups_ + count, smaller)) return {look_ups_, count};
  std::size_t begin[256] = {};
  for (std::size_t i = 0; i < count; ++i) ++begin[look_ups_[i].scale];
  std::size_t before = 0;
  for (std::size_t& at : begin) before += std::exchange(at, before);
  for (std::size_t i = 0; i < count; ++i) sorted_[begin[look_ups_[i].scale]++] = look_ups_[i];
  return {sorted_, count};
}

void Packer::writeSingles(std::span<const LookUp> look_ups, Words& words) const {
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
std::size_t Packer::segmentEnd(std::span<const LookUp> look_ups, std::size_t begin) const {
  const int limit = 32767 / std::max(1, task_.input_max);
  int positive = 0, negative = 0;
  std::size_t end = begin;
  for (; end < look_ups.size() && end - begin < kMostEntries; ++end) {
    positive += look_ups[end].positive;
    negative += look_ups[end].negative;
    if (look_ups[end].scale != look_ups[begin].scale || positive > limit || negative > limit) break;
  }
  return end;
}

void Packer::writeSegments(std::span<const LookUp> look_ups, Words& words) const {
  const std::size_t pairs_at = words.count();
  words.put(0);
  std::uint32_t segments = 0;
  std::size_t scales_at = 0;
  for (std::size_t begin = 0, end; begin < look_ups.size(); begin = end, ++segments) {
    end = segmentEnd(look_ups, begin);
    const std::span<const LookUp> segment = look_ups.subspan(begin, end - begin);
    const auto positive = [](const LookUp& look_up) { return look_up.sign > 0; };
    auto added = static_cast<std::uint32_t>(std::count_if(segment.begin(), segment.end(), positive));
    const int sign = added > 0 ? 1 : -1;  // so that there is an entry to add
    if (sign < 0) added = static_cast<std::uint32_t>(segment.size());
    if (segments % 2 == 0) {
      scales_at = words.count();
      words.put(0);
      words.put(0);
    }
    const std::uint32_t shift = segments % 2 * 16;
    const auto scale = static_cast<std::uint16_t>(sign * segment[0].scale);
    words[scales_at] |= std::uint32_t{scale} << shift;
    words[scales_at + 1] |= (added | (static_cast<std::uint32_t>(segment.size()) - added) << 8) << shift;
    for (const int wanted : {sign, -sign}) {
      for (const LookUp& look_up : segment) {
        if (look_up.sign == wanted) words.put(look_up.offset);
      }
    }
  }
  words[pairs_at] = (segments + 1) / 2;
}

// The inner loops need about 4 operations for a single, 2 for an entry of a segment and 8 more for a segment.
// A few filters of the first list show how long segments are.
G4Mode Packer::chooseMode() {
  std::size_t look_ups = 0, segments = 0;
  for (int filter = 0; filter < std::min(16, task_.filtersPerGroup()); ++filter) {
    const std::span<const LookUp> gathered = gatherScales(collect(filter, 0, 0));
    look_ups += gathered.size();
    for (std::size_t at = 0; at < gathered.size(); at = segmentEnd(gathered, at)) ++segments;
  }
  return segments * 8 > look_ups * 2 ? G4Mode::kSingles : G4Mode::kSegments;
}

AlignedBuffer Packer::pack(G4Mode mode) {
  const std::size_t lists = g4ListIndex(layout_, task_, task_.groups, 0, 0, 0);
  const std::size_t look_ups = task_.out.channels * static_cast<std::size_t>(task_.taps()) * layout_.groups;
  Words words;
  const std::size_t likely = mode == G4Mode::kSingles ? look_ups * 3 / 2 : look_ups;
  if (!words.reserve(lists + likely * weights_.planes.size() + task_.out.channels)) return {};
  for (std::size_t i = 0; i < lists; ++i) words.put(0);
  words[0] = static_cast<std::uint32_t>(mode);
  for (int group = 0; group < task_.groups; ++group) {
    for (int block = 0; block < layout_.blocks; ++block) {
      for (int r = 0; r < task_.window.kernel_h; ++r) {
        for (int k = 0; k < task_.filtersPerGroup(); ++k) {
          if (k % kSliceFilters == 0) {
            words[g4ListIndex(layout_, task_, group, block, r, k / kSliceFilters)] =
                static_cast<std::uint32_t>(words.count());
          }
          const std::size_t count = collect(group * task_.filtersPerGroup() + k, block, r);
          if (!words.reserve(2 * count + 4)) return {};
          if (mode == G4Mode::kSingles) {
            writeSingles({look_ups_, count}, words);
          } else {
            writeSegments(gatherScales(count), words);
          }
        }
      }
    }
  }
  if (!words.reserve(kReadAhead)) return {};
  for (std::size_t i = 0; i < kReadAhead; ++i) words.put(0);
  return words.take();
}

}  // namespace

AlignedBuffer packG4(const ConvTask& task, const TernaryWeights& weights) {
  const G4Layout layout = g4Layout(task);
  // Four codes have at most four scales.
  const std::size_t most = weights.planes.size() * 4 * task.window.kernel_w * layout.groups_per_block;
  AlignedBuffer room(2 * most * sizeof(LookUp));
  if (!room.data()) return {};
  Packer packer(task, weights, layout, {reinterpret_cast<LookUp*>(room.data()), 2 * most});
  return packer.pack(packer.chooseMode());
}

}  // namespace trefoil
