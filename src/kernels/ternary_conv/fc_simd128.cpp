// Fully connected layers (one pixel) by swizzle look-ups: for each pair of inputs, the nine values of
// code0 * input0 + code1 * input1 make a table of 16-bit entries, split into low and high bytes; a swizzle of
// both by a vector of codes, two of them a byte, then yields the sums of 16 filters. Segments of up to 128
// inputs with one scale a filter are summed in 16 bits, and pairs of segments are scaled into int32.
//
// Packed weights, for each block of 32 filters: for each pass (see Passes) and pair of segments, 16 bytes of
// codes for each pair of inputs (filters 0..15 in the lower halves of the bytes, 16..31 in the upper ones),
// then the 64 scales, those of both segments side by side.
#include <algorithm>
#include <cstring>

#include "kernels/requantize.h"
#include "kernels/simd_util.h"
#include "kernels/ternary_conv/kernels.h"

namespace trefoil {
namespace {

constexpr int kFilters = 32;  // of a block

constexpr std::uint8_t pairCode(int first, int second) {
  return static_cast<std::uint8_t>(3 * (first + 1) + second + 1);
}

// The inputs [begin, end) share one scale in every filter; `begin` is even.
struct Segment {
  int begin, end;
  int pairs() const { return (end - begin + 1) / 2; }
};

struct Segments {
  int channels, group_size, longest;

  // The segment that starts at `begin`; an empty one at the end.
  Segment at(int begin) const {
    if (begin >= channels) return {channels, channels};
    const int group_end =
        group_size == kWholeFilter ? channels : begin / group_size * group_size + group_size;
    return {begin, std::min({group_end, begin + longest, channels})};
  }
};

// What the runs need to know of the weights.
struct alignas(16) Header {
  std::int32_t group_size;
  std::int32_t passes;
};

Segments segmentsOf(const ConvTask& task, int group_size) {
  const int limit = 32767 / std::max(1, task.input_max);  // inputs whose sum can't exceed 16 bits
  return {task.in.channels, group_size, std::min(limit, 1 << 14) / 2 * 2};
}

// A plane is one pass over the inputs, or two where its negative codes have scales of their own.
struct Pass {
  const TernaryPlane* plane;
  const std::vector<std::uint8_t>* scales;
  bool positive, negative;  // codes that it takes
};

int collectPasses(const TernaryWeights& weights, Pass (&passes)[4]) {
  int count = 0;
  for (const TernaryPlane& plane : weights.planes) {
    const bool two_sided = !plane.negative_scales.empty();
    passes[count++] = {&plane, &plane.scales, true, !two_sided};
    if (two_sided) passes[count++] = {&plane, &plane.negative_scales, false, true};
  }
  return count;
}

int codeOf(const Pass& pass, const ConvTask& task, int filter, int channel) {
  if (filter >= task.out.channels || channel >= task.in.channels) return 0;
  const int code = pass.plane->codes[static_cast<std::size_t>(filter) * task.in.channels + channel];
  return (code > 0 && pass.positive) || (code < 0 && pass.negative) ? code : 0;
}

std::uint8_t scaleOf(const Pass& pass, const ConvTask& task, int group_size, int filter,
                     const Segment& segment) {
  if (filter >= task.out.channels || segment.begin == segment.end) return 0;
  const int per_filter = scalesPerFilter(task.in.channels, 1, group_size);
  const int index = scaleIndex(segment.begin, 0, task.in.channels, group_size);
  return (*pass.scales)[static_cast<std::size_t>(filter) * per_filter + index];
}

std::uint8_t* packCodes(const Pass& pass, const ConvTask& task, int block, const Segment& segment,
                        std::uint8_t* to) {
  for (int channel = segment.begin; channel < segment.end; channel += 2) {
    for (int lane = 0; lane < kFilters / 2; ++lane) {
      std::uint8_t codes[2];
      for (int half = 0; half < 2; ++half) {
        const int filter = block * kFilters + half * kFilters / 2 + lane;
        const int second = channel + 1 < segment.end ? codeOf(pass, task, filter, channel + 1) : 0;
        codes[half] = pairCode(codeOf(pass, task, filter, channel), second);
      }
      *to++ = static_cast<std::uint8_t>(codes[0] | codes[1] << 4);
    }
  }
  return to;
}

std::size_t packedBlockBytes(const Segments& segments, int passes) {
  std::size_t bytes = 0;
  for (int at = 0; at < segments.channels;) {
    const Segment first = segments.at(at), second = segments.at(first.end);
    bytes += static_cast<std::size_t>(first.pairs() + second.pairs()) * 16 + 2 * kFilters;
    at = second.end;
  }
  return bytes * passes;
}

// For each pair of inputs 16 low bytes, then 16 high bytes, of which nine count.
void buildTables(const std::uint8_t* input, int channels, std::uint8_t* tables) {
  const v128_t first_codes = wasm_i16x8_make(-1, -1, -1, 0, 0, 0, 1, 1);
  const v128_t second_codes = wasm_i16x8_make(-1, 0, 1, -1, 0, 1, -1, 0);
  for (int channel = 0; channel < channels; channel += 2, tables += 32) {
    const v128_t first = wasm_i16x8_splat(input[channel]);
    const v128_t second = wasm_i16x8_splat(channel + 1 < channels ? input[channel + 1] : 0);
    const v128_t most =
        wasm_i16x8_add(wasm_i16x8_mul(first, first_codes), wasm_i16x8_mul(second, second_codes));
    const v128_t last = wasm_i16x8_add(first, second);  // both codes 1
    wasm_v128_store(
        tables, wasm_i8x16_shuffle(most, last, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30));
    wasm_v128_store(tables + 16, wasm_i8x16_shuffle(most, last, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25,
                                                    27, 29, 31));
  }
}

// The sums of 32 filters over a segment, 8 a vector.
TREFOIL_INLINE const std::uint8_t* sumSegment(const std::uint8_t* tables, const std::uint8_t* codes,
                                              int pairs, v128_t (&sums)[4]) {
  const v128_t mask = wasm_i8x16_splat(15);
  v128_t s0 = wasm_i16x8_splat(0), s1 = s0, s2 = s0, s3 = s0;
  for (; pairs > 0; --pairs, codes += 16, tables += 32) {
    const v128_t both = wasm_v128_load(codes);
    const v128_t low = wasm_v128_load(tables), high = wasm_v128_load(tables + 16);
    const v128_t lower = wasm_v128_and(both, mask), upper = wasm_v128_and(wasm_u16x8_shr(both, 4), mask);
    const v128_t low_a = wasm_i8x16_swizzle(low, lower), high_a = wasm_i8x16_swizzle(high, lower);
    const v128_t low_b = wasm_i8x16_swizzle(low, upper), high_b = wasm_i8x16_swizzle(high, upper);
    s0 = wasm_i16x8_add(
        s0, wasm_i8x16_shuffle(low_a, high_a, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
    s1 = wasm_i16x8_add(
        s1, wasm_i8x16_shuffle(low_a, high_a, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
    s2 = wasm_i16x8_add(
        s2, wasm_i8x16_shuffle(low_b, high_b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
    s3 = wasm_i16x8_add(
        s3, wasm_i8x16_shuffle(low_b, high_b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
  }
  sums[0] = s0;
  sums[1] = s1;
  sums[2] = s2;
  sums[3] = s3;
  return codes;
}

// Adds one pass over all inputs to the accumulators of 32 filters.
const std::uint8_t* sumPass(const Segments& segments, const std::uint8_t* tables, const std::uint8_t* weights,
                            v128_t (&accumulators)[8]) {
  for (int at = 0; at < segments.channels;) {
    const Segment first = segments.at(at), second = segments.at(first.end);
    v128_t a[4], b[4];
    weights = sumSegment(tables + static_cast<std::size_t>(first.begin / 2) * 32, weights, first.pairs(), a);
    weights =
        sumSegment(tables + static_cast<std::size_t>(second.begin / 2) * 32, weights, second.pairs(), b);
    TREFOIL_UNROLL
    for (int i = 0; i < 4; ++i) {
      const v128_t low_scales = wasm_u16x8_load8x8(weights + 16 * i);
      const v128_t high_scales = wasm_u16x8_load8x8(weights + 16 * i + 8);
      accumulators[2 * i] =
          wasm_i32x4_add(accumulators[2 * i], wasm_i32x4_dot_i16x8(interleaveLow16(a[i], b[i]), low_scales));
      accumulators[2 * i + 1] = wasm_i32x4_add(
          accumulators[2 * i + 1], wasm_i32x4_dot_i16x8(interleaveHigh16(a[i], b[i]), high_scales));
    }
    weights += 2 * kFilters;
    at = second.end;
  }
  return weights;
}

}  // namespace

// Pairs of inputs must not straddle groups.
bool fcSupports(const ConvTask& task, const TernaryWeights& weights) {
  return task.in.plane() == 1 && task.out.plane() == 1 && task.taps() == 1 && task.groups == 1 &&
         weights.group_size % 2 == 0 && weights.planes.size() <= 2;
}

AlignedBuffer packFc(const ConvTask& task, const TernaryWeights& weights) {
  Pass passes[4];
  const int pass_count = collectPasses(weights, passes);
  const Segments segments = segmentsOf(task, weights.group_size);
  const int blocks = (task.out.channels + kFilters - 1) / kFilters;
  AlignedBuffer packed(sizeof(Header) + blocks * packedBlockBytes(segments, pass_count));
  if (!packed.data()) return packed;
  const Header header{weights.group_size, pass_count};
  std::memcpy(packed.data(), &header, sizeof(header));
  std::uint8_t* to = packed.data() + sizeof(Header);
  for (int block = 0; block < blocks; ++block) {
    for (int p = 0; p < pass_count; ++p) {
      for (int at = 0; at < segments.channels;) {
        const Segment first = segments.at(at), second = segments.at(first.end);
        to = packCodes(passes[p], task, block, first, to);
        to = packCodes(passes[p], task, block, second, to);
        for (int filter = block * kFilters; filter < (block + 1) * kFilters; ++filter) {
          *to++ = scaleOf(passes[p], task, weights.group_size, filter, first);
          *to++ = scaleOf(passes[p], task, weights.group_size, filter, second);
        }
        at = second.end;
      }
    }
  }
  return packed;
}

std::size_t fcScratchBytes(const ConvTask& task) {
  return static_cast<std::size_t>(task.in.channels + 1) / 2 * 32;
}

void fcRun(const ConvTask& task, const AlignedBuffer& packed, const std::uint8_t* input, void* output,
           std::uint8_t* scratch, Part part) {
  Header header;
  std::memcpy(&header, packed.data(), sizeof(header));
  const Segments segments = segmentsOf(task, header.group_size);
  const Part::Range filters = part.of(task.out.channels, kFilters);
  if (filters.empty()) return;
  buildTables(input, task.in.channels, scratch);
  const std::uint8_t* weights =
      packed.data() + sizeof(Header) + filters.begin / kFilters * packedBlockBytes(segments, header.passes);
  for (int first = static_cast<int>(filters.begin); first < static_cast<int>(filters.end);
       first += kFilters) {
    v128_t accumulators[8] = {};
    for (int pass = 0; pass < header.passes; ++pass)
      weights = sumPass(segments, scratch, weights, accumulators);
    std::int32_t sums[kFilters];
    std::memcpy(sums, accumulators, sizeof(sums));
    for (int i = 0; i < std::min(kFilters, task.out.channels - first); ++i) {
      const int filter = first + i;
      const std::int32_t sum = sums[i] + task.bias[filter];
      if (task.accumulators) {
        static_cast<std::int32_t*>(output)[filter] = sum;
      } else {
        static_cast<std::uint8_t*>(output)[filter] =
            requantize(sum, task.factors[filter], task.zero_point, task.low, task.high);
      }
    }
  }
}

}  // namespace trefoil
