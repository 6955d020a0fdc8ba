#include "kernels/ternary_conv/g4_layout.h"

#include <algorithm>

#include "kernels/conv_geometry.h"

namespace trefoil {
namespace {

// A block's table has to stay in the second-level cache beside the weights and the accumulators.
constexpr int kTableBudget = 160 * 1024;

constexpr int ceilDivide(int a, int b) { return (a + b - 1) / b; }

void splitColumns(G4Layout& layout) {
  layout.tiles = ceilDivide(layout.columns, kMaxTile);
  layout.tile_width = ceilDivide(layout.columns, layout.tiles);
  layout.entry_vectors = layout.phases * (layout.tile_width + layout.halo);
}

// Vector operations of a layout, roughly: look-ups with the overhead of a list, and the building of tables.
std::int64_t cost(const G4Layout& layout, const ConvTask& task) {
  const std::int64_t lookups = std::int64_t{layout.rows} * layout.tiles * (layout.tile_width + 1) *
                               task.taps() * task.filtersPerGroup() * 2;
  const std::int64_t builds =
      std::int64_t{layout.input_rows} * layout.tiles * layout.entry_vectors * kTableEntries;
  return lookups + builds;
}

}  // namespace

G4Layout g4Layout(const ConvTask& task) {
  const Window& window = task.window;
  G4Layout layout;
  layout.pointwise = window.kernel_h == 1 && window.kernel_w == 1 && window.pad_top == 0 &&
                     window.pad_left == 0 && (task.out.height - 1) * window.stride_h < task.in.height &&
                     (task.out.width - 1) * window.stride_w < task.in.width;
  if (layout.pointwise) {
    layout.columns = static_cast<int>((task.out.plane() + 7) / 8);
    layout.rows = layout.input_rows = 1;
    splitColumns(layout);
  } else {
    const int reach_x = (window.kernel_w - 1) * window.dilation_w,
              reach_y = (window.kernel_h - 1) * window.dilation_h;
    layout.phases = std::min(window.stride_w, reach_x + 1);
    layout.halo = reach_x / window.stride_w;
    layout.ring = reach_y / window.stride_h + 1;
    std::int64_t best = -1;
    G4Layout candidate = layout;
    for (int lanes_x = 1; lanes_x <= 8; lanes_x *= 2) {
      candidate.lanes_x = lanes_x;
      candidate.lanes_y = 8 / lanes_x;
      candidate.columns = ceilDivide(task.out.width, candidate.lanes_x);
      candidate.rows = ceilDivide(task.out.height, candidate.lanes_y);
      candidate.input_rows = (candidate.rows - 1) * window.stride_h + reach_y + 1;
      splitColumns(candidate);
      const std::int64_t candidate_cost = cost(candidate, task);
      if (best < 0 || candidate_cost < best) {
        best = candidate_cost;
        layout = candidate;
      }
    }
  }
  layout.groups = ceilDivide(task.channelsPerGroup(), 4);
  const int group_bytes = kTableEntries * layout.entry_vectors * 16;
  int most = std::max(1, kTableBudget / group_bytes);
  if (most >= 16) most -= most % 16;  // whole groups of 64 channels, a usual size of groups with one scale
  layout.blocks = ceilDivide(layout.groups, most);
  layout.groups_per_block =
      most >= 16 ? std::min(most, layout.groups) : ceilDivide(layout.groups, layout.blocks);
  return layout;
}

}  // namespace trefoil
