// The quantized network: the integer program that quantize/ makes, the .trefoil file stores and runtime/
// runs. Its arithmetic is defined in DESIGN.md ("Arithmetic"); every field below that enters it is an
// integer.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/fixed_point.h"
#include "base/result.h"
#include "base/shape.h"
#include "base/ternary.h"

namespace trefoil {

// Grid of an activation: x = scale * (q - zero_point), q in 0..2^bits - 1. `scale` is for people and reports
// only.
struct Grid {
  int bits = 8;  // 4..8
  int zero_point = 0;
  float scale = 1;
  bool operator==(const Grid&) const = default;
  int max() const { return (1 << bits) - 1; }
};

// How an accumulator A becomes the node's result: q = clamp(zero_point + rshift(A * factor), low, high), with
// the node's own grid; 0 <= low <= high <= grid.max(). factors: one a channel (convolution) or as the
// operation says.
struct OutputStage {
  std::vector<FixedPoint> factors;
  int low = 0;
  int high = 255;
  bool operator==(const OutputStage&) const = default;
};

struct QInputOp {  // u8 planes, R, G, B (or B, G, R, or one); zero_point 0
  bool operator==(const QInputOp&) const = default;
};

// A[k] = bias[k] + sum w[k][r][s][c] * q; exactly one of `ternary` (has planes) and `int8` (not empty) is
// used. Padding contributes pad_values[c] (one entry a channel of the input: its zero point, or the input
// pixel's mean). |A| < 2^31 for every input is proven when the model is made and again when it is read.
struct QConvOp {
  Window window;
  int groups = 1;
  TernaryWeights ternary;
  std::vector<std::int8_t> int8;         // [K][R][S][C / groups]
  std::vector<std::int32_t> bias;        // [K]
  std::vector<std::uint8_t> pad_values;  // [C]
  std::vector<float> filter_scales;      // [K] real s_w; for people, reports and later re-quantizing
  OutputStage output;                    // unused where the node yields accumulators
  bool operator==(const QConvOp&) const = default;
};

// q' = clamp(z' + rshift((q1 - z1) * m1 + (q2 - z2) * m2, shift)); |m| <= 2^21, shift 0..30.
struct QAddOp {
  std::int32_t multipliers[2] = {0, 0};
  int shift = 0;
  int low = 0, high = 255;
  bool operator==(const QAddOp&) const = default;
};

// q' = clamp(z' + rshift((q1 - z1) * (q2 - z2) * factor)); the second input may be {C, 1, 1}. One factor.
struct QMulOp {
  OutputStage output;
  bool operator==(const QMulOp&) const = default;
};

// q' = clamp(z' + rshift((q - z) * factor)). One factor.
struct QRescaleOp {
  OutputStage output;
  bool operator==(const QRescaleOp&) const = default;
};

struct QConcatOp {  // channels; all inputs and the result share one grid
  bool operator==(const QConcatOp&) const = default;
};

// Max: of q, over the part of the window inside the image; same grid. Average: S = sum of (q - z) over the
// part inside; q' = clamp(z' + rshift(S * factors[n - 1])) with n the count of pixels inside, or factors[0]
// where there is only one. As accumulators (final node only): S itself; then the window must be inside the
// image everywhere.
struct QPoolOp {
  bool average = false;
  Window window;
  OutputStage output;
  bool operator==(const QPoolOp&) const = default;
};

// q' = table[q], or table[256 * c + q] where there are 256 * C entries.
struct QLookupOp {
  std::vector<std::uint8_t> table;
  bool operator==(const QLookupOp&) const = default;
};

// S = sum of (q - z)^2 over `size` channels around c (those that exist, from c - (size - 1) / 2);
// q' = clamp(z' + rshift((q - z) * table[min(S >> table_shift, entries - 1)], shift)); entries 1..4096 of
// 0..2^21, shift 0..62.
struct QLrnOp {
  int size = 5;
  int table_shift = 0;
  std::vector<std::int32_t> table;
  int shift = 0;
  bool operator==(const QLrnOp&) const = default;
};

struct QPadOp {  // extends channels, rows, columns by `value`; same grid
  int before[3] = {0, 0, 0}, after[3] = {0, 0, 0};
  int value = 0;
  bool operator==(const QPadOp&) const = default;
};

struct QSliceOp {  // start + i * step in channels, rows, columns; same grid
  int start[3] = {0, 0, 0}, step[3] = {1, 1, 1};
  bool operator==(const QSliceOp&) const = default;
};

struct QReshapeOp {  // same C, H, W order; same grid
  bool operator==(const QReshapeOp&) const = default;
};

using QOp = std::variant<QInputOp, QConvOp, QAddOp, QMulOp, QRescaleOp, QConcatOp, QPoolOp, QLookupOp, QLrnOp,
                         QPadOp, QSliceOp, QReshapeOp>;

struct QNode {
  std::string name;
  QOp op;
  std::vector<int> inputs;  // earlier nodes
  Shape shape;
  Grid grid;  // of the result
  bool operator==(const QNode&) const = default;
};

struct Metadata {
  std::string name;
  std::vector<std::string> labels;      // empty, or one a class
  int resize = 0;                       // see image/image.h, Preprocess; the crop is the input node's shape
  std::vector<std::uint8_t> letterbox;  // empty, or the colour of the bars
  bool bgr = false;
  float mean[3] = {0, 0, 0};
  float std[3] = {1, 1, 1};
  std::string recipe;  // canonical JSON of the recipe
  // Canonical JSON: library version, hash of the source model, counts; no time, no path.
  std::string provenance;
  bool operator==(const Metadata&) const = default;
};

// Nodes in topological order, node 0 the only QInputOp. The last node is the output: logits[i] =
// logit_scales[i] * L[i]
// + logit_offsets[i], with L the accumulators A (convolution) or S (average pool) where
// `output_accumulators`, else q - zero_point of the last node, in C, H, W order. (Offsets are 0 unless a
// constant follows the last layer.)
struct QuantModel {
  std::vector<QNode> nodes;
  bool output_accumulators = true;
  std::vector<float> logit_scales;  // one a class
  std::vector<float> logit_offsets;
  Metadata metadata;
  bool operator==(const QuantModel&) const = default;
};

std::string_view opName(const QOp& op);

// Everything the runtime relies on: order, arity, shapes, counts, ranges, grids, no possible 32-bit overflow.
// Every model passes it when it is written and when it is read. Errors: kBadModel, kOverflow.
Result<void> validateModel(const QuantModel& model);

}  // namespace trefoil
