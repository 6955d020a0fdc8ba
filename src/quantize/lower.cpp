#include "quantize/lower.h"

#include <algorithm>
#include <cmath>

#include "graph/float_eval.h"
#include "quantize/grid_search.h"

namespace trefoil {
namespace {

constexpr double kMaxMultiplier = 1 << 21;
constexpr std::int64_t kMaxPoolPixels = (std::int64_t{1} << 31) / 256;

const Step& input(const Program& program, const Step& step, int i) { return program.steps[step.inputs[i]]; }

OutputStage stage(const Step& step) {
  const ClampPoints points = clampPoints(step);
  OutputStage result;
  result.low = points.low;
  result.high = points.high;
  return result;
}

Result<OutputStage> stageWithFactor(const Step& step, double factor) {
  OutputStage result = stage(step);
  result.factors.resize(1);
  if (fixedPointFromReal(factor, &result.factors[0])) return result;
  return makeError(ErrorCode::kOverflow, "'" + step.name + "' would have to scale up by " +
                                             std::to_string(factor) +
                                             "; use another clip rule or more activation bits");
}

// The largest shift up to `limit` that keeps value * 2^shift within the multiplier's range.
int shiftFor(double value, int limit) {
  int shift = 0;
  while (shift < limit && std::ldexp(value, shift + 1) <= kMaxMultiplier) ++shift;
  return shift;
}

std::int32_t multiplierOf(double value, int shift) {
  return static_cast<std::int32_t>(std::min(std::floor(std::ldexp(value, shift) + 0.5), kMaxMultiplier));
}

QAddOp lowerAdd(const Program& program, const Step& step) {
  QAddOp op;
  double ratios[2];
  for (int i = 0; i < 2; ++i) ratios[i] = double{input(program, step, i).grid.scale} / step.grid.scale;
  op.shift = shiftFor(std::max(ratios[0], ratios[1]), 30);
  for (int i = 0; i < 2; ++i) op.multipliers[i] = multiplierOf(ratios[i], op.shift);
  const ClampPoints points = clampPoints(step);
  op.low = points.low;
  op.high = points.high;
  return op;
}

Result<QOp> lowerAveragePool(const Program& program, const Step& step) {
  const auto& pool = std::get<PoolOp>(program.graph.nodes[step.node].op);
  const Step& source = input(program, step, 0);
  QPoolOp op;
  op.average = true;
  op.window = pool.window;
  if (step.accumulators) return QOp(op);
  op.output = stage(step);
  const double ratio = double{source.grid.scale} / step.grid.scale;
  const std::int64_t area = windowArea(pool.window);
  const std::int64_t fewest = fewestInside(pool.window, source.shape, step.shape);
  if (area > kMaxPoolPixels) {
    return makeError(ErrorCode::kOverflow, "average pool '" + step.name + "' has a window of " +
                                               std::to_string(area) +
                                               " pixels, whose sum can exceed 32 bits");
  }
  const bool one = pool.count_include_pad || fewest == area;
  for (std::int64_t n = one ? area : 1; n <= area; ++n) {
    // Counts that never occur have no factor that means anything.
    const std::int64_t pixels = one ? n : std::max(n, fewest);
    FixedPoint factor;
    if (!fixedPointFromReal(ratio / static_cast<double>(pixels), &factor)) {
      return makeError(ErrorCode::kOverflow, "average pool '" + step.name + "' would have to scale up");
    }
    op.output.factors.push_back(factor);
  }
  return QOp(std::move(op));
}

// f(x) for all 256 points of the input's grid, by the float evaluator itself.
QLookupOp lowerLookup(const Program& program, const Step& step) {
  const Grid& in = input(program, step, 0).grid;
  const Op& activation = program.graph.nodes[step.node].op;
  const bool by_channel = !std::get<ActivationOp>(activation).slopes.empty();
  const Shape shape{by_channel ? step.shape.channels : 1, 256, 1};
  Graph graph;
  graph.nodes = {Node{"x", InputOp{}, {}, shape}, Node{"f", activation, {0}, shape}};
  graph.output = 1;
  std::vector<float> x(static_cast<std::size_t>(shape.size()));
  std::vector<float> y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = in.scale * static_cast<float>(static_cast<int>(i % 256) - in.zero_point);
  }
  evaluateNode(graph, 1, {x}, y);
  const ClampPoints points = clampPoints(step);
  QLookupOp op;
  op.table.resize(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double value = step.gated ? double{y[i]} * x[i] : y[i];
    op.table[i] = static_cast<std::uint8_t>(quantizeValue(value, step.grid, points.low, points.high));
  }
  return op;
}

QLrnOp lowerLrn(const Program& program, const Step& step) {
  constexpr std::int64_t kMaxEntries = 4096;
  const auto& lrn = std::get<LrnOp>(program.graph.nodes[step.node].op);
  const Grid& in = input(program, step, 0).grid;
  QLrnOp op;
  op.size = lrn.size;
  const std::int64_t reach = std::max(in.zero_point, in.max() - in.zero_point);
  const std::int64_t terms = std::min(lrn.size, step.shape.channels);
  const std::int64_t largest_sum = terms * reach * reach;
  while ((largest_sum >> op.table_shift) >= kMaxEntries) ++op.table_shift;
  const auto entries = static_cast<std::size_t>(largest_sum >> op.table_shift) + 1;
  std::vector<double> factors(entries);
  for (std::size_t i = 0; i < entries; ++i) {
    // The middle of the sums that share the entry.
    const double sum =
        std::ldexp(static_cast<double>(i), op.table_shift) + (std::ldexp(1.0, op.table_shift) - 1) / 2;
    const double base = lrn.bias + double{lrn.alpha} / lrn.size * in.scale * in.scale * sum;
    factors[i] = double{in.scale} / step.grid.scale * std::pow(std::max(base, 1e-12), -double{lrn.beta});
  }
  op.shift = shiftFor(*std::max_element(factors.begin(), factors.end()), kMaxShift);
  for (const double factor : factors) op.table.push_back(multiplierOf(factor, op.shift));
  return op;
}

QPadOp lowerPad(const Program& program, const Step& step) {
  const auto& pad = std::get<PadOp>(program.graph.nodes[step.node].op);
  QPadOp op;
  std::copy(std::begin(pad.before), std::end(pad.before), op.before);
  std::copy(std::begin(pad.after), std::end(pad.after), op.after);
  op.value = quantizeValue(pad.value, step.grid, 0, step.grid.max());
  return op;
}

QSliceOp lowerSlice(const Program& program, const Step& step) {
  const auto& slice = std::get<SliceOp>(program.graph.nodes[step.node].op);
  QSliceOp op;
  std::copy(std::begin(slice.start), std::end(slice.start), op.start);
  std::copy(std::begin(slice.step), std::end(slice.step), op.step);
  return op;
}

}  // namespace

Result<QOp> lowerStep(const Program& program, const Step& step) {
  switch (step.kind) {
    case StepKind::kInput:
      return QOp(QInputOp{});
    case StepKind::kConv:
      break;  // lowerConv()
    case StepKind::kAdd:
      return QOp(lowerAdd(program, step));
    case StepKind::kMul: {
      const double product = double{input(program, step, 0).grid.scale} * input(program, step, 1).grid.scale;
      auto output = stageWithFactor(step, product / step.grid.scale);
      if (!output) return output.error();
      return QOp(QMulOp{std::move(*output)});
    }
    case StepKind::kRescale: {
      auto output = stageWithFactor(step, double{input(program, step, 0).grid.scale} / step.grid.scale);
      if (!output) return output.error();
      return QOp(QRescaleOp{std::move(*output)});
    }
    case StepKind::kConcat:
      return QOp(QConcatOp{});
    case StepKind::kMaxPool: {
      QPoolOp op;
      op.window = std::get<PoolOp>(program.graph.nodes[step.node].op).window;
      op.output.high = step.grid.max();
      return QOp(std::move(op));
    }
    case StepKind::kAveragePool:
      return lowerAveragePool(program, step);
    case StepKind::kLookup:
      return QOp(lowerLookup(program, step));
    case StepKind::kLrn:
      return QOp(lowerLrn(program, step));
    case StepKind::kPad:
      return QOp(lowerPad(program, step));
    case StepKind::kSlice:
      return QOp(lowerSlice(program, step));
    case StepKind::kReshape:
      return QOp(QReshapeOp{});
  }
  return makeError(ErrorCode::kUnsupportedOp, "'" + step.name + "' is no operation of this kind");
}

}  // namespace trefoil
