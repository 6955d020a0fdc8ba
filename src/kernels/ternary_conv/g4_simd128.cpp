// Sum tables of 4 channels (G4): for each 4 consecutive input channels, all 40 signed sums of a tile of
// pixels are computed once; then 4 weights of a filter cost one load and one addition, whatever their codes
// are. Groups of any size, codebooks, whole-filter scales, two-sided scales and a second plane only change
// the lists of entries.
#include <algorithm>
#include <cstring>

#include "kernels/conv_geometry.h"
#include "kernels/requantize.h"
#include "kernels/ternary_conv/g4_lists.h"
#include "kernels/ternary_conv/g4_pixels.h"
#include "kernels/ternary_conv/g4_sums.h"
#include "kernels/ternary_conv/g4_table.h"
#include "kernels/ternary_conv/kernels.h"

namespace trefoil {
namespace {

// Filters whose accumulators are finished together, so that they are still in the first-level cache.
constexpr int kFiltersAtOnce = 8;
constexpr int kMostEntryVectors = 256;  // a limit for absurd kernels and strides
constexpr int kMostSingles = 5;         // vectors whose accumulators fit into registers

constexpr std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

// The parts of the scratch memory.
struct Scratch {
  std::size_t table, accumulators, zeros, packed, lines, end;
};

std::size_t filterStride(const G4Layout& layout) { return static_cast<std::size_t>(layout.tile_width) * 8; }

bool inOnePass(const ConvTask& task, const G4Layout& layout) {
  return layout.blocks == 1 && task.window.kernel_h == 1;
}

Scratch scratchParts(const ConvTask& task, const G4Layout& layout) {
  const std::size_t filters = inOnePass(task, layout) ? kFiltersAtOnce : task.filtersPerGroup();
  Scratch parts{};
  parts.accumulators = aligned(layout.tableBytes());
  parts.zeros =
      parts.accumulators + aligned(layout.ring * filters * filterStride(layout) * sizeof(std::int32_t));
  parts.packed = parts.zeros + aligned(static_cast<std::size_t>(layout.tile_width + layout.halo) * 8);
  const std::size_t packed =
      g4ReadsPlanes(task, layout) ? 0 : g4ChannelStride(task, layout) * task.channelsPerGroup();
  parts.lines = parts.packed + aligned(packed + 64);  // packing may write a little further
  parts.end = parts.lines + g4LineBytes(task, layout);
  return parts;
}

using SumFunction = const std::uint32_t* (*)(const SumTask&, const std::uint32_t*);
constexpr SumFunction kSumSingles[] = {nullptr,       sumSingles<1>, sumSingles<2>,
                                       sumSingles<3>, sumSingles<4>, sumSingles<5>};
constexpr SumFunction kSumSegments[] = {nullptr,        sumSegments<1>, sumSegments<2>,
                                        sumSegments<3>, sumSegments<4>, sumSegments<5>,
                                        sumSegments<6>, sumSegments<7>, sumSegments<8>};
static_assert(std::size(kSumSingles) == kMostSingles + 1 && std::size(kSumSegments) == kMaxTile + 1);

const std::uint32_t* sumTile(G4Mode mode, int width, SumTask task, const std::uint32_t* words) {
  if (mode == G4Mode::kSegments) return kSumSegments[width](task, words);
  if (width <= kMostSingles) return kSumSingles[width](task, words);
  const int first = (width + 1) / 2;
  kSumSingles[first](task, words);
  task.table += 16 * first;
  task.accumulators += 8 * first;
  return kSumSingles[width - first](task, words);
}

// One group of the convolution.
class GroupRun {
 public:
  GroupRun(const ConvTask& task, const G4Layout& layout, const AlignedBuffer& packed, int group,
           const std::uint8_t* source, void* output, std::uint8_t* scratch)
      : task_(task),
        layout_(layout),
        packed_(packed),
        mode_(g4Mode(packed)),
        group_(group),
        source_(source),
        channel_stride_(g4ChannelStride(task, layout)),
        output_(output) {
    const Scratch parts = scratchParts(task, layout);
    table_ = scratch;
    accumulators_ = reinterpret_cast<std::int32_t*>(scratch + parts.accumulators);
    zeros_ = scratch + parts.zeros;
  }

  // The filters of slices first_slice..end_slice - 1.
  void runTile(int tile, int first_slice, int end_slice) {
    first_filter_ = first_slice * kSliceFilters;
    end_filter_ = std::min(end_slice * kSliceFilters, task_.filtersPerGroup());
    const Window& window = task_.window;
    const int column = layout_.tileBegin(tile), width = layout_.tileBegin(tile + 1) - column;
    for (int input_row = 0; input_row < layout_.input_rows; ++input_row) {
      for (int block = 0; block < layout_.blocks; ++block) {
        bool built = false;
        for (int r = 0; r < window.kernel_h; ++r) {
          const int above = input_row - r * window.dilation_h;
          if (above < 0 || above % window.stride_h != 0 || above / window.stride_h >= layout_.rows) continue;
          if (!built) buildTables(input_row, column, width, block);
          built = true;
          sumRow({above / window.stride_h, column, width}, block, r);
        }
      }
    }
  }

 private:
  void buildTables(int input_row, int column, int width, int block) {
    const int first = block * layout_.groups_per_block;
    const int end = std::min(layout_.groups, first + layout_.groups_per_block);
    const std::size_t entry_bytes = static_cast<std::size_t>(layout_.entry_vectors) * 16;
    std::uint8_t* table = table_;
    for (int group = first; group < end; ++group, table += kTableEntries * entry_bytes) {
      for (int phase = 0; phase < layout_.phases; ++phase) {
        const std::size_t row = static_cast<std::size_t>(phase) * layout_.input_rows + input_row;
        const std::size_t vector = row * layout_.rowVectors() + column;
        const std::uint8_t* channels[4];
        for (int i = 0; i < 4; ++i) {
          const int channel = group * 4 + i;
          channels[i] =
              channel < task_.channelsPerGroup() ? source_ + channel * channel_stride_ + vector * 8 : zeros_;
        }
        buildTable(channels, width + layout_.halo, table + phase * (layout_.tile_width + layout_.halo) * 16,
                   entry_bytes);
      }
    }
  }

  void sumRow(const G4Tile& tile, int block, int r) {
    const bool first = block == 0 && r == 0;
    const bool last = block == layout_.blocks - 1 && r == task_.window.kernel_h - 1;
    const bool kept = !(first && last);
    const int filters = task_.filtersPerGroup(), first_filter = group_ * filters;
    const std::size_t stride = filterStride(layout_);
    std::int32_t* row = accumulators_;
    if (kept) row += static_cast<std::size_t>(tile.row % layout_.ring) * filters * stride;
    const int slice = first_filter_ / kSliceFilters;
    const std::uint32_t* words = g4List(packed_, g4ListIndex(layout_, task_, group_, block, r, slice));
    for (int filter = first_filter_; filter < end_filter_; filter += kFiltersAtOnce) {
      const int count = std::min(kFiltersAtOnce, end_filter_ - filter);
      std::int32_t* accumulators = kept ? row + filter * stride : row;
      const std::int32_t* bias = first ? &task_.bias[first_filter + filter] : nullptr;
      words = sumTile(mode_, tile.width, {table_, accumulators, stride, bias, count}, words);
      if (last) {
        writeG4Output(task_, layout_, tile, first_filter + filter, count, accumulators, stride, output_);
      }
    }
  }

  const ConvTask& task_;
  const G4Layout& layout_;
  const AlignedBuffer& packed_;
  G4Mode mode_;
  int group_;
  int first_filter_ = 0, end_filter_ = 0;
  const std::uint8_t* source_;  // of the group's first channel
  std::size_t channel_stride_;
  void* output_;
  std::uint8_t* table_;
  std::int32_t* accumulators_;
  std::uint8_t* zeros_;
};

}  // namespace

// Tables have to earn their cost: by filters and taps that use them, and by channels that fill them.
bool g4Supports(const ConvTask& task, const TernaryWeights&) {
  const int taps = task.taps(), channels = task.channelsPerGroup();
  const bool worthwhile =
      std::int64_t{taps} * task.filtersPerGroup() >= 28 && (channels >= 4 || (channels == 3 && taps >= 25));
  return worthwhile && task.out.plane() > 1 && paddedCopyIsSmall(task) &&
         g4Layout(task).entry_vectors <= kMostEntryVectors &&
         (task.accumulators || requantizerSupports(task.factors));
}

std::size_t g4ScratchBytes(const ConvTask& task) { return scratchParts(task, g4Layout(task)).end; }

void g4Run(const ConvTask& task, const AlignedBuffer& packed, const std::uint8_t* input, void* output,
           std::uint8_t* scratch, Part part) {
  const G4Layout layout = g4Layout(task);
  const Scratch parts = scratchParts(task, layout);
  std::memset(scratch + parts.zeros, 0, parts.packed - parts.zeros);
  // A part is a run of slices of tiles of groups, so that at most two tiles' tables are made elsewhere too.
  const std::size_t slices = g4Slices(task), in_group = slices * layout.tiles;
  const Part::Range share = part.of(in_group * task.groups);
  for (std::size_t at = share.begin; at < share.end;) {
    const int group = static_cast<int>(at / in_group);
    const std::size_t group_begin = group * in_group, end = std::min(share.end, group_begin + in_group);
    const std::uint8_t* source = input + group * task.channelsPerGroup() * planeStride(task.in);
    if (!g4ReadsPlanes(task, layout)) {
      packG4Input(task, layout, group, input, scratch + parts.packed, scratch + parts.lines);
      source = scratch + parts.packed;
    }
    GroupRun run(task, layout, packed, group, source, output, scratch);
    while (at < end) {
      const std::size_t tile = (at - group_begin) / slices, tile_begin = group_begin + tile * slices;
      const std::size_t tile_end = std::min(end, tile_begin + slices);
      run.runTile(static_cast<int>(tile), static_cast<int>(at - tile_begin),
                  static_cast<int>(tile_end - tile_begin));
      at = tile_end;
    }
  }
}

}  // namespace trefoil
