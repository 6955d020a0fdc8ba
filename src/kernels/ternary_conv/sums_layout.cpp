#include "kernels/ternary_conv/sums_layout.h"

#include <algorithm>

#include "kernels/conv_geometry.h"

namespace trefoil {
namespace {

// A block's table has to stay in the second-level cache beside the weights and the accumulators.
constexpr int kMostTableBytes = 200 * 1024;

constexpr int ceilDivide(int a, int b) { return (a + b - 1) / b; }

void splitColumns(SumLayout& layout, int most_vectors) {
  layout.tiles = ceilDivide(layout.columns, most_vectors);
  layout.tile_width = ceilDivide(layout.columns, layout.tiles);
  layout.entry_vectors = layout.phases * (layout.tile_width + layout.halo);
}

// Vector operations of a layout, roughly: look-ups with the overhead of a list, and the building of tables.
std::int64_t cost(const SumLayout& layout, const ConvTask& task) {
  const std::int64_t lookups = std::int64_t{layout.rows} * layout.tiles * (layout.tile_width + 1) *
                               task.taps() * task.filtersPerGroup() * 2;
  const std::int64_t builds =
      std::int64_t{layout.input_rows} * layout.tiles * layout.entry_vectors * layout.entries;
  return lookups + builds;
}

void splitBlocks(SumLayout& layout, int table_bytes) {
  const int group_bytes = layout.entries * layout.entry_vectors * 16, unit = layout.groupsPerUnit();
  int most = std::max(1, table_bytes / group_bytes);
  if (most < unit && unit * group_bytes <= kMostTableBytes) most = unit;
  if (most >= unit) most -= most % unit;
  layout.blocks = ceilDivide(layout.groups, most);
  layout.groups_per_block =
      most >= unit ? std::min(most, layout.groups) : ceilDivide(layout.groups, layout.blocks);
}

// Long lists can be sorted well; where there are few tiles and rows, short ones let threads share the
// filters.
void splitForThreads(SumLayout& layout, int filters) {
  constexpr int kFewest = 4, kMostBands = 8;
  layout.slice_filters = std::min(filters, layout.tiles * layout.rows >= kFewest ? 512 : 128);
  layout.slices = ceilDivide(filters, layout.slice_filters);
  if (layout.slices == 1) layout.bands = std::min(layout.rows, kMostBands);
}

}  // namespace

SumLayout sumLayout(const ConvTask& task, const SumKind& kind) {
  const Window& window = task.window;
  SumLayout layout;
  layout.lanes = kind.lanes;
  layout.depth = kind.depth;
  layout.entries = (kind.depth == 4 ? 40 : 13) * (kind.bytes() ? 2 : 1);
  layout.pointwise = window.kernel_h == 1 && window.kernel_w == 1 && window.pad_top == 0 &&
                     window.pad_left == 0 && (task.out.height - 1) * window.stride_h < task.in.height &&
                     (task.out.width - 1) * window.stride_w < task.in.width;
  if (layout.pointwise) {
    layout.columns = static_cast<int>((task.out.plane() + kind.lanes - 1) / kind.lanes);
    layout.rows = layout.input_rows = 1;
    splitColumns(layout, kind.most_vectors);
  } else {
    const int reach_x = (window.kernel_w - 1) * window.dilation_w,
              reach_y = (window.kernel_h - 1) * window.dilation_h;
    layout.phases = std::min(window.stride_w, reach_x + 1);
    layout.halo = reach_x / window.stride_w;
    layout.ring = reach_y / window.stride_h + 1;
    std::int64_t best = -1;
    SumLayout candidate = layout;
    for (int lanes_x = 1; lanes_x <= kind.lanes; lanes_x *= 2) {
      candidate.lanes_x = lanes_x;
      candidate.lanes_y = kind.lanes / lanes_x;
      candidate.columns = ceilDivide(task.out.width, candidate.lanes_x);
      candidate.rows = ceilDivide(task.out.height, candidate.lanes_y);
      candidate.input_rows = (candidate.rows - 1) * window.stride_h + reach_y + 1;
      splitColumns(candidate, kind.most_vectors);
      const std::int64_t candidate_cost = cost(candidate, task);
      if (best < 0 || candidate_cost < best) {
        best = candidate_cost;
        layout = candidate;
      }
    }
  }
  const int channels = task.channelsPerGroup(), whole_units = channels / kChannelUnit;
  layout.groups = whole_units * layout.groupsPerUnit() + ceilDivide(channels % kChannelUnit, kind.depth);
  splitBlocks(layout, kind.table_bytes);
  splitForThreads(layout, task.filtersPerGroup());
  return layout;
}

}  // namespace trefoil
