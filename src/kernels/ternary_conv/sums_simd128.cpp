// Sum tables: for each 3 or 4 consecutive input channels, all signed sums of a tile of pixels are computed
// once; then as many weights of a filter cost one load and one addition, whatever their codes are. Groups of
// any size, codebooks, whole-filter scales, two-sided scales and a second plane only change the lists of
// entries.
#include <algorithm>
#include <cstring>

#include "kernels/conv_geometry.h"
#include "kernels/requantize.h"
#include "kernels/ternary_conv/kernels.h"
#include "kernels/ternary_conv/sums_lists.h"
#include "kernels/ternary_conv/sums_loops.h"
#include "kernels/ternary_conv/sums_pixels.h"
#include "kernels/ternary_conv/sums_table.h"

namespace trefoil {
namespace {

constexpr int kMostEntryVectors = 256;  // a limit for absurd kernels and strides
constexpr int kMostSingles = 5;         // vectors whose accumulators fit into registers

constexpr std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

// The parts of the scratch memory, which begins with the table.
struct Scratch {
  std::size_t zero_entry, zeros, accumulators, packed, lines, end;
};

// In accumulators.
std::size_t filterStride(const SumLayout& layout) {
  return static_cast<std::size_t>(layout.tile_width) * layout.lanes;
}

bool inOnePass(const ConvTask& task, const SumLayout& layout) {
  return layout.blocks == 1 && task.window.kernel_h == 1;
}

Scratch scratchParts(const ConvTask& task, const SumLayout& layout) {
  const std::size_t filters = inOnePass(task, layout) ? layout.slice_filters : task.filtersPerGroup();
  Scratch parts{};
  parts.zero_entry = layout.zeroEntry();
  parts.zeros = aligned(parts.zero_entry + layout.entryBytes());
  parts.accumulators =
      parts.zeros + aligned(static_cast<std::size_t>(layout.tile_width + layout.halo) * layout.lanes);
  // 16 pixels may be read where 8 are left.
  parts.packed =
      parts.accumulators + aligned(layout.ring * filters * filterStride(layout) * sizeof(std::int32_t) + 32);
  const std::size_t packed =
      sumsReadPlanes(task, layout) ? 0 : sumChannelStride(task, layout) * task.channelsPerGroup();
  parts.lines = parts.packed + aligned(packed + 128);  // packing may write a little further
  parts.end = parts.lines + sumLineBytes(task, layout);
  return parts;
}

using SumFunction = void (*)(const SumTask&, const std::uint32_t*);
constexpr SumFunction kSumSingles[] = {nullptr,       sumSingles<1>, sumSingles<2>,
                                       sumSingles<3>, sumSingles<4>, sumSingles<5>};
constexpr SumFunction kSumRuns16[] = {nullptr,      sumRuns16<1>, sumRuns16<2>, sumRuns16<3>, sumRuns16<4>,
                                      sumRuns16<5>, sumRuns16<6>, sumRuns16<7>, sumRuns16<8>};
constexpr SumFunction kSumRuns8[] = {nullptr,     sumRuns8<1>, sumRuns8<2>, sumRuns8<3>, sumRuns8<4>,
                                     sumRuns8<5>, sumRuns8<6>, sumRuns8<7>, sumRuns8<8>};
static_assert(std::size(kSumSingles) == kMostSingles + 1 && std::size(kSumRuns16) == kMaxTile + 1 &&
              std::size(kSumRuns8) == kMaxTile + 1);

void sumList(const SumKind& kind, SumMode mode, int width, SumTask task, const std::uint32_t* words) {
  if (mode == SumMode::kRuns) return (kind.bytes() ? kSumRuns8 : kSumRuns16)[width](task, words);
  if (width <= kMostSingles) return kSumSingles[width](task, words);
  const int first = (width + 1) / 2;
  kSumSingles[first](task, words);
  task.table += 16 * first;
  task.accumulators += 8 * first;
  kSumSingles[width - first](task, words);
}

// One group of the convolution.
class GroupRun {
 public:
  GroupRun(const ConvTask& task, const SumKind& kind, const SumLayout& layout, const AlignedBuffer& packed,
           int group, const std::uint8_t* source, void* output, std::uint8_t* scratch)
      : task_(task),
        kind_(kind),
        layout_(layout),
        packed_(packed),
        mode_(sumMode(packed)),
        order_(mode_ == SumMode::kRuns && !kind.bytes() ? PixelOrder::kEvenOdd : PixelOrder::kNatural),
        build_(kind.depth == 4 ? (kind.bytes() ? buildTable8<4> : buildTable16<4>)
                               : (kind.bytes() ? buildTable8<3> : buildTable16<3>)),
        group_(group),
        source_(source),
        channel_stride_(sumChannelStride(task, layout)),
        output_(output) {
    const Scratch parts = scratchParts(task, layout);
    table_ = scratch;
    accumulators_ = reinterpret_cast<std::int32_t*>(scratch + parts.accumulators);
    zeros_ = scratch + parts.zeros;
  }

  // Pieces begin..end - 1 of a tile (see SumLayout).
  void runTile(int tile, int begin, int end) {
    const bool banded = layout_.bands > 1;
    first_slice_ = banded ? 0 : begin;
    end_slice_ = banded ? layout_.slices : end;
    const int first_row = banded ? layout_.bandBegin(begin) : 0;
    const int end_row = banded ? layout_.bandBegin(end) : layout_.rows;
    const Window& window = task_.window;
    const int column = layout_.tileBegin(tile), width = layout_.tileBegin(tile + 1) - column;
    const int end_input = (end_row - 1) * window.stride_h + (window.kernel_h - 1) * window.dilation_h + 1;
    for (int input_row = first_row * window.stride_h; input_row < end_input; ++input_row) {
      for (int block = 0; block < layout_.blocks; ++block) {
        bool built = false;
        for (int r = 0; r < window.kernel_h; ++r) {
          const int above = input_row - r * window.dilation_h;
          if (above < 0 || above % window.stride_h != 0) continue;
          const int row = above / window.stride_h;
          if (row < first_row || row >= end_row) continue;
          if (!built) buildTables(input_row, column, width, block);
          built = true;
          sumRow({row, column, width}, block, r);
        }
      }
    }
  }

 private:
  void buildTables(int input_row, int column, int width, int block) {
    const int first = block * layout_.groups_per_block;
    const int end = std::min(layout_.groups, first + layout_.groups_per_block);
    const std::size_t entry_bytes = layout_.entryBytes();
    std::uint8_t* table = table_;
    for (int group = first; group < end; ++group, table += layout_.entries * entry_bytes) {
      const int first_channel = layout_.firstChannel(group);
      const int end_channel = std::min(layout_.endChannel(group), task_.channelsPerGroup());
      for (int phase = 0; phase < layout_.phases; ++phase) {
        const std::size_t row = static_cast<std::size_t>(phase) * layout_.input_rows + input_row;
        const std::size_t vector = row * layout_.rowVectors() + column;
        const std::uint8_t* channels[4];
        for (int i = 0; i < 4; ++i) {
          const int channel = first_channel + i;
          channels[i] =
              channel < end_channel ? source_ + channel * channel_stride_ + vector * layout_.lanes : zeros_;
        }
        build_(channels, width + layout_.halo, table + phase * (layout_.tile_width + layout_.halo) * 16,
               entry_bytes, task_.input_max);
      }
    }
  }

  void sumRow(const SumTile& tile, int block, int r) {
    const bool first = block == 0 && r == 0;
    const bool last = block == layout_.blocks - 1 && r == task_.window.kernel_h - 1;
    const bool kept = !(first && last);
    const std::size_t stride = filterStride(layout_);
    for (int slice = first_slice_; slice < end_slice_; ++slice) {
      const int begin = slice * layout_.slice_filters;
      const int filters = std::min(layout_.slice_filters, task_.filtersPerGroup() - begin);
      const int first_filter = group_ * task_.filtersPerGroup() + begin;
      std::int32_t* accumulators = accumulators_;
      if (kept) {
        const std::size_t row = tile.row % layout_.ring;
        accumulators += (row * task_.filtersPerGroup() + begin) * stride;
      }
      if (first) start(first_filter, filters, tile.width, accumulators);
      sumList(kind_, mode_, tile.width, {table_, accumulators, stride, filters},
              trefoil::sumList(packed_, sumListIndex(layout_, task_, group_, block, r, slice)));
      if (last) {
        writeSumOutput(task_, layout_, tile, order_, first_filter, filters, accumulators, stride, output_);
      }
    }
  }

  void start(int first_filter, int filters, int width, std::int32_t* accumulators) const {
    const std::uint32_t* const constants = sumConstants(packed_) + first_filter;
    for (int i = 0; i < filters; ++i, accumulators += filterStride(layout_)) {
      const v128_t value = wasm_i32x4_splat(
          static_cast<std::int32_t>(static_cast<std::uint32_t>(task_.bias[first_filter + i]) + constants[i]));
      for (int j = 0; j < width * layout_.lanes; j += 4) wasm_v128_store(accumulators + j, value);
    }
  }

  const ConvTask& task_;
  const SumKind& kind_;
  const SumLayout& layout_;
  const AlignedBuffer& packed_;
  SumMode mode_;
  PixelOrder order_;
  TableBuilder build_;
  int group_;
  int first_slice_ = 0, end_slice_ = 0;
  const std::uint8_t* source_;  // of the group's first channel
  std::size_t channel_stride_;
  void* output_;
  std::uint8_t* table_;
  std::int32_t* accumulators_;
  std::uint8_t* zeros_;
};

}  // namespace

// Tables have to earn their cost: by filters and taps that use them, and by channels that fill them.
bool sumsSupport(const ConvTask& task, const TernaryWeights& weights, const SumKind& kind) {
  const int taps = task.taps(), channels = task.channelsPerGroup();
  const bool worthwhile =
      std::int64_t{taps} * task.filtersPerGroup() >= 28 && (channels >= 4 || (channels == 3 && taps >= 25));
  if (!worthwhile || task.out.plane() <= 1 || !paddedCopyIsSmall(task) ||
      !(task.accumulators || requantizerSupports(task.factors))) {
    return false;
  }
  if (kind.bytes() && task.input_max > kMostInputBytes) return false;
  const bool small_groups = weights.group_size != kWholeFilter && weights.group_size <= kind.largest_group;
  if (kind.largest_group > 0 && !small_groups) return false;
  const bool any_scales = !kind.bytes() && kind.depth == 4 && kind.largest_group == 0;
  if (!any_scales && !scalesAreShared(task, weights, kind)) return false;
  return sumLayout(task, kind).entry_vectors <= kMostEntryVectors;
}

std::size_t sumScratchBytes(const ConvTask& task, const SumKind& kind) {
  return scratchParts(task, sumLayout(task, kind)).end;
}

void runSums(const ConvTask& task, const SumKind& kind, const AlignedBuffer& packed,
             const std::uint8_t* input, void* output, std::uint8_t* scratch, Part part) {
  const SumLayout layout = sumLayout(task, kind);
  const Scratch parts = scratchParts(task, layout);
  std::memset(scratch + parts.zero_entry, 0, parts.accumulators - parts.zero_entry);
  // A part is a run of pieces of tiles of groups, so that at most two tiles' tables are made elsewhere too.
  const std::size_t pieces = layout.pieces(), in_group = pieces * layout.tiles;
  const Part::Range share = part.of(in_group * task.groups);
  for (std::size_t at = share.begin; at < share.end;) {
    const int group = static_cast<int>(at / in_group);
    const std::size_t group_begin = group * in_group, end = std::min(share.end, group_begin + in_group);
    const std::uint8_t* source = input + group * task.channelsPerGroup() * planeStride(task.in);
    if (!sumsReadPlanes(task, layout)) {
      packSumInput(task, layout, group, input, scratch + parts.packed, scratch + parts.lines);
      source = scratch + parts.packed;
    }
    GroupRun run(task, kind, layout, packed, group, source, output, scratch);
    while (at < end) {
      const std::size_t tile = (at - group_begin) / pieces, tile_begin = group_begin + tile * pieces;
      const std::size_t tile_end = std::min(end, tile_begin + pieces);
      run.runTile(static_cast<int>(tile), static_cast<int>(at - tile_begin),
                  static_cast<int>(tile_end - tile_begin));
      at = tile_end;
    }
  }
}

}  // namespace trefoil
