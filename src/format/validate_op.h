// Part of validateModel(): what each operation asks of its parameters, its inputs and its result.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/result.h"
#include "format/quant_model.h"

namespace trefoil {

// The node and its inputs have valid shapes, grids and arity. accumulators: the node yields them instead of
// q. Errors: kBadModel, kOverflow; the message leaves out which node it is.
Result<void> validateOp(const QNode& node, const std::vector<const QNode*>& inputs, bool accumulators);

// validateModel() of a model whose nodes may lack codes: whole(index) yields the
// node with them, which is used before the next call.
Result<void> validateModel(const QuantModel& model,
                           const std::function<Result<const QNode*>(std::size_t index)>& whole);

// About how many basic steps a valid node takes; below 2^60.
std::int64_t opWork(const QNode& node, const std::vector<const QNode*>& inputs);

// Weights of a convolution, [K][R][S][C / groups], or -1 where window, groups and shapes contradict each
// other or there are more than kMaxElements. Any field of the node and its input may be hostile.
std::int64_t convWeightCount(const QNode& node, const QConvOp& conv, const Shape& in);

}  // namespace trefoil
