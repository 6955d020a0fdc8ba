// The oracle: nothing but the definition, one output row at a time.
#include <cstring>

#include "kernels/conv_geometry.h"
#include "kernels/conv_i16/conv_i16.h"

namespace trefoil {
namespace {

bool supports(const ConvTask&) { return true; }

AlignedBuffer pack(const ConvTask&, std::span<const std::int16_t> weights) {
  AlignedBuffer packed(weights.size_bytes());
  if (packed.data()) std::memcpy(packed.data(), weights.data(), weights.size_bytes());
  return packed;
}

std::size_t scratchBytes(const ConvTask& task) {
  return static_cast<std::size_t>(task.out.width) * sizeof(std::int32_t);
}

// Adds weight * input for all outputs x of a row. `row` is null where the whole row is padding.
void addTap(const ConvTask& task, int weight, const std::uint8_t* row, int column_offset, int pad_value,
            std::int32_t* sums) {
  const int stride = task.window.stride_w;
  const TapRange inside =
      row ? tapRange(column_offset, stride, task.in.width, task.out.width) : TapRange{0, 0};
  for (int x = 0; x < inside.begin; ++x) sums[x] += weight * pad_value;
  for (int x = inside.begin; x < inside.end; ++x) sums[x] += weight * row[x * stride + column_offset];
  for (int x = inside.end; x < task.out.width; ++x) sums[x] += weight * pad_value;
}

void run(const ConvTask& task, const AlignedBuffer& packed, const std::uint8_t* input, void* output,
         std::uint8_t* scratch, Part part) {
  const Window& window = task.window;
  const int channels = task.channelsPerGroup();
  const std::size_t in_plane = planeStride(task.in), out_plane = planeStride(task.out);
  const auto* weights = reinterpret_cast<const std::int16_t*>(packed.data());
  auto* sums = reinterpret_cast<std::int32_t*>(scratch);
  const Part::Range filters = part.of(task.out.channels);
  for (int k = static_cast<int>(filters.begin); k < static_cast<int>(filters.end); ++k) {
    const int first_channel = k / task.filtersPerGroup() * channels;
    const std::int16_t* filter = weights + static_cast<std::size_t>(k) * task.taps() * channels;
    for (int y = 0; y < task.out.height; ++y) {
      std::fill_n(sums, task.out.width, task.bias[k]);
      for (int tap = 0; tap < task.taps(); ++tap) {
        const int in_y = y * window.stride_h + tap / window.kernel_w * window.dilation_h - window.pad_top;
        const int column_offset = tap % window.kernel_w * window.dilation_w - window.pad_left;
        const bool row_inside = in_y >= 0 && in_y < task.in.height;
        for (int c = 0; c < channels; ++c) {
          const std::int16_t weight = filter[tap * channels + c];
          if (weight == 0) continue;
          const std::uint8_t* plane = input + (first_channel + c) * in_plane;
          const std::uint8_t* row =
              row_inside ? plane + static_cast<std::size_t>(in_y) * task.in.width : nullptr;
          addTap(task, weight, row, column_offset, task.pad_values[first_channel + c], sums);
        }
      }
      const std::size_t row_start = static_cast<std::size_t>(y) * task.out.width;
      if (task.accumulators) {
        std::memcpy(
            static_cast<std::int32_t*>(output) + k * static_cast<std::size_t>(task.out.plane()) + row_start,
            sums, task.out.width * sizeof(std::int32_t));
      } else {
        std::uint8_t* out_row = static_cast<std::uint8_t*>(output) + k * out_plane + row_start;
        for (int x = 0; x < task.out.width; ++x) {
          out_row[x] = requantize(sums[x], task.factors[k], task.zero_point, task.low, task.high);
        }
      }
    }
  }
}

}  // namespace

const ConvI16Kernel kConvI16Scalar = {supports, pack, scratchBytes, run};

}  // namespace trefoil
