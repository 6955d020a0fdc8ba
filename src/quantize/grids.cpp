// Which steps share a grid, and which grid that is.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "graph/float_ops.h"
#include "quantize/grid_search.h"
#include "quantize/program.h"

namespace trefoil {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Keeps real factors below 1 (what a FixedPoint holds) through rounding to float scales.
constexpr double kAbove = 1 + 1e-6;

// An input whose values span less than this share of a concatenation loses that part of its grid by sharing
// it.
constexpr double kShareable = 0.5;

// What only a sum reads has a bit more than the sum, where it has less than 8: its rounding comes on top of
// the sum's own, and takes no time away, as kernels for sums of 4 bits take 5 as well.
constexpr int kMoreSummandBits = 2;

// Pads with values of their own; -infinity and the like (in front of a max pool) stand for the grid's end.
bool addsValues(const Program& program, const Step& step) {
  if (step.kind != StepKind::kPad) return !passesOn(step.kind) && step.kind != StepKind::kInput;
  const float value = std::get<PadOp>(program.graph.nodes[step.node].op).value;
  return value != 0 && std::fabs(value) < 1e30F;
}

// Disjoint sets of steps; the smallest step stands for its set. Each knows the largest magnitude of its
// values.
class Sets {
 public:
  explicit Sets(std::size_t count) : parent_(count), largest_(count, 0) {
    std::iota(parent_.begin(), parent_.end(), 0);
  }
  int find(int step) {
    while (parent_[step] != step) step = parent_[step] = parent_[parent_[step]];
    return step;
  }
  void join(int a, int b) {
    a = find(a);
    b = find(b);
    parent_[std::max(a, b)] = std::min(a, b);
    largest_[std::min(a, b)] = std::max(largest_[a], largest_[b]);
  }
  void reach(int step, double magnitude) { largest_[find(step)] = std::max(largest_[find(step)], magnitude); }
  double largest(int step) { return largest_[find(step)]; }

 private:
  std::vector<int> parent_;
  std::vector<double> largest_;
};

struct ConcatInput {
  int concat = 0;  // step
  std::size_t slot = 0;
};

// The inputs of concatenations that are better rescaled than kept on the concatenation's grid: others read
// them too, and their values are small. A set of steps is only ever rescaled to one of at least twice its
// range, so sets never depend on each other in a circle.
std::vector<ConcatInput> chooseRescales(const Calibration& calibration, const Program& program) {
  const std::vector<Step>& steps = program.steps;
  const auto readers = findReaders(program);
  Sets sets(steps.size());
  std::vector<ConcatInput> open;
  for (int i = 0; i < static_cast<int>(steps.size()); ++i) {
    const Histogram& histogram = calibration.values[steps[i].result];
    sets.reach(i, std::max(-histogram.min(), histogram.max()));
    if (!passesOn(steps[i].kind)) continue;
    for (std::size_t slot = 0; slot < steps[i].inputs.size(); ++slot) {
      const int source = steps[i].inputs[slot];
      if (steps[i].kind == StepKind::kConcat && readers[source].size() > 1) {
        open.push_back({i, slot});
      } else {
        sets.join(i, source);
      }
    }
  }
  for (const ConcatInput& in : open) {  // the concatenation's range is that of all its inputs
    sets.reach(in.concat, sets.largest(steps[in.concat].inputs[in.slot]));
  }
  // Joining widens ranges, which may change what was decided before.
  for (bool changed = true; changed;) {
    std::vector<ConcatInput> rescaled;
    for (const ConcatInput& in : open) {
      const int source = steps[in.concat].inputs[in.slot];
      if (sets.largest(source) < kShareable * sets.largest(in.concat)) {
        rescaled.push_back(in);
      } else {
        sets.join(in.concat, source);
      }
    }
    changed = rescaled.size() < open.size();
    open = std::move(rescaled);
  }
  return open;
}

void insertRescales(const Calibration& calibration, Program* program) {
  const std::vector<ConcatInput> chosen = chooseRescales(calibration, *program);
  auto next = chosen.begin();
  std::vector<Step> steps;
  std::vector<int> place;
  for (std::size_t i = 0; i < program->steps.size(); ++i) {
    Step& step = program->steps[i];
    for (int& in : step.inputs) in = place[in];
    for (; next != chosen.end() && next->concat == static_cast<int>(i); ++next) {
      int& in = step.inputs[next->slot];
      const Step& source = steps[in];
      Step rescale;
      rescale.kind = StepKind::kRescale;
      rescale.name = step.name + "/rescale" + std::to_string(next->slot);
      rescale.node = rescale.result = source.result;
      rescale.shape = source.shape;
      rescale.inputs = {in};
      in = static_cast<int>(steps.size());
      steps.push_back(std::move(rescale));
    }
    place.push_back(static_cast<int>(steps.size()));
    steps.push_back(std::move(step));
  }
  program->steps = std::move(steps);
}

// A convolution without an activation behind it: a linear bottleneck, which is what a residual stream is made
// of where a block has no sum. Both signs share its grid.
bool isLinear(const Step& step) {
  return step.kind == StepKind::kConv && step.low < 0 && step.high == kInfinity;
}

// Its weights are int8 unless a recipe says otherwise, and its kernels as fast with 8 bits as with 4.
bool isDepthwise(const Program& program, int index) {
  const Step& step = program.steps[index];
  if (step.kind != StepKind::kConv) return false;
  const auto& conv = std::get<ConvOp>(program.graph.nodes[step.node].op);
  return conv.groups > 1 && conv.groups == program.steps[step.inputs[0]].shape.channels;
}

// Bits that the step's result asks for by its place in the network.
int wantedBits(const Program& program, const std::vector<std::vector<int>>& readers, int index,
               const std::vector<LayerChoice>& choices, const Recipe& recipe) {
  const Step& step = program.steps[index];
  const auto all_read = [&](StepKind kind) {
    return !readers[index].empty() &&
           std::all_of(readers[index].begin(), readers[index].end(),
                       [&](int reader) { return program.steps[reader].kind == kind; });
  };
  const auto any_reads = [&](StepKind kind) {
    return std::any_of(readers[index].begin(), readers[index].end(),
                       [&](int reader) { return program.steps[reader].kind == kind; });
  };
  const auto from = [&](StepKind kind) { return program.steps[step.inputs[0]].kind == kind; };
  if (all_read(StepKind::kLookup)) return 8;  // a table of 256 entries wants 256 points
  if (step.kind == StepKind::kLookup && from(StepKind::kConv)) {
    const auto& override_bits = choices[program.steps[step.inputs[0]].node].activation_bits;
    if (override_bits) return *override_bits;
  }
  if (step.kind == StepKind::kConv && choices[step.node].activation_bits)
    return *choices[step.node].activation_bits;
  // Few values, with much resting on each: averages of whole planes, gates, the scores themselves.
  if (step.kind == StepKind::kAveragePool && step.shape.plane() == 1) return 8;
  if (any_reads(StepKind::kMul) || readers[index].empty()) return 8;
  const bool sum = step.kind == StepKind::kAdd || (step.kind == StepKind::kLookup && from(StepKind::kAdd));
  if (!sum && all_read(StepKind::kAdd)) return std::min(recipe.residual_bits + kMoreSummandBits, 8);
  if (sum || any_reads(StepKind::kAdd)) return recipe.residual_bits;
  const int more = std::max(recipe.activation_bits, recipe.residual_bits);
  if (isLinear(step) && all_read(StepKind::kConv)) return more;
  const bool depthwise =
      !readers[index].empty() && std::all_of(readers[index].begin(), readers[index].end(),
                                             [&](int reader) { return isDepthwise(program, reader); });
  if (depthwise && !passesOn(step.kind)) return more;
  return passesOn(step.kind) ? 0 : recipe.activation_bits;  // what puts values on the grid decides
}

// A table's function, where all channels share it.
double tableAt(const ActivationOp& activation, bool gated, double x) {
  const auto in = static_cast<float>(x);
  float out = 0;
  evaluateActivation(activation, {1, 1, 1}, &in, &out);
  return gated ? x * out : double{out};
}

// Its derivative; of a PReLU the root mean square of its channels'.
double slopeAt(const ActivationOp& activation, bool gated, double x) {
  if (activation.kind == Activation::kPRelu) {
    double squares = 0;
    for (const float slope : activation.slopes) squares += double{slope} * slope;
    return x >= 0 ? 1 : std::sqrt(squares / static_cast<double>(activation.slopes.size()));
  }
  const double step = 0.01 * std::max(1.0, std::fabs(x));
  return (tableAt(activation, gated, x + step) - tableAt(activation, gated, x - step)) / (2 * step);
}

// Where a table's function no longer changes (or hardly), its input's grid need not reach; where it is flat,
// errors count less.
void limitToTable(const Program& program, const Step& lookup, GridRequest* request) {
  const auto& activation = std::get<ActivationOp>(program.graph.nodes[lookup.node].op);
  double low = -kInfinity;
  double high = kInfinity;
  switch (activation.kind) {
    case Activation::kRelu:
      low = 0;
      break;
    case Activation::kClip:
      low = activation.low;
      high = activation.high;
      break;
    case Activation::kHardSwish:
      low = -3;
      break;
    case Activation::kHardSigmoid:
      if (activation.alpha > 0) {
        low = -activation.beta / activation.alpha;
        high = (1 - activation.beta) / activation.alpha;
      }
      break;
    case Activation::kSigmoid:
      low = -10;
      high = 10;
      break;
    case Activation::kLeakyRelu:
    case Activation::kPRelu:
      break;
  }
  if (lookup.gated) high = kInfinity;
  // Clamps have their bounds; other functions make errors smaller in some places than in others.
  if (activation.kind != Activation::kRelu && activation.kind != Activation::kClip) {
    request->slope = [&activation, gated = lookup.gated](double x) { return slopeAt(activation, gated, x); };
  }
  // Bounds away from zero leave nothing to gain: the grid holds zero anyway.
  request->lowest = std::min(low, 0.0);
  request->highest = std::max(high, 0.0);
}

// A table's results as they come from the points of its input's grid, on which they have been rounded
// already.
std::vector<GridSample> tableSamples(const Histogram& inputs, const Grid& before,
                                     const ActivationOp& activation, bool gated) {
  std::vector<GridSample> samples = samplesOf(inputs);
  for (GridSample& sample : samples) {
    const int point = quantizeValue(sample.value, before, 0, before.max());
    sample.arrives = tableAt(activation, gated, double{before.scale} * (point - before.zero_point));
    sample.value = tableAt(activation, gated, sample.value);
  }
  return samples;
}

// What the scale of the step's result must be at least, so that its factors can be written.
double leastScale(const Program& program, const Step& step) {
  const auto scale = [&](int input) { return double{program.steps[step.inputs[input]].grid.scale}; };
  const Node& node = program.graph.nodes[step.node];
  switch (step.kind) {
    case StepKind::kRescale:
      return scale(0) * kAbove;
    case StepKind::kMul:
      return scale(0) * scale(1) * kAbove;
    case StepKind::kAdd:
      return std::max(scale(0), scale(1)) / (1 << 20);
    case StepKind::kAveragePool: {
      const auto& pool = std::get<PoolOp>(node.op);
      const Shape& in = program.steps[step.inputs[0]].shape;
      const std::int64_t pixels =
          pool.count_include_pad ? windowArea(pool.window) : fewestInside(pool.window, in, node.shape);
      return scale(0) * kAbove / static_cast<double>(pixels);
    }
    default:
      return 0;
  }
}

}  // namespace

bool passesOn(StepKind kind) {
  return kind == StepKind::kMaxPool || kind == StepKind::kPad || kind == StepKind::kSlice ||
         kind == StepKind::kReshape || kind == StepKind::kConcat;
}

std::vector<int> gridSets(const Program& program) {
  Sets sets(program.steps.size());
  for (int i = 0; i < static_cast<int>(program.steps.size()); ++i) {
    if (!passesOn(program.steps[i].kind)) continue;
    for (const int in : program.steps[i].inputs) sets.join(i, in);
  }
  std::vector<int> first(program.steps.size());
  for (std::size_t i = 0; i < first.size(); ++i) first[i] = sets.find(static_cast<int>(i));
  return first;
}

std::vector<bool> histogramsNeeded(const Program& program) {
  std::vector<bool> needed(program.graph.nodes.size());
  for (const Step& step : program.steps) {
    if (addsValues(program, step) && !step.accumulators) needed[step.result] = true;
    if (step.kind != StepKind::kConcat) continue;
    for (const int in : step.inputs) needed[program.steps[in].result] = true;
  }
  return needed;
}

Result<void> assignGrids(const Calibration& calibration, const std::vector<LayerChoice>& choices,
                         const Recipe& recipe, Program* program) {
  insertRescales(calibration, program);
  std::vector<Step>& steps = program->steps;
  const auto readers = findReaders(*program);
  const int count = static_cast<int>(steps.size());
  const std::vector<int> sets = gridSets(*program);

  std::vector<Histogram> histograms(steps.size());      // by set
  std::vector<std::vector<int>> putting(steps.size());  // by set: the steps that put values on its grid
  std::vector<int> bits(steps.size(), 0);
  std::vector<int> members(steps.size(), 0);
  for (int i = 0; i < count; ++i) {
    const int set = sets[i];
    ++members[set];
    bits[set] = std::max(bits[set], wantedBits(*program, readers, i, choices, recipe));
    if (!addsValues(*program, steps[i]) || steps[i].accumulators) continue;
    putting[set].push_back(i);
    histograms[set].merge(calibration.values[steps[i].result]);
  }
  const auto in_front_of_table = [&](int i) {
    return members[sets[i]] == 1 && readers[i].size() == 1 && steps[readers[i][0]].kind == StepKind::kLookup;
  };
  // Where one table serves all channels, and the grid in front of it is its own.
  const auto rounded_before = [&](int i) {
    return steps[i].kind == StepKind::kLookup && in_front_of_table(steps[i].inputs[0]) &&
           std::get<ActivationOp>(program->graph.nodes[steps[i].node].op).kind != Activation::kPRelu;
  };
  for (const bool tables : {true, false}) {  // the grids that tables read come first
    for (int i = 0; i < count; ++i) {
      if (sets[i] != i || steps[i].accumulators || in_front_of_table(i) != tables) continue;
      if (steps[i].kind == StepKind::kInput) {
        steps[i].grid = {8, 0, 1.0F / 255};
        continue;
      }
      GridRequest request{bits[i], recipe.clip, recipe.percentile};
      if (tables) limitToTable(*program, steps[readers[i][0]], &request);
      if (std::any_of(putting[i].begin(), putting[i].end(), rounded_before)) {
        for (const int j : putting[i]) {
          std::vector<GridSample> samples;
          if (rounded_before(j)) {
            const Step& source = steps[steps[j].inputs[0]];
            const auto& activation = std::get<ActivationOp>(program->graph.nodes[steps[j].node].op);
            samples =
                tableSamples(calibration.values[source.result], source.grid, activation, steps[j].gated);
            request.scales_before.push_back(source.grid.scale);
          } else {
            samples = samplesOf(calibration.values[steps[j].result]);
          }
          request.samples.insert(request.samples.end(), samples.begin(), samples.end());
        }
      }
      steps[i].grid = searchGrid(histograms[i], request);
    }
  }

  // Scales only rise, so this ends at once in all but contrived networks, where sets depend on each other in
  // circles.
  constexpr int kRounds = 16;
  for (int round = 0;; ++round) {
    bool changed = false;
    for (int i = 0; i < count; ++i) {
      if (steps[i].accumulators) continue;
      Grid& grid = steps[sets[i]].grid;
      steps[i].grid = grid;
      const double least = leastScale(*program, steps[i]);
      if (grid.scale >= least) continue;
      grid.scale = static_cast<float>(least * kAbove);
      steps[i].grid = grid;
      changed = true;
    }
    if (!changed) return {};
    if (round == kRounds) {
      return makeError(ErrorCode::kUnsupportedOp,
                       "the network's concatenations and pools demand grids that contradict each other");
    }
  }
}

}  // namespace trefoil
