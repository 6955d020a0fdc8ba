#include "runtime/steps.h"

#include <algorithm>
#include <cstring>

#include "kernels/add/add.h"
#include "kernels/int8_conv/int8_conv.h"
#include "kernels/lookup/lookup.h"
#include "kernels/lrn/lrn.h"
#include "kernels/move/move.h"
#include "kernels/mul/mul.h"
#include "kernels/pool/pool.h"
#include "kernels/rescale/rescale.h"
#include "kernels/ternary_conv/ternary_conv.h"

namespace trefoil {
namespace {

// Kernels of all operations but convolutions support every task.
template <typename Fn>
Result<const Variant<Fn>*> choose(const StepInput& in, const KernelWishes& wishes, std::string_view operation,
                                  std::span<const Variant<Fn>> table) {
  return chooseVariant(wishes.forced, operation, in.node->name, table,
                       [](const Variant<Fn>&) { return true; });
}

template <typename Row>
bool isForced(const ForcedVariants& forced, std::string_view operation, std::span<const Row> table) {
  const std::string_view name = forcedVariant(forced, operation);
  return std::any_of(table.begin(), table.end(), [&](const Row& row) { return row.name == name; });
}

// Where more than one kernel could run a layer: those kernels. The scalar one never pays beside another.
template <typename Weights>
std::optional<TunableConv> tunableConv(const ConvTask& task, const Weights& weights,
                                       std::span<const ConvVariant<Weights>> table) {
  TunableConv conv;
  for (const ConvVariant<Weights>& row : table) {
    if (row.isa != Isa::kScalar && row.supports(task, weights)) conv.candidates.push_back(row.name);
  }
  if (conv.candidates.size() < 2) return std::nullopt;
  conv.kind = convKind(task, weights);
  if (!conv.kind.canBeSampled()) return std::nullopt;
  return conv;
}

template <typename Row>
const Row* chosenRow(const TunableConv& conv, const KernelChoices& choices, std::span<const Row> table) {
  std::string_view name = conv.candidates.front();
  const auto choice = choices.find(conv.kind.key());
  if (choice != choices.end() &&
      std::find(conv.candidates.begin(), conv.candidates.end(), choice->second) != conv.candidates.end()) {
    name = choice->second;
  }
  return &*std::find_if(table.begin(), table.end(), [&](const Row& row) { return row.name == name; });
}

template <typename Weights>
Result<RunStep> makeConvStep(const StepInput& in, const QConvOp& conv, const Weights& weights,
                             std::string_view operation, std::span<const ConvVariant<Weights>> table,
                             const KernelWishes& wishes) {
  ConvTask task;
  task.in = in.inputs[0]->shape;
  task.out = in.node->shape;
  task.window = conv.window;
  task.groups = conv.groups;
  task.input_max = in.inputs[0]->grid.max();
  task.pad_values = conv.pad_values;
  task.bias = conv.bias;
  task.accumulators = in.accumulators;
  task.factors = conv.output.factors;
  task.zero_point = in.node->grid.zero_point;
  task.low = conv.output.low;
  task.high = conv.output.high;

  auto variant = chooseVariant(wishes.forced, operation, in.node->name, table,
                               [&](const ConvVariant<Weights>& row) { return row.supports(task, weights); });
  if (!variant) return variant.error();
  RunStep step;
  if (!isForced(wishes.forced, operation, table)) {
    step.tunable = tunableConv(task, weights, table);
    if (step.tunable) variant = chosenRow(*step.tunable, wishes.choices, table);
  }
  // Shared, because a std::function must be copyable.
  auto packed = std::make_shared<const AlignedBuffer>((*variant)->pack(task, weights));
  if (!packed->data())
    return makeError(ErrorCode::kOutOfMemory, "no memory for the weights of '" + in.node->name + "'");

  step.variant = (*variant)->name;
  step.packed_bytes = packed->size();
  step.scratch_bytes = (*variant)->scratchBytes(task);
  step.run = [task, packed, run = (*variant)->run, from = in.input_offsets[0], to = in.output_offset](
                 const Memory& m, Part part) {
    void* out = m.arena + to;
    if (task.accumulators) out = m.accumulators;
    run(task, *packed, m.arena + from, out, m.scratch, part);
  };
  return step;
}

Result<RunStep> makeOpStep(const StepInput& in, QConvOp& conv, const KernelWishes& wishes) {
  Result<RunStep> step =
      conv.int8.empty() ? makeConvStep(in, conv, conv.ternary, "ternary_conv", ternaryConvVariants(), wishes)
                        : makeConvStep(in, conv, std::span<const std::int8_t>(conv.int8), "int8_conv",
                                       int8ConvVariants(), wishes);
  conv.ternary = {};
  conv.int8 = {};
  conv.filter_scales = {};
  return step;
}

Result<RunStep> makeOpStep(const StepInput& in, const QAddOp& add, const KernelWishes& wishes) {
  auto variant = choose(in, wishes, "add", addVariants());
  if (!variant) return variant.error();
  AddTask task;
  task.count = tensorBytes(in.node->shape);
  for (std::size_t i = 0; i < 2; ++i) {
    task.zero_points[i] = in.inputs[i]->grid.zero_point;
    task.multipliers[i] = add.multipliers[i];
  }
  task.shift = add.shift;
  task.zero_point = in.node->grid.zero_point;
  task.low = add.low;
  task.high = add.high;
  task = withShortMultipliers(task, in.inputs[0]->grid.max(), in.inputs[1]->grid.max());
  RunStep step;
  step.variant = (*variant)->name;
  step.run = [task, run = (*variant)->run, a = in.input_offsets[0], b = in.input_offsets[1],
              to = in.output_offset](const Memory& m, Part part) {
    run(task, m.arena + a, m.arena + b, m.arena + to, part);
  };
  return step;
}

Result<RunStep> makeOpStep(const StepInput& in, const QMulOp& mul, const KernelWishes& wishes) {
  auto variant = choose(in, wishes, "mul", mulVariants());
  if (!variant) return variant.error();
  MulTask task;
  task.shape = in.node->shape;
  task.per_channel = in.inputs[1]->shape != in.node->shape;
  for (std::size_t i = 0; i < 2; ++i) task.zero_points[i] = in.inputs[i]->grid.zero_point;
  task.factor = mul.output.factors[0];
  task.zero_point = in.node->grid.zero_point;
  task.low = mul.output.low;
  task.high = mul.output.high;
  RunStep step;
  step.variant = (*variant)->name;
  step.run = [task, run = (*variant)->run, a = in.input_offsets[0], b = in.input_offsets[1],
              to = in.output_offset](const Memory& m, Part part) {
    run(task, m.arena + a, m.arena + b, m.arena + to, part);
  };
  return step;
}

// `table` must outlive the step: either the model holds it or `owner` does.
Result<RunStep> makeLookupStep(const StepInput& in, std::string_view operation,
                               std::span<const std::uint8_t> table, std::shared_ptr<const void> owner,
                               const KernelWishes& wishes) {
  auto variant = choose(in, wishes, operation, lookupVariants());
  if (!variant) return variant.error();
  const LookupTask task{in.node->shape, table, in.inputs[0]->grid.max()};
  RunStep step;
  step.variant = (*variant)->name;
  step.run = [task, owner = std::move(owner), run = (*variant)->run, from = in.input_offsets[0],
              to = in.output_offset](const Memory& m, Part part) {
    run(task, m.arena + from, m.arena + to, part);
  };
  return step;
}

Result<RunStep> makeOpStep(const StepInput& in, const QLookupOp& lookup, const KernelWishes& wishes) {
  return makeLookupStep(in, "lookup", lookup.table, nullptr, wishes);
}

Result<RunStep> makeOpStep(const StepInput& in, const QRescaleOp& rescale, const KernelWishes& wishes) {
  const auto table = std::make_shared<const std::array<std::uint8_t, 256>>(
      rescaleTable({in.inputs[0]->grid.zero_point, rescale.output.factors[0], in.node->grid.zero_point,
                    rescale.output.low, rescale.output.high}));
  return makeLookupStep(in, "rescale", *table, table, wishes);
}

Result<RunStep> makeOpStep(const StepInput& in, const QPoolOp& pool, const KernelWishes& wishes) {
  auto variant = pool.average ? choose(in, wishes, "average_pool", averagePoolVariants())
                              : choose(in, wishes, "max_pool", maxPoolVariants());
  if (!variant) return variant.error();
  PoolTask task;
  task.in = in.inputs[0]->shape;
  task.out = in.node->shape;
  task.window = pool.window;
  task.input_zero_point = in.inputs[0]->grid.zero_point;
  task.accumulators = in.accumulators;
  task.factors = pool.output.factors;
  task.zero_point = in.node->grid.zero_point;
  task.low = pool.output.low;
  task.high = pool.output.high;
  RunStep step;
  step.variant = (*variant)->name;
  step.scratch_bytes = poolScratchBytes(task);
  step.run = [task, run = (*variant)->run, from = in.input_offsets[0], to = in.output_offset](const Memory& m,
                                                                                              Part part) {
    void* out = m.arena + to;
    if (task.accumulators) out = m.accumulators;
    run(task, m.arena + from, out, m.scratch, part);
  };
  return step;
}

Result<RunStep> makeOpStep(const StepInput& in, const QLrnOp& lrn, const KernelWishes& wishes) {
  auto variant = choose(in, wishes, "lrn", lrnVariants());
  if (!variant) return variant.error();
  LrnTask task;
  task.shape = in.node->shape;
  task.size = lrn.size;
  task.table_shift = lrn.table_shift;
  task.table = lrn.table;
  task.shift = lrn.shift;
  task.input_zero_point = in.inputs[0]->grid.zero_point;
  task.zero_point = in.node->grid.zero_point;
  task.high = in.node->grid.max();
  RunStep step;
  step.variant = (*variant)->name;
  step.run = [task, run = (*variant)->run, from = in.input_offsets[0], to = in.output_offset](
                 const Memory& m, Part part) { run(task, m.arena + from, m.arena + to, part); };
  return step;
}

Result<RunStep> makeOpStep(const StepInput& in, const QConcatOp&, const KernelWishes&) {
  struct Copy {
    std::size_t from, to, bytes;
  };
  std::vector<Copy> copies;
  std::size_t to = in.output_offset;
  for (std::size_t i = 0; i < in.inputs.size(); ++i) {
    const std::size_t bytes = tensorBytes(in.inputs[i]->shape);
    // The plan puts an input that nothing forbids to where it belongs already.
    if (in.input_offsets[i] != to) copies.push_back({in.input_offsets[i], to, bytes});
    to += bytes;
  }
  RunStep step;
  step.run = [copies = std::move(copies)](const Memory& m, Part part) {
    for (const Copy& copy : copies) {
      const Part::Range bytes = part.of(copy.bytes, 64);
      std::memcpy(m.arena + copy.to + bytes.begin, m.arena + copy.from + bytes.begin,
                  bytes.end - bytes.begin);
    }
  };
  return step;
}

Result<RunStep> makeOpStep(const StepInput& in, const QPadOp& pad, const KernelWishes&) {
  RunStep step;
  step.run = [pad, from = in.inputs[0]->shape, to = in.node->shape, source = in.input_offsets[0],
              target = in.output_offset](const Memory& m, Part part) {
    if (part.index > 0) return;
    padPlanes(from, m.arena + source, pad.before, static_cast<std::uint8_t>(pad.value), to, m.arena + target);
  };
  return step;
}

Result<RunStep> makeOpStep(const StepInput& in, const QSliceOp& slice, const KernelWishes&) {
  RunStep step;
  step.run = [slice, from = in.inputs[0]->shape, to = in.node->shape, source = in.input_offsets[0],
              target = in.output_offset](const Memory& m, Part part) {
    if (part.index > 0) return;
    slicePlanes(from, m.arena + source, slice.start, slice.step, to, m.arena + target);
  };
  return step;
}

Result<RunStep> makeOpStep(const StepInput& in, const QReshapeOp&, const KernelWishes&) {
  RunStep step;
  if (in.input_offsets[0] == in.output_offset) {  // read in place
    step.run = [](const Memory&, Part) {};
    return step;
  }
  step.run = [from = planeLayout(in.inputs[0]->shape), to = planeLayout(in.node->shape),
              source = in.input_offsets[0], target = in.output_offset,
              count = static_cast<std::size_t>(in.node->shape.size())](const Memory& m, Part part) {
    if (part.index > 0) return;
    copyPlanes(from, m.arena + source, to, m.arena + target, count);
  };
  return step;
}

Result<RunStep> makeOpStep(const StepInput&, const QInputOp&, const KernelWishes&) {
  RunStep step;
  step.run = [](const Memory&, Part) {};
  return step;
}

}  // namespace

Result<RunStep> makeStep(const StepInput& input, const KernelWishes& wishes) {
  return std::visit([&](auto& op) { return makeOpStep(input, op, wishes); }, input.node->op);
}

}  // namespace trefoil
