#include "kernels/ternary_conv/sums_lists.h"

#include <array>
#include <cstring>
#include <span>

#include "kernels/ternary_conv/kernels.h"
#include "kernels/ternary_conv/sums_runs.h"
#include "kernels/ternary_conv/sums_stretches.h"
#include "kernels/ternary_conv/sums_table.h"

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

const std::array<CodePattern, 81>& patternsOf(const SumKind& kind) {
  if (kind.bytes()) return kind.depth == 4 ? kCodePatterns<4, true> : kCodePatterns<3, true>;
  return kind.depth == 4 ? kCodePatterns<4, false> : kCodePatterns<3, false>;
}

std::uint32_t scalePair(int first, int second) {
  return static_cast<std::uint16_t>(first) | std::uint32_t{static_cast<std::uint16_t>(second)} << 16;
}

// A layout's group of channels, without the divisions that find it.
struct Group {
  int channel, count;
  int scale;           // index of the first channel's within a tap
  std::uint32_t mask;  // of the codes' bytes
  bool one_scale;      // of all channels, were scales not two-sided
};

class Packer {
 public:
  // room: twice the most look-ups of one filter in one list; groups: those of the layout.
  Packer(const ConvTask& task, const TernaryWeights& weights, const SumKind& kind, const SumLayout& layout,
         std::span<LookUp> room, std::span<Group> groups)
      : task_(task),
        weights_(weights),
        bytes_(kind.bytes()),
        layout_(layout),
        patterns_(patternsOf(kind)),
        channels_(task.channelsPerGroup()),
        scales_per_filter_(scalesPerFilter(channels_, task.taps(), weights.group_size)),
        scales_per_tap_(weights.group_size == kWholeFilter ? 0 : scalesPerTap(channels_, weights.group_size)),
        groups_(groups),
        look_ups_(room.data()),
        sorted_(room.data() + room.size() / 2),
        in_stretches_(StretchPacker::fits(weights, kind)),
        stretches_(task, weights, layout),
        runs_(static_cast<std::uint32_t>(layout.zeroEntry()), layout.tile_width) {
    for (int i = 0; i < layout.groups; ++i) {
      const int channel = layout.firstChannel(i), size = weights.group_size;
      const int count = std::min(layout.endChannel(i), channels_) - channel;
      const bool one_scale = size == kWholeFilter || channel / size == (channel + count - 1) / size;
      groups[static_cast<std::size_t>(i)] = {channel, count, scaleIndex(channel, 0, channels_, size),
                                             0xffffffffU >> 8 * (4 - count), one_scale};
    }
    for (int index = 0; index < (layout.depth == 4 ? 81 : 27); ++index) {
      std::uint32_t word = 0;
      for (int i = 0, rest = index; i < layout.depth; ++i, rest /= 3) {
        word |= static_cast<std::uint32_t>((rest % 3 - 1) & 0xff) << 8 * i;
      }
      patterns_by_bits_[sum_table::codeBits(word)] = patterns_[static_cast<std::size_t>(index)];
    }
  }

  SumMode chooseMode();
  AlignedBuffer pack(SumMode mode);

 private:
  std::size_t collect(int filter, int block, int kernel_row);
  void collectGroup(const TernaryPlane& plane, int filter, int tap, const Group& group,
                    std::uint32_t table_offset, std::size_t& count);
  void collectMixedGroup(const int (&codes)[4], int (&scales)[4], std::uint32_t table_offset,
                         std::size_t& count);
  void addLookUp(const int (&codes)[4], int scale, std::uint32_t table_offset, std::size_t& count);
  void addWord(const std::int8_t* codes, std::uint32_t mask, std::uint8_t scale, std::uint32_t table_offset,
               std::size_t& count);
  std::span<const LookUp> gatherScales(std::size_t count);
  std::size_t segmentEnd(std::span<const LookUp> look_ups, std::size_t begin) const;
  bool packList(SumMode mode, int first_filter, int filters, int block, int kernel_row);
  bool packStretches(int first_filter, int filters, int block, int kernel_row);
  void writeSingles(std::span<const LookUp> look_ups);
  void addItems16(std::span<const LookUp> look_ups, std::uint32_t filter);
  bool addItems8(std::span<const LookUp> look_ups, std::uint32_t filter);
  bool cutIntoChunks(std::span<const LookUp> look_ups);

  // A sum that fits into 8 bits whatever the inputs are: offsets_[begin..] with one scale.
  struct Chunk {
    std::uint32_t begin;
    std::uint16_t count;
    std::uint8_t scale;
  };

  const ConvTask& task_;
  const TernaryWeights& weights_;
  const bool bytes_;
  const SumLayout& layout_;
  const std::array<CodePattern, 81>& patterns_;
  std::array<CodePattern, 256> patterns_by_bits_{};  // see sum_table::codeBits()
  int channels_;
  int scales_per_filter_;
  int scales_per_tap_;  // 0 of a whole filter
  std::span<const Group> groups_;
  LookUp* look_ups_;
  LookUp* sorted_;
  std::uint32_t scale_turn_[256] = {};   // when gatherScales() last saw a scale
  std::uint32_t scale_begin_[256] = {};  // where it puts the scale's look-ups
  std::uint32_t turn_ = 0;
  const bool in_stretches_;
  StretchPacker stretches_;
  RunWriter runs_;
  GrowingArray<Chunk> chunks_;
  GrowingArray<std::uint32_t> chunk_offsets_, by_codes_;
  std::size_t likely_words_ = 0;
  GrowingArray<std::uint32_t> words_;
};

void Packer::addLookUp(const int (&codes)[4], int scale, std::uint32_t table_offset, std::size_t& count) {
  const int index = codes[0] + 3 * codes[1] + 9 * codes[2] + 27 * codes[3] + (layout_.depth == 4 ? 40 : 13);
  const CodePattern& pattern = patterns_[index];
  if (pattern.sign == 0 || scale == 0) return;
  look_ups_[count++] = {table_offset + pattern.entry * static_cast<std::uint32_t>(layout_.entryBytes()),
                        static_cast<std::uint8_t>(scale), pattern.sign, pattern.positive, pattern.negative};
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

// The look-ups of a group of channels at one tap.
void Packer::collectGroup(const TernaryPlane& plane, int filter, int tap, const Group& group,
                          std::uint32_t table_offset, std::size_t& count) {
  const std::int8_t* from =
      &plane.codes[(static_cast<std::size_t>(filter) * task_.taps() + tap) * channels_ + group.channel];
  int codes[4] = {0, 0, 0, 0};
  for (int i = 0; i < group.count; ++i) codes[i] = from[i];
  const std::size_t filter_scales = static_cast<std::size_t>(filter) * scales_per_filter_;
  if (group.one_scale && plane.negative_scales.empty()) {
    const int scale = plane.scales[filter_scales + tap * scales_per_tap_ + group.scale];
    addLookUp(codes, scale, table_offset, count);
    return;
  }
  int scales[4] = {0, 0, 0, 0};
  for (int i = 0; i < group.count; ++i) {
    const std::size_t index =
        filter_scales + scaleIndex(group.channel + i, tap, channels_, weights_.group_size);
    const bool negative = codes[i] < 0 && !plane.negative_scales.empty();
    scales[i] = (negative ? plane.negative_scales : plane.scales)[index];
  }
  collectMixedGroup(codes, scales, table_offset, count);
}

// addLookUp() of codes as they lie in memory.
inline void Packer::addWord(const std::int8_t* codes, std::uint32_t mask, std::uint8_t scale,
                            std::uint32_t table_offset, std::size_t& count) {
  std::uint32_t word;
  std::memcpy(&word, codes, sizeof(word));
  const CodePattern& pattern = patterns_by_bits_[sum_table::codeBits(word & mask)];
  if (pattern.sign == 0 || scale == 0) return;
  look_ups_[count++] = {table_offset + pattern.entry * static_cast<std::uint32_t>(layout_.entryBytes()),
                        scale, pattern.sign, pattern.positive, pattern.negative};
}

// The look-ups of a filter in one list, in look_ups_; returns their number.
std::size_t Packer::collect(int filter, int block, int kernel_row) {
  const Window& window = task_.window;
  const int first_group = block * layout_.groups_per_block;
  const int end_group = std::min(layout_.groups, first_group + layout_.groups_per_block);
  std::size_t count = 0;
  for (int s = 0; s < window.kernel_w; ++s) {
    const int column = s * window.dilation_w, tap = kernel_row * window.kernel_w + s;
    const int vector =
        column % window.stride_w * (layout_.tile_width + layout_.halo) + column / window.stride_w;
    for (const TernaryPlane& plane : weights_.planes) {
      const std::size_t first = (static_cast<std::size_t>(filter) * task_.taps() + tap) * channels_;
      const std::uint8_t* scales =
          plane.scales.data() + static_cast<std::size_t>(filter) * scales_per_filter_ + tap * scales_per_tap_;
      for (int i = first_group; i < end_group; ++i) {
        const Group& group = groups_[static_cast<std::size_t>(i)];
        const int table = (i - first_group) * layout_.entries * layout_.entry_vectors;
        const auto offset = static_cast<std::uint32_t>(table + vector) * 16;
        // Nearly all groups are of this kind. What is read beyond a group is masked away.
        if (group.one_scale && plane.negative_scales.empty() &&
            first + group.channel + 4 <= plane.codes.size()) {
          addWord(&plane.codes[first + group.channel], group.mask, scales[group.scale], offset, count);
        } else {
          collectGroup(plane, filter, tap, group, offset, count);
        }
      }
    }
  }
  return count;
}

// The look-ups with those of one scale together, scales in the order of their appearance (a counting sort).
std::span<const LookUp> Packer::gatherScales(std::size_t count) {
  std::uint8_t scales[256];
  std::size_t distinct = 0;
  ++turn_;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t scale = look_ups_[i].scale;
    if (scale_turn_[scale] != turn_) {
      scale_turn_[scale] = turn_;
      scale_begin_[scale] = 0;
      scales[distinct++] = scale;
    }
    ++scale_begin_[scale];
  }
  if (distinct <= 1) return {look_ups_, count};
  std::uint32_t before = 0;
  for (std::size_t i = 0; i < distinct; ++i) before += std::exchange(scale_begin_[scales[i]], before);
  for (std::size_t i = 0; i < count; ++i) sorted_[scale_begin_[look_ups_[i].scale]++] = look_ups_[i];
  return {sorted_, count};
}

void Packer::writeSingles(std::span<const LookUp> look_ups) {
  words_.put(static_cast<std::uint32_t>((look_ups.size() + 1) / 2));
  for (std::size_t i = 0; i < look_ups.size(); i += 2) {
    const LookUp& first = look_ups[i];
    const bool paired = i + 1 < look_ups.size();
    const LookUp& second = look_ups[paired ? i + 1 : i];
    words_.put(first.offset);
    words_.put(second.offset);
    words_.put(scalePair(first.sign * first.scale, paired ? second.sign * second.scale : 0));
  }
}

// Segments gather the look-ups of one scale; of 16-bit sums, as many as can be summed whatever the inputs
// are.
std::size_t Packer::segmentEnd(std::span<const LookUp> look_ups, std::size_t begin) const {
  const int limit = 32767 / std::max(1, task_.input_max);
  int positive = 0, negative = 0;
  std::size_t end = begin;
  for (; end < look_ups.size(); ++end) {
    if (look_ups[end].scale != look_ups[begin].scale) break;
    positive += look_ups[end].positive;
    negative += look_ups[end].negative;
    if (!bytes_ && (positive > limit || negative > limit)) break;
  }
  return end;
}

void Packer::addItems16(std::span<const LookUp> look_ups, std::uint32_t filter) {
  for (std::size_t begin = 0, end; begin < look_ups.size(); begin = end) {
    end = segmentEnd(look_ups, begin);
    const std::span<const LookUp> segment = look_ups.subspan(begin, end - begin);
    const auto added = static_cast<std::size_t>(
        std::count_if(segment.begin(), segment.end(), [](const LookUp& l) { return l.sign > 0; }));
    // With a negative scale where more entries are subtracted there are fewer kinds of items.
    const std::size_t subtracted = segment.size() - added;
    const bool negate = subtracted > added;
    const auto scale = static_cast<std::uint16_t>(negate ? -segment[0].scale : segment[0].scale);
    std::uint32_t* to =
        runs_.put(filter << 16 | scale, std::max(added, subtracted), std::min(added, subtracted));
    // Which of both it is can't be predicted, hence without a branch.
    std::uint32_t* ends[2] = {to + (negate ? subtracted : 0), to + (negate ? 0 : added)};
    for (const LookUp& look_up : segment) *ends[look_up.sign < 0]++ = look_up.offset;
  }
}

// Fills chunk after chunk, each time with the look-ups of most codes that fit.
bool Packer::cutIntoChunks(std::span<const LookUp> look_ups) {
  const auto codes_of = [](const LookUp& look_up) { return look_up.positive + look_up.negative; };
  std::size_t next[5] = {}, end[5] = {};  // of the look-ups of as many codes, in by_codes_
  for (const LookUp& look_up : look_ups) ++end[codes_of(look_up)];
  for (int codes = 1; codes <= 4; ++codes) {
    next[codes] = end[codes - 1];
    end[codes] += next[codes];
  }
  by_codes_.clear();
  if (!by_codes_.reserve(look_ups.size()) || !chunk_offsets_.reserve(look_ups.size())) return false;
  std::size_t at[5];
  std::copy_n(next, 5, at);
  for (const LookUp& look_up : look_ups) by_codes_[at[codes_of(look_up)]++] = look_up.offset;
  for (std::size_t remaining = look_ups.size(); remaining > 0;) {
    const std::size_t begin = chunk_offsets_.count();
    std::size_t room = static_cast<std::size_t>(kChunkLimit / task_.input_max);
    for (int codes = 4; codes > 0; --codes) {
      const std::size_t taken = std::min(end[codes] - next[codes], room / codes);
      std::copy_n(by_codes_.data() + next[codes], taken, chunk_offsets_.extend(taken));
      next[codes] += taken;
      room -= taken * codes;
    }
    const std::size_t count = chunk_offsets_.count() - begin;
    if (!chunks_.reserve(1)) return false;
    chunks_.put({static_cast<std::uint32_t>(begin), static_cast<std::uint16_t>(count), look_ups[0].scale});
    remaining -= count;
  }
  return true;
}

bool Packer::addItems8(std::span<const LookUp> look_ups, std::uint32_t filter) {
  chunks_.clear();
  chunk_offsets_.clear();
  for (std::size_t begin = 0, end; begin < look_ups.size(); begin = end) {
    end = segmentEnd(look_ups, begin);
    if (!cutIntoChunks(look_ups.subspan(begin, end - begin))) return false;
  }
  // Chunks of like numbers make pairs. They are few; a heap takes a fifth of std::sort's code.
  const auto before = [](const Chunk& a, const Chunk& b) {
    return a.count != b.count ? a.count > b.count : a.begin < b.begin;
  };
  std::make_heap(chunks_.data(), chunks_.data() + chunks_.count(), before);
  std::sort_heap(chunks_.data(), chunks_.data() + chunks_.count(), before);
  if (!runs_.reserve(chunks_.count(), chunk_offsets_.count())) return false;
  for (std::size_t i = 0; i < chunks_.count(); i += 2) {
    const Chunk& first = chunks_[i];
    const Chunk second = i + 1 < chunks_.count() ? chunks_[i + 1] : Chunk{};
    std::uint32_t* to =
        runs_.put(filter << 16 | std::uint32_t{second.scale} << 8 | first.scale, first.count, second.count);
    to = std::copy_n(&chunk_offsets_[first.begin], first.count, to);
    std::copy_n(&chunk_offsets_[second.begin], second.count, to);
  }
  return true;
}

// The inner loops need about 4 operations for a single, 2 for an entry of a segment and 8 more for a segment.
// Some filters of the first list show how long segments are, and how many words there will be.
SumMode Packer::chooseMode() {
  constexpr int kSamples = 32;
  const int filters = task_.filtersPerGroup(), step = (filters + kSamples - 1) / kSamples;
  std::size_t look_ups = 0, segments = 0;
  for (int filter = 0; filter < filters; filter += step) {
    const std::span<const LookUp> gathered = gatherScales(collect(filter, 0, 0));
    look_ups += gathered.size();
    for (std::size_t at = 0; at < gathered.size(); at = segmentEnd(gathered, at)) ++segments;
  }
  const bool singles = !bytes_ && segments * 8 > look_ups * 2;
  const std::size_t sampled = static_cast<std::size_t>((filters + step - 1) / step) *
                              std::min(layout_.groups, layout_.groups_per_block) * task_.window.kernel_w;
  const std::size_t all = static_cast<std::size_t>(task_.out.channels) * task_.taps() * layout_.groups;
  // Runs need a word for a segment's head, and about as many for what fills it up.
  const double words = singles ? 1.5 * static_cast<double>(look_ups)
                               : static_cast<double>(look_ups) + 1.5 * static_cast<double>(segments);
  likely_words_ =
      static_cast<std::size_t>(words * 1.02 * static_cast<double>(all) / static_cast<double>(sampled));
  return singles ? SumMode::kSingles : SumMode::kRuns;
}

bool Packer::packStretches(int first_filter, int filters, int block, int kernel_row) {
  if (!stretches_.begin(block, kernel_row, filters, runs_)) return false;
  for (int i = 0; i < filters; ++i) {
    if (!stretches_.add(first_filter + i, static_cast<std::uint32_t>(i), runs_)) return false;
  }
  return runs_.write(words_);
}

// Appends the list of `filters` filters from first_filter on.
bool Packer::packList(SumMode mode, int first_filter, int filters, int block, int kernel_row) {
  runs_.clear();
  if (mode == SumMode::kRuns && in_stretches_) {
    return packStretches(first_filter, filters, block, kernel_row);
  }
  for (int i = 0; i < filters; ++i) {
    const int filter = first_filter + i;
    const std::size_t count = collect(filter, block, kernel_row);
    if (mode == SumMode::kSingles) {
      if (!words_.reserve(2 * count + 4)) return false;
      writeSingles({look_ups_, count});
      continue;
    }
    const std::span<const LookUp> look_ups = gatherScales(count);
    if (bytes_) {
      // What the table's sums have too much because -x is input_max - x.
      std::uint32_t constant = 0;
      for (const LookUp& l : look_ups) {
        constant -= std::uint32_t{l.scale} * l.negative * static_cast<std::uint32_t>(task_.input_max);
      }
      words_[1 + static_cast<std::size_t>(filter)] += constant;
      if (!addItems8(look_ups, static_cast<std::uint32_t>(i))) return false;
    } else {
      if (!runs_.reserve(count, count)) return false;
      addItems16(look_ups, static_cast<std::uint32_t>(i));
    }
  }
  return mode == SumMode::kSingles || runs_.write(words_);
}

AlignedBuffer Packer::pack(SumMode mode) {
  const std::size_t lists = sumListIndex(layout_, task_, task_.groups, 0, 0, 0);
  if (!words_.reserve(lists + likely_words_)) return {};
  for (std::size_t i = 0; i < lists; ++i) words_.put(0);
  words_[0] = static_cast<std::uint32_t>(mode);
  for (int group = 0; group < task_.groups; ++group) {
    for (int block = 0; block < layout_.blocks; ++block) {
      for (int r = 0; r < task_.window.kernel_h; ++r) {
        for (int slice = 0; slice < layout_.slices; ++slice) {
          words_[sumListIndex(layout_, task_, group, block, r, slice)] =
              static_cast<std::uint32_t>(words_.count());
          const int first = slice * layout_.slice_filters;
          const int filters = std::min(layout_.slice_filters, task_.filtersPerGroup() - first);
          if (!packList(mode, group * task_.filtersPerGroup() + first, filters, block, r)) return {};
        }
      }
    }
  }
  if (!words_.reserve(kReadAhead)) return {};
  for (std::size_t i = 0; i < kReadAhead; ++i) words_.put(0);
  return words_.take();
}

int levelsOf(const std::uint8_t* scales, int count, bool (&seen)[256]) {
  int levels = 0;
  for (int i = 0; i < count; ++i) levels += scales[i] != 0 && !std::exchange(seen[scales[i]], true);
  return levels;
}

}  // namespace

// The first filter speaks for all.
bool scalesAreShared(const ConvTask& task, const TernaryWeights& weights, const SumKind& kind) {
  constexpr int kFewest = 4;  // look-ups of a scale in a list
  if (weights.group_size == kWholeFilter || weights.group_size >= kFewest * kind.depth) return true;
  if (kind.depth == 3) return false;  // 3 channels would often have two scales
  const int channels = task.channelsPerGroup();
  bool seen[256] = {};
  int levels = 0;
  for (const TernaryPlane& plane : weights.planes) {
    const int count = scalesPerFilter(channels, task.taps(), weights.group_size);
    levels += levelsOf(plane.scales.data(), count, seen);
    if (!plane.negative_scales.empty()) levels += levelsOf(plane.negative_scales.data(), count, seen);
  }
  const int listed = std::min(channels, kChannelUnit) * task.window.kernel_w;
  return static_cast<std::int64_t>(weights.planes.size()) * listed >= std::int64_t{kFewest} * 4 * levels;
}

AlignedBuffer packSums(const ConvTask& task, const TernaryWeights& weights, const SumKind& kind) {
  const SumLayout layout = sumLayout(task, kind);
  // Four codes have at most four scales.
  const std::size_t most = weights.planes.size() * 4 * task.window.kernel_w * layout.groups_per_block;
  AlignedBuffer room(2 * most * sizeof(LookUp)), groups(layout.groups * sizeof(Group));
  if (!room.data() || !groups.data()) return {};
  Packer packer(task, weights, kind, layout, {reinterpret_cast<LookUp*>(room.data()), 2 * most},
                {reinterpret_cast<Group*>(groups.data()), static_cast<std::size_t>(layout.groups)});
  return packer.pack(packer.chooseMode());
}

}  // namespace trefoil
