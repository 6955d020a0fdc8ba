#include "format/validate_op.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <span>
#include <string>

namespace trefoil {
namespace {

using Inputs = std::vector<const QNode*>;

Error bad(std::string message) { return makeError(ErrorCode::kBadModel, std::move(message)); }

bool inRange(std::int64_t value, std::int64_t low, std::int64_t high) {
  return value >= low && value <= high;
}

// Output size along one axis, or 0 where the window doesn't fit.
std::int64_t outputSize(std::int64_t in, int kernel, int stride, int dilation, int before, int after) {
  const std::int64_t room = in + before + after - (std::int64_t{kernel - 1} * dilation + 1);
  return room < 0 ? 0 : room / stride + 1;
}

Result<void> checkWindow(const Window& w, const Shape& in, const Shape& out) {
  for (const int value : {w.kernel_h, w.kernel_w, w.stride_h, w.stride_w, w.dilation_h, w.dilation_w}) {
    if (!inRange(value, 1, kMaxDimension)) return bad("a size of the window is " + std::to_string(value));
  }
  for (const int value : {w.pad_top, w.pad_left, w.pad_bottom, w.pad_right}) {
    if (!inRange(value, 0, kMaxDimension)) return bad("padding of " + std::to_string(value));
  }
  if (outputSize(in.height, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom) != out.height ||
      outputSize(in.width, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left, w.pad_right) != out.width) {
    return bad("the window does not lead from the input's shape to the result's");
  }
  return {};
}

Result<void> checkRange(int low, int high, const Grid& grid) {
  if (low < 0 || low > high || high > grid.max()) return bad("the result's range is not within its grid");
  return {};
}

Result<void> checkFactors(const std::vector<FixedPoint>& factors) {
  for (const FixedPoint& f : factors) {
    if (f.multiplier < 0 || !inRange(f.shift, kMinShift, kMaxShift)) {
      return bad("a requantization factor is out of range");
    }
  }
  return {};
}

// An output stage with `count` factors.
Result<void> checkStage(const OutputStage& stage, std::size_t count, const Grid& grid) {
  if (stage.factors.size() != count) {
    return bad(std::to_string(stage.factors.size()) + " requantization factors where " +
               std::to_string(count) + " are needed");
  }
  TREFOIL_RETURN_IF_ERROR(checkFactors(stage.factors));
  return checkRange(stage.low, stage.high, grid);
}

Result<void> checkSameGrid(const QNode& node, const Inputs& inputs) {
  for (const QNode* input : inputs) {
    if (input->grid.bits != node.grid.bits || input->grid.zero_point != node.grid.zero_point) {
      return bad("an input's grid is not the result's");
    }
  }
  return {};
}

constexpr std::uint64_t kNotZero = 0x0101010101010101U, kNegative = 0x8080808080808080U;

// Up to 8 codes as the bytes of a word, zeros behind.
std::uint64_t codeWord(const std::int8_t* codes, std::size_t count) {
  std::uint64_t word = 0;
  if (count >= sizeof(word)) [[likely]] {
    std::memcpy(&word, codes, sizeof(word));  // a load, not a call
  } else {
    std::memcpy(&word, codes, count);
  }
  return word;
}

bool allCodes(std::span<const std::int8_t> codes) {
  std::uint64_t wrong = 0;
  for (std::size_t i = 0; i < codes.size(); i += 8) {
    const std::uint64_t word = codeWord(&codes[i], codes.size() - i);
    wrong |= word ^ ((word & kNotZero) | (word & kNegative) / 128 * 255);
  }
  return wrong == 0;
}

// How many of some codes (-1, 0, +1) have these bits, the same in every byte of the mask.
int countBits(const std::int8_t* codes, int count, std::uint64_t mask) {
  int sum = 0;
  for (; count > 0; codes += 8, count -= 8) {
    sum += std::popcount(codeWord(codes, static_cast<std::size_t>(count)) & mask);
  }
  return sum;
}

Result<void> checkTernary(const TernaryWeights& ternary, std::size_t weights, int filters, int channels,
                          int taps) {
  if (ternary.planes.size() > 2)
    return bad(std::to_string(ternary.planes.size()) + " ternary planes, 2 are possible");
  if (ternary.group_size != kWholeFilter && !inRange(ternary.group_size, 1, kMaxDimension)) {
    return bad("a group size of " + std::to_string(ternary.group_size));
  }
  // No overflow: there are no more scales than weights, whose count is within kMaxElements.
  const auto scales = static_cast<std::size_t>(filters) *
                      static_cast<std::size_t>(scalesPerFilter(channels, taps, ternary.group_size));
  for (const TernaryPlane& plane : ternary.planes) {
    if (plane.codes.size() != weights) {
      return bad(std::to_string(plane.codes.size()) + " codes where " + std::to_string(weights) +
                 " are needed");
    }
    if (plane.scales.size() != scales ||
        (!plane.negative_scales.empty() && plane.negative_scales.size() != scales)) {
      return bad("the plane needs " + std::to_string(scales) + " scales");
    }
    if (!allCodes(plane.codes)) return bad("a code is not -1, 0 or +1");
  }
  return {};
}

// Sum of |weight| of one filter, over both planes by themselves (what a kernel may add up in any order). Not
// inlined: WebAssembly engines optimize functions that are called often, not long loops.
[[gnu::noinline]] std::int64_t filterMagnitude(const QConvOp& conv, int filter, int channels, int taps) {
  const int per_filter = channels * taps;
  const std::int64_t first = std::int64_t{filter} * per_filter;
  std::int64_t sum = 0;
  for (int i = 0; !conv.int8.empty() && i < per_filter; ++i) {
    sum += std::abs(int{conv.int8[static_cast<std::size_t>(first + i)]});
  }
  const int group_size = conv.ternary.group_size;
  const int scales = scalesPerFilter(channels, taps, group_size);
  // The runs of codes that share a scale.
  const int row = group_size == kWholeFilter ? per_filter : channels;
  const int longest = group_size == kWholeFilter ? per_filter : std::min(group_size, channels);
  for (const TernaryPlane& plane : conv.ternary.planes) {
    const bool two_sided = !plane.negative_scales.empty();
    std::size_t scale = static_cast<std::size_t>(filter) * static_cast<std::size_t>(scales);
    for (int begin = 0; begin < per_filter; begin += row) {
      for (int c = 0; c < row; c += longest, ++scale) {
        const std::int8_t* codes = plane.codes.data() + first + begin + c;
        const int count = std::min(longest, row - c);
        sum += std::int64_t{countBits(codes, count, kNotZero)} * plane.scales[scale];
        if (two_sided) {
          sum += std::int64_t{countBits(codes, count, kNegative)} *
                 (plane.negative_scales[scale] - plane.scales[scale]);
        }
      }
    }
  }
  return sum;
}

Result<void> checkConv(const QNode& node, const QConvOp& conv, const QNode& input, bool accumulators) {
  const Shape& in = input.shape;
  TREFOIL_RETURN_IF_ERROR(checkWindow(conv.window, in, node.shape));
  const std::int64_t weights = convWeightCount(node, conv, in);
  if (weights < 0) return bad("groups, channels and kernel size contradict each other");
  const int filters = node.shape.channels;
  const int channels = in.channels / conv.groups;
  const int taps = conv.window.kernel_h * conv.window.kernel_w;

  if (conv.ternary.planes.empty() == conv.int8.empty()) return bad("needs either ternary or int8 weights");
  if (!conv.int8.empty() && conv.int8.size() != static_cast<std::size_t>(weights)) {
    return bad(std::to_string(conv.int8.size()) + " weights where " + std::to_string(weights) +
               " are needed");
  }
  TREFOIL_RETURN_IF_ERROR(
      checkTernary(conv.ternary, static_cast<std::size_t>(weights), filters, channels, taps));

  const auto filter_count = static_cast<std::size_t>(filters);
  if (conv.bias.size() != filter_count) return bad("needs one bias a filter");
  if (conv.filter_scales.size() != filter_count) return bad("needs one filter scale a filter");
  if (!std::all_of(conv.filter_scales.begin(), conv.filter_scales.end(),
                   [](float s) { return std::isfinite(s); })) {
    return bad("a filter scale is not finite");
  }
  if (conv.pad_values.size() != static_cast<std::size_t>(in.channels))
    return bad("needs one pad value a channel");
  const int input_max = input.grid.max();
  if (std::any_of(conv.pad_values.begin(), conv.pad_values.end(), [=](int v) { return v > input_max; })) {
    return bad("a pad value is outside the input's grid");
  }
  if (accumulators) {
    TREFOIL_RETURN_IF_ERROR(checkFactors(conv.output.factors));
  } else {
    TREFOIL_RETURN_IF_ERROR(checkStage(conv.output, filter_count, node.grid));
  }

  for (int k = 0; k < filters; ++k) {
    const std::int64_t bias = conv.bias[static_cast<std::size_t>(k)];
    const std::int64_t largest = std::abs(bias) + filterMagnitude(conv, k, channels, taps) * input_max;
    if (largest >= std::int64_t{1} << 31) {
      return makeError(ErrorCode::kOverflow,
                       "filter " + std::to_string(k) + " can reach " + std::to_string(largest) +
                           ", beyond 32-bit accumulation; quantize the layer with smaller "
                           "scales, fewer planes or fewer activation bits");
    }
  }
  return {};
}

Result<void> checkAdd(const QNode& node, const QAddOp& add, const Inputs& inputs) {
  if (inputs[0]->shape != node.shape || inputs[1]->shape != node.shape) return bad("shapes to add differ");
  for (const std::int32_t m : add.multipliers) {
    if (!inRange(m, -(1 << 21), 1 << 21)) return bad("a multiplier is out of range");
  }
  if (!inRange(add.shift, 0, 30)) return bad("a shift is out of range");
  return checkRange(add.low, add.high, node.grid);
}

Result<void> checkMul(const QNode& node, const QMulOp& mul, const Inputs& inputs) {
  const Shape& second = inputs[1]->shape;
  if (inputs[0]->shape != node.shape ||
      (second != node.shape && second != Shape{node.shape.channels, 1, 1})) {
    return bad("shapes to multiply differ");
  }
  return checkStage(mul.output, 1, node.grid);
}

Result<void> checkConcat(const QNode& node, const Inputs& inputs) {
  std::int64_t channels = 0;
  for (const QNode* input : inputs) {
    channels += input->shape.channels;
    if (input->shape.height != node.shape.height || input->shape.width != node.shape.width) {
      return bad("the parts differ in rows or columns");
    }
  }
  if (channels != node.shape.channels) return bad("the parts' channels do not add up to the result's");
  return checkSameGrid(node, inputs);
}

// Every window holds at least one pixel. Pads below the window's extent keep each end of it from lying wholly
// outside, and a dilation within the image keeps the taps from stepping over it.
bool windowsTouch(std::int64_t in, int kernel, int dilation, int before, int after) {
  const std::int64_t reach = std::int64_t{kernel - 1} * dilation;
  return before <= reach && after <= reach && (dilation <= in || (before == 0 && after == 0));
}

Result<void> checkPool(const QNode& node, const QPoolOp& pool, const Inputs& inputs, bool accumulators) {
  const Shape& in = inputs[0]->shape;
  const Window& w = pool.window;
  if (in.channels != node.shape.channels) return bad("a pool keeps the channels");
  TREFOIL_RETURN_IF_ERROR(checkWindow(w, in, node.shape));
  if (!windowsTouch(in.height, w.kernel_h, w.dilation_h, w.pad_top, w.pad_bottom) ||
      !windowsTouch(in.width, w.kernel_w, w.dilation_w, w.pad_left, w.pad_right)) {
    return bad("a window of the pool can lie outside the image");
  }
  if (!pool.average) return checkSameGrid(node, inputs);

  const std::int64_t rows = std::min(w.kernel_h, in.height);
  const std::int64_t columns = std::min(w.kernel_w, in.width);
  const std::int64_t most = rows * columns;  // pixels in one window
  if (most * 255 >= std::int64_t{1} << 31) {
    return makeError(ErrorCode::kOverflow,
                     "a window of " + std::to_string(most) + " pixels can exceed 32-bit sums");
  }
  if (accumulators) {
    const auto end_h =
        std::int64_t{node.shape.height - 1} * w.stride_h + std::int64_t{w.kernel_h - 1} * w.dilation_h;
    const auto end_w =
        std::int64_t{node.shape.width - 1} * w.stride_w + std::int64_t{w.kernel_w - 1} * w.dilation_w;
    if (w.pad_top != 0 || w.pad_left != 0 || end_h >= in.height || end_w >= in.width) {
      return bad("a pool that yields sums must have its windows inside the image");
    }
    return checkFactors(pool.output.factors);
  }
  const std::size_t count = pool.output.factors.size();
  const bool one_a_count =
      inRange(static_cast<std::int64_t>(count), most, std::int64_t{w.kernel_h} * w.kernel_w);
  return checkStage(pool.output, one_a_count ? count : 1, node.grid);
}

Result<void> checkLookup(const QNode& node, const QLookupOp& lookup, const Inputs& inputs) {
  if (inputs[0]->shape != node.shape) return bad("a lookup keeps the shape");
  const auto per_channel = std::size_t{256} * static_cast<std::size_t>(node.shape.channels);
  if (lookup.table.size() != 256 && lookup.table.size() != per_channel) {
    return bad("the table has " + std::to_string(lookup.table.size()) + " entries, not 256 or 256 a channel");
  }
  const int limit = node.grid.max();
  if (std::any_of(lookup.table.begin(), lookup.table.end(), [=](int v) { return v > limit; })) {
    return bad("an entry of the table is outside the result's grid");
  }
  return {};
}

Result<void> checkLrn(const QNode& node, const QLrnOp& lrn, const Inputs& inputs) {
  if (inputs[0]->shape != node.shape) return bad("a normalization keeps the shape");
  // 4096 * 255^2 < 2^31 keeps the sum of squares, and 255 * 2^21 the product, within 32 bits.
  if (!inRange(lrn.size, 1, 4096))
    return bad("normalizes over " + std::to_string(lrn.size) + " channels, 1 to 4096 work");
  if (!inRange(lrn.table_shift, 0, 31) || !inRange(lrn.shift, 0, kMaxShift))
    return bad("a shift is out of range");
  if (lrn.table.empty() || lrn.table.size() > 4096) return bad("the table needs 1 to 4096 entries");
  if (std::any_of(lrn.table.begin(), lrn.table.end(), [](int v) { return !inRange(v, 0, 1 << 21); })) {
    return bad("an entry of the table is out of range");
  }
  return {};
}

Result<void> checkPad(const QNode& node, const QPadOp& pad, const Inputs& inputs) {
  const Shape& in = inputs[0]->shape;
  const int from[3] = {in.channels, in.height, in.width};
  const int to[3] = {node.shape.channels, node.shape.height, node.shape.width};
  for (int axis = 0; axis < 3; ++axis) {
    if (!inRange(pad.before[axis], 0, kMaxDimension) || !inRange(pad.after[axis], 0, kMaxDimension) ||
        from[axis] + pad.before[axis] + pad.after[axis] != to[axis]) {
      return bad("the padding does not lead from the input's shape to the result's");
    }
  }
  if (!inRange(pad.value, 0, node.grid.max())) return bad("the pad value is outside the grid");
  return checkSameGrid(node, inputs);
}

Result<void> checkSlice(const QNode& node, const QSliceOp& slice, const Inputs& inputs) {
  const Shape& in = inputs[0]->shape;
  const int from[3] = {in.channels, in.height, in.width};
  const int to[3] = {node.shape.channels, node.shape.height, node.shape.width};
  for (int axis = 0; axis < 3; ++axis) {
    if (slice.start[axis] < 0 || slice.step[axis] < 1 ||
        slice.start[axis] + std::int64_t{to[axis] - 1} * slice.step[axis] >= from[axis]) {
      return bad("the slice reaches outside the input");
    }
  }
  return checkSameGrid(node, inputs);
}

}  // namespace

std::int64_t convWeightCount(const QNode& node, const QConvOp& conv, const Shape& in) {
  const int filters = node.shape.channels;
  const Window& w = conv.window;
  for (const int size : {filters, in.channels, w.kernel_h, w.kernel_w, conv.groups}) {
    if (!inRange(size, 1, kMaxDimension)) return -1;
  }
  if (in.channels % conv.groups != 0 || filters % conv.groups != 0) return -1;
  std::int64_t count = 1;
  for (const int size : {filters, w.kernel_h, w.kernel_w, in.channels / conv.groups}) {
    count *= size;
    if (count > kMaxElements) return -1;
  }
  return count;
}

Result<void> validateOp(const QNode& node, const std::vector<const QNode*>& inputs, bool accumulators) {
  if (std::holds_alternative<QInputOp>(node.op)) {
    if (node.shape.channels != 1 && node.shape.channels != 3) return bad("the input needs 1 or 3 channels");
    if (node.grid.bits != 8 || node.grid.zero_point != 0) return bad("the input's grid is 8 bits from 0");
    return {};
  }
  if (const auto* conv = std::get_if<QConvOp>(&node.op))
    return checkConv(node, *conv, *inputs[0], accumulators);
  if (const auto* add = std::get_if<QAddOp>(&node.op)) return checkAdd(node, *add, inputs);
  if (const auto* mul = std::get_if<QMulOp>(&node.op)) return checkMul(node, *mul, inputs);
  if (const auto* rescale = std::get_if<QRescaleOp>(&node.op)) {
    if (inputs[0]->shape != node.shape) return bad("a rescale keeps the shape");
    return checkStage(rescale->output, 1, node.grid);
  }
  if (std::holds_alternative<QConcatOp>(node.op)) return checkConcat(node, inputs);
  if (const auto* pool = std::get_if<QPoolOp>(&node.op)) return checkPool(node, *pool, inputs, accumulators);
  if (const auto* lookup = std::get_if<QLookupOp>(&node.op)) return checkLookup(node, *lookup, inputs);
  if (const auto* lrn = std::get_if<QLrnOp>(&node.op)) return checkLrn(node, *lrn, inputs);
  if (const auto* pad = std::get_if<QPadOp>(&node.op)) return checkPad(node, *pad, inputs);
  if (const auto* slice = std::get_if<QSliceOp>(&node.op)) return checkSlice(node, *slice, inputs);
  if (inputs[0]->shape.size() != node.shape.size()) return bad("a reshape keeps the number of elements");
  return checkSameGrid(node, inputs);
}

std::int64_t opWork(const QNode& node, const std::vector<const QNode*>& inputs) {
  std::int64_t steps = 1;  // a value of the result
  if (const auto* conv = std::get_if<QConvOp>(&node.op)) {
    steps = convWeightCount(node, *conv, inputs[0]->shape) / node.shape.channels;
    steps *= std::max<std::int64_t>(1, static_cast<std::int64_t>(conv->ternary.planes.size()));
  } else if (const auto* pool = std::get_if<QPoolOp>(&node.op)) {
    const Shape& in = inputs[0]->shape;
    steps =
        std::int64_t{std::min(pool->window.kernel_h, in.height)} * std::min(pool->window.kernel_w, in.width);
  }
  return steps * node.shape.size();
}

}  // namespace trefoil
