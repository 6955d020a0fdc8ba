// A block of output rows at a time: the input rows that it reads are transformed once and meet all filters,
// four together. Lanes hold groups of four outputs.
#include <algorithm>
#include <cstring>

#include "kernels/conv_geometry.h"
#include "kernels/int8_conv/winograd.h"
#include "kernels/int8_conv/winograd_transform.h"
#include "kernels/requantize.h"

namespace trefoil {
namespace {

constexpr int kFilters = 4;        // at once
constexpr int kVectorPixels = 16;  // outputs of a vector of four groups
constexpr int kMostPoints = WinogradTransform<4>::kPoints;
// Transformed rows that are in use together stay within this if they can.
constexpr std::size_t kRowsBudget = 24 * 1024, kManyRowsBudget = 192 * 1024;
constexpr std::size_t kFewWeights = 192 * 1024;
constexpr std::size_t kMostRows = 16;
// Of a filter, so that the sum of 255 times any of them fits 32 bits with room for the common denominator.
constexpr std::size_t kMostWeights =
    (std::size_t{1} << (31 - WinogradTransform<4>::kShift)) / (255 * 128) - 1;
static_assert(WinogradTransform<4>::kShift >= WinogradTransform<3>::kShift &&
              WinogradTransform<4>::kShift >= WinogradTransform<2>::kShift);

constexpr std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

// A transformed input row holds `slots` numbers (phases of all channels) a group and point, two side by side.
struct Sizes {
  explicit Sizes(const ConvTask& task)
      : stride(task.window.stride_w),
        taps((task.window.kernel_w + stride - 1) / stride),
        points(taps + 3),
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

  std::size_t quadBytes() const { return filter_pairs * points * kFilters * 4; }

  int stride, taps, points, slots, pairs, vectors;
  std::size_t row_bytes;     // of one transformed input row and point
  int quads;                 // of filters
  std::size_t filter_pairs;  // of a filter and point
  std::size_t line_bytes;    // every 4 * stride-th column of an input row
  std::size_t columns;       // of an input row with its padding
  int rows, in_rows;         // of a block
};

struct Scratch {
  Scratch(const ConvTask& task, const Sizes& sizes)
      : split(aligned(sizes.columns)),
        lines(split + aligned(sizes.columns)),
        rows(lines + aligned(sizes.columns * task.in.channels + 16)),
        end(rows + sizes.row_bytes * sizes.in_rows * sizes.points) {}
  // A padded input row comes first.
  std::size_t split, lines, rows, end;
};

// Calls use(WinogradTransform<taps>()).
template <typename Use>
auto withTransform(int taps, const Use& use) {
  return taps == 2   ? use(WinogradTransform<2>())
         : taps == 3 ? use(WinogradTransform<3>())
                     : use(WinogradTransform<4>());
}

// Filter `k`'s factors: row r, slot and point to to[point * step + ...], in the order of the rows' pairs.
template <typename Transform>
void packFilter(const ConvTask& task, const Sizes& sizes, const std::int8_t* filter, std::int16_t* to) {
  constexpr int kTaps = Transform::kPoints - 3;
  const int kernel_w = task.window.kernel_w, channels = task.in.channels;
  for (int r = 0; r < task.window.kernel_h; ++r) {
    for (int slot = 0; slot < sizes.slots; ++slot) {
      const int channel = slot / sizes.stride, phase = slot % sizes.stride;
      int taps[kTaps] = {};
      for (int t = 0; t < kTaps && t * sizes.stride + phase < kernel_w; ++t) {
        taps[t] =
            filter[(static_cast<std::size_t>(r) * kernel_w + t * sizes.stride + phase) * channels + channel];
      }
      std::int16_t factors[Transform::kPoints];
      Transform::weights(taps, factors);
      const std::size_t pair = static_cast<std::size_t>(r) * sizes.pairs + slot / 2;
      for (int i = 0; i < Transform::kPoints; ++i) {
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
template <typename Transform>
void transformRow(const Sizes& sizes, const std::uint8_t* lines, std::size_t point_bytes, std::uint8_t* to) {
  constexpr int kPoints = Transform::kPoints;
  const int line_count = 4 * sizes.stride;
  for (int pair = 0; pair < sizes.pairs; ++pair) {
    const std::uint8_t* inputs[2][kPoints];
    for (int side = 0; side < 2; ++side) {
      const int slot = std::min(2 * pair + side, sizes.slots - 1);  // one too many meets a weight of 0
      for (int j = 0; j < kPoints; ++j) {
        const int column = j * sizes.stride + slot % sizes.stride;
        inputs[side][j] = lines + slot / sizes.stride * sizes.columns +
                          column % line_count * sizes.line_bytes + column / line_count;
      }
    }
    for (int vector = 0; vector < sizes.vectors; vector += 2, to += 32) {
      v128_t factors[2][kPoints];
      TREFOIL_UNROLL
      for (int side = 0; side < 2; ++side) {
        v128_t d[kPoints];
        for (int j = 0; j < kPoints; ++j) d[j] = wasm_u16x8_load8x8(inputs[side][j] + 4 * vector);
        Transform::input(d, factors[side]);
      }
      const bool both = vector + 1 < sizes.vectors;
      for (int i = 0; i < kPoints; ++i) {
        wasm_v128_store(to + i * point_bytes, interleaveLow16(factors[0][i], factors[1][i]));
        if (both) wasm_v128_store(to + i * point_bytes + 16, interleaveHigh16(factors[0][i], factors[1][i]));
      }
      if (!both) to -= 16;
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

// Writes up to 16 pixels of one filter. y[j]: outputs j of four groups, without the bias.
struct Writer {
  Writer(const ConvTask& task, int filter)
      : bias(wasm_i32x4_splat(task.bias[filter])),
        requantizer(task.accumulators ? FixedPoint{1 << 30, 40} : task.factors[filter], task.zero_point,
                    task.low, task.high, room) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  TREFOIL_INLINE void writeBytes(v128_t (&y)[4], int pixels, std::uint8_t* to) const {
    TREFOIL_UNROLL
    for (v128_t& sum : y) sum = wasm_i32x4_add(sum, bias);
    const v128_t q = wasm_u8x16_narrow_i16x8(requantizer.apply(y[0], y[1]), requantizer.apply(y[2], y[3]));
    const v128_t bytes = wasm_i8x16_shuffle(q, q, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    if (pixels == kVectorPixels) [[likely]] {
      wasm_v128_store(to, bytes);
    } else {
      std::uint8_t values[kVectorPixels];
      wasm_v128_store(values, bytes);
      std::memcpy(to, values, static_cast<std::size_t>(pixels));
    }
  }

  void writeSums(v128_t (&y)[4], int pixels, std::int32_t* to) const {
    std::int32_t values[4][4];
    for (int j = 0; j < 4; ++j) wasm_v128_store(values[j], wasm_i32x4_add(y[j], bias));
    for (int x = 0; x < pixels; ++x) to[x] = values[x % 4][x / 4];
  }

  v128_t bias;
  Requantizer::Room room;
  Requantizer requantizer;
};

struct Block {
  int first_row, rows;          // of the result
  const std::uint8_t* factors;  // its transformed rows
  std::size_t point_bytes;      // from one point's to the next one's
};

template <typename Transform>
void runQuad(const ConvTask& task, const Sizes& sizes, const Block& block, int quad,
             const std::uint8_t* weights, void* output) {
  const int first = quad * kFilters, last = task.out.channels - 1,
            filters = std::min(kFilters, last + 1 - first);
  const Writer writers[kFilters] = {Writer(task, first), Writer(task, std::min(first + 1, last)),
                                    Writer(task, std::min(first + 2, last)),
                                    Writer(task, std::min(first + 3, last))};
  const std::size_t point_weights = sizes.filter_pairs * kFilters * 4;
  const auto width = static_cast<std::size_t>(task.out.width);
  const auto address = [&](int row, int vector) {
    return block.factors + static_cast<std::size_t>(row) * task.window.stride_h * sizes.row_bytes +
           vector * 16;
  };
  int row = 0, vector = 0;
  while (row < block.rows) {
    int rows[2], vectors[2], count = 0;
    for (; count < 2 && row < block.rows; ++count) {
      rows[count] = row;
      vectors[count] = vector;
      if (++vector == sizes.vectors) vector = 0, ++row;
    }
    if (count == 1) rows[1] = rows[0], vectors[1] = vectors[0];
    const std::uint8_t *left = address(rows[0], vectors[0]), *right = address(rows[1], vectors[1]);
    v128_t sums[kMostPoints * kFilters * 2];
    for (int i = 0; i < Transform::kPoints; ++i) {
      sumPoint(left + i * block.point_bytes, right + i * block.point_bytes,
               static_cast<std::size_t>(sizes.vectors) * 16, weights + i * point_weights, sizes.filter_pairs,
               sums + 2 * kFilters * i);
    }
    for (int side = 0; side < count; ++side) {
      const std::size_t column = static_cast<std::size_t>(vectors[side]) * kVectorPixels;
      const std::size_t pixel = static_cast<std::size_t>(block.first_row + rows[side]) * width + column;
      const int pixels = static_cast<int>(std::min<std::size_t>(kVectorPixels, width - column));
      for (int i = 0; i < filters; ++i) {
        v128_t y[4];
        Transform::output(sums + 2 * i + side, 2 * kFilters, y);
        const std::size_t filter = static_cast<std::size_t>(first) + i;
        if (task.accumulators) {
          const std::size_t plane = filter * static_cast<std::size_t>(task.out.plane());
          writers[i].writeSums(y, pixels, static_cast<std::int32_t*>(output) + plane + pixel);
        } else {
          writers[i].writeBytes(y, pixels,
                                static_cast<std::uint8_t*>(output) + filter * planeStride(task.out) + pixel);
        }
      }
    }
  }
}

template <typename Transform>
void runRows(const ConvTask& task, const Sizes& sizes, const std::uint8_t* packed, const std::uint8_t* input,
             void* output, std::uint8_t* scratch, Part::Range range) {
  const Window& w = task.window;
  const Scratch parts(task, sizes);
  std::uint8_t *const lines = scratch + parts.lines, *const factors = scratch + parts.rows;
  const std::size_t point_bytes = sizes.row_bytes * sizes.in_rows;
  const int end = static_cast<int>(range.end);
  int ready = 0;  // transformed rows of the next block
  for (int y = static_cast<int>(range.begin); y < end; y += sizes.rows) {
    const Block block{y, std::min(sizes.rows, end - y), factors, point_bytes};
    for (int row = ready; row < (block.rows - 1) * w.stride_h + w.kernel_h; ++row) {
      const int in_y = y * w.stride_h + row - w.pad_top;
      for (int c = 0; c < task.in.channels; ++c) {
        const std::uint8_t* plane = input + c * planeStride(task.in);
        const bool inside = in_y >= 0 && in_y < task.in.height;
        padRow(task, inside ? plane + static_cast<std::size_t>(in_y) * task.in.width : nullptr,
               task.pad_values[c], sizes.columns, scratch);
        splitColumns(scratch, scratch + parts.split, sizes.columns, 4 * sizes.stride,
                     lines + c * sizes.columns);
      }
      transformRow<Transform>(sizes, lines, point_bytes, factors + row * sizes.row_bytes);
    }
    for (int quad = 0; quad < sizes.quads; ++quad) {
      runQuad<Transform>(task, sizes, block, quad, packed + quad * sizes.quadBytes(), output);
    }
    ready = w.kernel_h - w.stride_h;
    for (int i = 0; i < sizes.points; ++i) {
      std::uint8_t* rows = factors + i * point_bytes;
      std::memmove(rows, rows + static_cast<std::size_t>(sizes.rows) * w.stride_h * sizes.row_bytes,
                   ready * sizes.row_bytes);
    }
  }
}

}  // namespace

bool WinogradRows::supports(const ConvTask& task, const Weights& weights) {
  const Window& w = task.window;
  if (task.groups != 1 || w.dilation_h != 1 || w.dilation_w != 1 || w.stride_h > w.kernel_h) return false;
  if (w.stride_w != 1 && w.stride_w != 2 && w.stride_w != 4) return false;
  if (w.kernel_w <= w.stride_w || w.kernel_w > 4 * w.stride_w) return false;
  if (weights.size() / task.out.channels > kMostWeights || !paddedCopyIsSmall(task)) return false;
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
    withTransform(sizes.taps, [&]<typename Transform>(Transform) {
      packFilter<Transform>(task, sizes, &weights[k * filter_weights], to);
    });
  }
  return packed;
}

std::size_t WinogradRows::scratchBytes(const ConvTask& task) { return Scratch(task, Sizes(task)).end; }

void WinogradRows::run(const ConvTask& task, const AlignedBuffer& packed, const std::uint8_t* input,
                       void* output, std::uint8_t* scratch, Part part) {
  const Sizes sizes(task);
  const Part::Range rows = part.of(task.out.height);
  withTransform(sizes.taps, [&]<typename Transform>(Transform) {
    runRows<Transform>(task, sizes, packed.data(), input, output, scratch, rows);
  });
}

}  // namespace trefoil
