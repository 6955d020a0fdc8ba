// A block of output rows at a time: the input rows that it reads are transformed once and meet all filters,
// four together. Lanes hold groups of four outputs.
#include <algorithm>
#include <cstring>
#include <optional>

#include "kernels/conv_geometry.h"
#include "kernels/int8_conv/winograd.h"
#include "kernels/int8_conv/winograd_transform.h"
#include "kernels/requantize.h"

namespace trefoil {
namespace {

constexpr int kFilters = 4;        // at once
constexpr int kVectorPixels = 16;  // outputs of a vector of four groups
// Transformed rows that are in use together stay within this if they can.
constexpr std::size_t kRowsBudget = 48 * 1024, kManyRowsBudget = 192 * 1024;
constexpr std::size_t kFewWeights = 192 * 1024;
constexpr std::size_t kMostRows = 16;
// Of a filter, so that the sum of 255 times any of them fits 32 bits with room for the common denominator.
constexpr std::size_t kMostWeights = (std::size_t{1} << (31 - winograd::kShift)) / (255 * 128) - 1;

// In as many rows as a filter has; the transformed ones take seven bytes for two of them.
constexpr std::int64_t kMostInputs = 1 << 22;

constexpr std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

// A transformed input row holds `slots` numbers (phases of all channels) a group and point, two side by side.
struct Sizes {
  explicit Sizes(const ConvTask& task)
      : stride(task.window.stride_w),
        taps((task.window.kernel_w + stride - 1) / stride),
        points(winograd::points(taps)),
        slots(task.in.channels * stride),
        pairs((slots + 1) / 2),
        vectors((task.out.width + kVectorPixels - 1) / kVectorPixels),
        row_bytes(static_cast<std::size_t>(pairs) * vectors * 16),
        quads((task.out.channels + kFilters - 1) / kFilters),
        filter_pairs(static_cast<std::size_t>(pairs) * task.window.kernel_h),
        line_bytes((static_cast<std::size_t>(vectors) * 4 + 2 + 15) / 16 * 16),
        columns(line_bytes * 4 * stride) {
    // Weights beyond the caches' size had better be read seldom.
    const std::size_t room =
        (quads * quadBytes() <= kFewWeights ? kRowsBudget : kManyRowsBudget) / (row_bytes * points);
    const auto kernel_h = static_cast<std::size_t>(task.window.kernel_h);
    const std::size_t fitting = room <= kernel_h ? 1 : (room - kernel_h) / task.window.stride_h + 1;
    rows = static_cast<int>(
        std::min<std::size_t>({fitting, kMostRows, static_cast<std::size_t>(task.out.height)}));
    in_rows = (rows - 1) * task.window.stride_h + kernel_h;
  }

  std::size_t pointBytes() const { return row_bytes * in_rows; }
  std::size_t quadBytes() const { return filter_pairs * points * kFilters * 4; }

  int stride, taps, points, slots, pairs, vectors;
  std::size_t row_bytes;     // of one transformed input row and point
  int quads;                 // of filters
  std::size_t filter_pairs;  // of a filter and point
  std::size_t line_bytes;    // every 4 * stride-th column of an input row
  std::size_t columns;       // of an input row with its padding
  int rows, in_rows;         // of a block
};

// A vector of a block: its left factors of the first point, and where its outputs go within a plane.
struct Place {
  const std::uint8_t* factors;
  std::size_t pixel;
  int pixels;
};

struct Scratch {
  Scratch(const ConvTask& task, const Sizes& sizes)
      : split(aligned(sizes.columns)),
        lines(split + aligned(sizes.columns)),
        rows(lines + aligned(sizes.columns * task.in.channels + 16)),
        places(rows + aligned(sizes.pointBytes() * sizes.points)),
        end(places + (static_cast<std::size_t>(sizes.vectors) * sizes.rows + 1) * sizeof(Place)) {}
  // A padded input row comes first.
  std::size_t split, lines, rows, places, end;
};

// A filter's right factors, in the order of the rows' pairs, those of each point behind those of the last.
void packFilter(const ConvTask& task, const Sizes& sizes, const std::int8_t* filter, std::int16_t* to) {
  const int kernel_w = task.window.kernel_w, channels = task.in.channels;
  for (int r = 0; r < task.window.kernel_h; ++r) {
    for (int slot = 0; slot < sizes.slots; ++slot) {
      const int channel = slot / sizes.stride, phase = slot % sizes.stride;
      int taps[4] = {};
      TREFOIL_NO_VECTORS
      for (int t = 0; t < sizes.taps && t * sizes.stride + phase < kernel_w; ++t) {
        const std::size_t tap = static_cast<std::size_t>(r) * kernel_w + t * sizes.stride + phase;
        taps[t] = filter[tap * channels + channel];
      }
      std::int16_t factors[winograd::kMostPoints];
      winograd::weights(taps, sizes.taps, factors);
      const std::size_t pair = static_cast<std::size_t>(r) * sizes.pairs + slot / 2;
      TREFOIL_NO_VECTORS
      for (int i = 0; i < sizes.points; ++i) {
        to[(i * sizes.filter_pairs + pair) * kFilters * 2 + slot % 2] = factors[i];
      }
    }
  }
}

// An input row with its padding; null: nothing but padding.
void padRow(const ConvTask& task, const std::uint8_t* row, std::uint8_t pad, std::size_t columns,
            std::uint8_t* to) {
  std::memset(to, pad, columns);
  const auto left = static_cast<std::size_t>(task.window.pad_left),
             width = static_cast<std::size_t>(task.in.width);
  if (row && left < columns) std::memcpy(to + left, row, std::min(width, columns - left));
}

// Sorts columns by their remainder modulo `lines`, a power of two: remainder r to line r. Overwrites `from`.
void splitColumns(std::uint8_t* from, std::uint8_t* spare, std::size_t columns, int lines, std::uint8_t* to) {
  for (int step = 1; step < lines; step *= 2) {
    std::uint8_t* const target = 2 * step == lines ? to : spare;
    const std::size_t half = columns / (2 * static_cast<std::size_t>(step));
    for (int line = 0; line < step; ++line) {
      const std::uint8_t* source = from + 2 * half * line;
      std::uint8_t *even = target + half * line, *odd = even + half * step;
      for (std::size_t x = 0; x < half; x += 16) {
        const v128_t a = wasm_v128_load(source + 2 * x), b = wasm_v128_load(source + 2 * x + 16);
        wasm_v128_store(even + x,
                        wasm_i8x16_shuffle(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30));
        wasm_v128_store(odd + x,
                        wasm_i8x16_shuffle(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31));
      }
    }
    std::swap(from, spare);
  }
}

// One input row's lines of all channels to pairs of left factors, those of two points `point_bytes` apart.
void transformRow(const Sizes& sizes, const std::uint8_t* lines, std::size_t point_bytes, std::uint8_t* to) {
  const int line_count = 4 * sizes.stride;
  for (int pair = 0; pair < sizes.pairs; ++pair) {
    const std::uint8_t* from[2][winograd::kMostPoints];
    TREFOIL_NO_VECTORS
    for (int side = 0; side < 2; ++side) {
      const int slot = std::min(2 * pair + side, sizes.slots - 1);  // one too many meets a weight of 0
      TREFOIL_NO_VECTORS
      for (int j = 0; j < winograd::kMostPoints; ++j) {
        const int column = j * sizes.stride + slot % sizes.stride;
        from[side][j] = lines + slot / sizes.stride * sizes.columns + column % line_count * sizes.line_bytes +
                        column / line_count;
      }
    }
    for (int vector = 0; vector < sizes.vectors; vector += 2) {
      v128_t factors[2][winograd::kMostPoints];
      TREFOIL_NO_UNROLL
      for (int side = 0; side < 2; ++side) {
        v128_t d[winograd::kMostPoints];
        TREFOIL_UNROLL
        for (int j = 0; j < winograd::kMostPoints; ++j) d[j] = wasm_u16x8_load8x8(from[side][j] + 4 * vector);
        winograd::inputs(d, sizes.taps, factors[side]);
      }
      std::uint8_t* target = to + (static_cast<std::size_t>(pair) * sizes.vectors + vector) * 16;
      TREFOIL_NO_UNROLL
      for (int i = 0; i < sizes.points; ++i, target += point_bytes) {
        wasm_v128_store(target, interleaveLow16(factors[0][i], factors[1][i]));
        if (vector + 1 < sizes.vectors) {
          wasm_v128_store(target + 16, interleaveHigh16(factors[0][i], factors[1][i]));
        }
      }
    }
  }
}

// 4 filters' sums of products of two vectors of groups at one point: to sums[2 * filter + side].
void sumPoint(const std::uint8_t* left, const std::uint8_t* right, std::size_t step,
              const std::uint8_t* weights, std::size_t pairs, v128_t* sums) {
  v128_t s[2 * kFilters];
  TREFOIL_UNROLL
  for (v128_t& sum : s) sum = wasm_i32x4_splat(0);
  TREFOIL_NO_UNROLL
  do {
    TREFOIL_BARRIER();
    const v128_t a = wasm_v128_load(left), b = wasm_v128_load(right);
    TREFOIL_UNROLL
    for (int i = 0; i < kFilters; ++i) {
      const v128_t weight = wasm_v128_load32_splat(weights + 4 * i);
      s[2 * i] = wasm_i32x4_add(s[2 * i], wasm_i32x4_dot_i16x8(a, weight));
      s[2 * i + 1] = wasm_i32x4_add(s[2 * i + 1], wasm_i32x4_dot_i16x8(b, weight));
    }
    TREFOIL_BARRIER();
    left += step;
    right += step;
    weights += 4 * kFilters;
  } while (--pairs);
  TREFOIL_UNROLL
  for (int i = 0; i < 2 * kFilters; ++i) sums[i] = s[i];
}

// The places of rows first_row ... of the result, an even number. Returns how many.
int locate(const ConvTask& task, const Sizes& sizes, int first_row, int rows, const std::uint8_t* factors,
           Place* places) {
  const auto width = static_cast<std::size_t>(task.out.width);
  Place* place = places;
  for (int row = 0; row < rows; ++row, factors += task.window.stride_h * sizes.row_bytes) {
    TREFOIL_NO_UNROLL
    for (std::size_t x = 0; x < width; x += kVectorPixels) {
      *place++ = {factors + x, static_cast<std::size_t>(first_row + row) * width + x,
                  static_cast<int>(std::min<std::size_t>(kVectorPixels, width - x))};
    }
  }
  if ((place - places) % 2) {
    *place = place[-1];
    place++->pixels = 0;
  }
  return static_cast<int>(place - places);
}

// Writes results of one filter.
class Writer {
 public:
  Writer(const ConvTask& task, int filter)
      : task_(task),
        bias_(wasm_i32x4_splat(task.bias[filter])),
        requantizer_(task.accumulators ? FixedPoint{1 << 30, 40} : task.factors[filter], task.zero_point,
                     task.low, task.high) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // y[j]: outputs j of four groups, without the bias.
  TREFOIL_INLINE void write(v128_t (&y)[winograd::kOutputs], std::size_t filter, const Place& place,
                            void* output) const {
    TREFOIL_UNROLL
    for (v128_t& sum : y) sum = wasm_i32x4_add(sum, bias_);
    if (task_.accumulators) {
      std::int32_t values[winograd::kOutputs][4];
      for (int j = 0; j < winograd::kOutputs; ++j) wasm_v128_store(values[j], y[j]);
      auto* to = static_cast<std::int32_t*>(output) + filter * static_cast<std::size_t>(task_.out.plane()) +
                 place.pixel;
      TREFOIL_NO_VECTORS
      for (int x = 0; x < place.pixels; ++x) to[x] = values[x % 4][x / 4];
      return;
    }
    const v128_t q = wasm_u8x16_narrow_i16x8(requantizer_.apply(y[0], y[1]), requantizer_.apply(y[2], y[3]));
    const v128_t bytes = wasm_i8x16_shuffle(q, q, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    std::uint8_t* to = static_cast<std::uint8_t*>(output) + filter * planeStride(task_.out) + place.pixel;
    if (place.pixels == kVectorPixels) [[likely]] {
      wasm_v128_store(to, bytes);
    } else {
      std::uint8_t values[kVectorPixels];
      wasm_v128_store(values, bytes);
      std::memcpy(to, values, static_cast<std::size_t>(place.pixels));
    }
  }

 private:
  const ConvTask& task_;
  v128_t bias_;
  Requantizer requantizer_;
};

// Four filters' results at all places.
void runQuad(const ConvTask& task, const Sizes& sizes, int quad, const std::uint8_t* weights,
             const Place* places, int count, void* output) {
  const int first = quad * kFilters, filters = std::min(kFilters, task.out.channels - first);
  std::optional<Writer> writers[kFilters];
  TREFOIL_NO_UNROLL
  for (int i = 0; i < filters; ++i) writers[i].emplace(task, first + i);
  const std::size_t point_weights = sizes.filter_pairs * kFilters * 4, step = sizes.vectors * std::size_t{16};
  for (const Place* tile = places; tile < places + count; tile += 2) {
    v128_t sums[winograd::kMostPoints * kFilters * 2];
    TREFOIL_NO_UNROLL
    for (int i = 0; i < sizes.points; ++i) {
      const std::size_t point = i * sizes.pointBytes();
      sumPoint(tile[0].factors + point, tile[1].factors + point, step, weights + i * point_weights,
               sizes.filter_pairs, sums + 2 * kFilters * i);
    }
    TREFOIL_NO_UNROLL
    for (int i = 0; i < filters; ++i) {
      const std::size_t filter = static_cast<std::size_t>(first) + i;
      TREFOIL_NO_UNROLL
      for (int side = 0; side < 2; ++side) {
        v128_t y[winograd::kOutputs];
        winograd::outputs(sums + 2 * i + side, 2 * kFilters, sizes.taps, y);
        writers[i]->write(y, filter, tile[side], output);
      }
    }
  }
}

// The left factors that one input row gives.
void prepareRow(const ConvTask& task, const Sizes& sizes, int row, const std::uint8_t* input,
                std::uint8_t* scratch, const Scratch& parts, std::uint8_t* factors) {
  for (int c = 0; c < task.in.channels; ++c) {
    const std::uint8_t* plane = input + c * planeStride(task.in);
    const bool inside = row >= 0 && row < task.in.height;
    padRow(task, inside ? plane + static_cast<std::size_t>(row) * task.in.width : nullptr, task.pad_values[c],
           sizes.columns, scratch);
    splitColumns(scratch, scratch + parts.split, sizes.columns, 4 * sizes.stride,
                 scratch + parts.lines + c * sizes.columns);
  }
  transformRow(sizes, scratch + parts.lines, sizes.pointBytes(), factors);
}

}  // namespace

bool WinogradRows::supports(const ConvTask& task, const Weights& weights) {
  const Window& w = task.window;
  if (task.groups != 1 || w.dilation_h != 1 || w.dilation_w != 1 || w.stride_h > w.kernel_h) return false;
  if (w.stride_w != 1 && w.stride_w != 2 && w.stride_w != 4) return false;
  if (w.kernel_w <= 2 * w.stride_w || w.kernel_w > 4 * w.stride_w) return false;
  if (weights.size() / task.out.channels > kMostWeights || !paddedCopyIsSmall(task)) return false;
  const std::int64_t row_inputs =
      std::int64_t{task.in.channels} * w.stride_w * (task.out.width + kVectorPixels);
  if (row_inputs * w.kernel_h > kMostInputs) return false;
  if (!task.accumulators && !requantizerSupports(task.factors)) return false;
  // Vector products of a filter's row, with what its outputs cost, against those of the dense kernel.
  const Sizes sizes(task);
  const std::size_t dense_pairs = (static_cast<std::size_t>(task.taps()) * task.in.channels + 1) / 2;
  const std::size_t dense_tiles = (task.out.width + std::size_t{7}) / 8;
  return sizes.vectors * (sizes.points * sizes.filter_pairs + 40) < dense_tiles * (2 * dense_pairs + 20);
}

// Weights in the order [quad][point][kernel row][pair of slots][filter of the quad][2].
AlignedBuffer WinogradRows::pack(const ConvTask& task, const Weights& weights) {
  const Sizes sizes(task);
  AlignedBuffer packed(sizes.quads * sizes.quadBytes());
  if (!packed.data()) return packed;
  std::memset(packed.data(), 0, packed.size());
  const std::size_t filter_weights = weights.size() / task.out.channels;
  for (int k = 0; k < task.out.channels; ++k) {
    auto* to =
        reinterpret_cast<std::int16_t*>(packed.data() + k / kFilters * sizes.quadBytes()) + k % kFilters * 2;
    packFilter(task, sizes, &weights[k * filter_weights], to);
  }
  return packed;
}

std::size_t WinogradRows::scratchBytes(const ConvTask& task) { return Scratch(task, Sizes(task)).end; }

void WinogradRows::run(const ConvTask& task, const AlignedBuffer& packed, const std::uint8_t* input,
                       void* output, std::uint8_t* scratch, Part part) {
  const Window& w = task.window;
  const Sizes sizes(task);
  const Scratch parts(task, sizes);
  std::uint8_t* const factors = scratch + parts.rows;
  auto* const places = reinterpret_cast<Place*>(scratch + parts.places);
  const Part::Range range = part.of(task.out.height);
  const int end = static_cast<int>(range.end);
  int ready = 0;  // rows of the block that the one before has left
  for (int y = static_cast<int>(range.begin); y < end; y += sizes.rows) {
    const int rows = std::min(sizes.rows, end - y);
    for (int row = ready; row < (rows - 1) * w.stride_h + w.kernel_h; ++row) {
      prepareRow(task, sizes, y * w.stride_h + row - w.pad_top, input, scratch, parts,
                 factors + row * sizes.row_bytes);
    }
    const int count = locate(task, sizes, y, rows, factors, places);
    for (int quad = 0; quad < sizes.quads; ++quad) {
      runQuad(task, sizes, quad, packed.data() + quad * sizes.quadBytes(), places, count, output);
    }
    ready = w.kernel_h - w.stride_h;
    TREFOIL_NO_UNROLL
    for (int i = 0; i < sizes.points; ++i) {
      std::uint8_t* to = factors + i * sizes.pointBytes();
      std::memmove(to, to + static_cast<std::size_t>(sizes.rows) * w.stride_h * sizes.row_bytes,
                   ready * sizes.row_bytes);
    }
  }
}

}  // namespace trefoil
