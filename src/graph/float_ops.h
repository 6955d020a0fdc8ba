// The float evaluator's operations on plain arrays in C, H, W order. Arguments fit a valid graph's node.
#pragma once

#include "graph/graph.h"

namespace trefoil {

void evaluateConv(const ConvOp& op, const Shape& in, const Shape& out, const float* x, float* y);
// Where weights and x are integers, |weight| <= 2048 and |x| <= 2047, and biases 0: faster than
// evaluateConv(). Exact up to sums of 2^24, beyond rounded as floats are.
void evaluateIntegerConv(const ConvOp& op, const Shape& in, const Shape& out, const float* x, float* y);
void evaluatePool(const PoolOp& op, const Shape& in, const Shape& out, const float* x, float* y);
void evaluateActivation(const ActivationOp& op, const Shape& shape, const float* x, float* y);
void evaluateChannelAffine(const ChannelAffineOp& op, const Shape& shape, const float* x, float* y);
void evaluateMul(const Shape& shape, const Shape& factor_shape, const float* x, const float* factor,
                 float* y);
void evaluateLrn(const LrnOp& op, const Shape& shape, const float* x, float* y);
void evaluatePad(const PadOp& op, const Shape& in, const Shape& out, const float* x, float* y);
void evaluateSlice(const SliceOp& op, const Shape& in, const Shape& out, const float* x, float* y);
void evaluateSoftmax(std::int64_t count, const float* x, float* y);

}  // namespace trefoil
