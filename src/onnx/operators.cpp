#include "onnx/operators.h"

#include <algorithm>

namespace trefoil::onnx {
namespace {

constexpr Operator kOperators[] = {
    {"Add", "", importAdd},
    {"AveragePool", "auto_pad ceil_mode count_include_pad dilations kernel_shape pads strides",
     importAveragePool},
    {"BatchNormalization", "epsilon momentum spatial training_mode", importBatchNormalization},
    {"Cast", "saturate to", importCast},
    {"Ceil", "", importCeil},
    {"Clip", "max min", importClip},
    {"Concat", "axis", importConcat},
    {"Constant", "value value_float value_floats value_int value_ints", importConstant},
    {"ConstantOfShape", "value", importConstantOfShape},
    {"Conv", "auto_pad dilations group kernel_shape pads strides", importConv},
    {"Div", "", importDiv},
    {"Dropout", "ratio seed", importDropout},
    {"Equal", "", importEqual},
    {"Expand", "", importExpand},
    {"Flatten", "axis", importFlatten},
    {"Floor", "", importFloor},
    {"Gather", "axis", importGather},
    {"Gemm", "alpha beta transA transB", importGemm},
    {"GlobalAveragePool", "", importGlobalAveragePool},
    {"GlobalMaxPool", "", importGlobalMaxPool},
    {"HardSigmoid", "alpha beta", importHardSigmoid},
    {"HardSwish", "", importHardSwish},
    {"Identity", "", importIdentity},
    {"LRN", "alpha beta bias size", importLrn},
    {"LeakyRelu", "alpha", importLeakyRelu},
    {"MatMul", "", importMatMul},
    {"Max", "", importMax},
    {"MaxPool", "auto_pad ceil_mode dilations kernel_shape pads storage_order strides", importMaxPool},
    {"Min", "", importMin},
    {"Mul", "", importMul},
    {"Neg", "", importNeg},
    {"PRelu", "", importPRelu},
    {"Pad", "mode pads value", importPad},
    {"Range", "", importRange},
    {"ReduceMean", "axes keepdims noop_with_empty_axes", importReduceMean},
    {"Relu", "", importRelu},
    {"Reshape", "allowzero", importReshape},
    {"Shape", "end start", importShape},
    {"Sigmoid", "", importSigmoid},
    {"Slice", "axes ends starts", importSlice},
    {"Softmax", "axis", importSoftmax},
    {"Sqrt", "", importSqrt},
    {"Squeeze", "axes", importSqueeze},
    {"Sub", "", importSub},
    {"Sum", "", importSum},
    {"Transpose", "perm", importTranspose},
    {"Unsqueeze", "axes", importUnsqueeze},
    {"Where", "", importWhere},
};

constexpr bool byType(const Operator& a, const Operator& b) { return a.type < b.type; }
static_assert(std::is_sorted(std::begin(kOperators), std::end(kOperators), byType));

}  // namespace

std::span<const Operator> operators() { return kOperators; }

const Operator* findOperator(std::string_view type) {
  const auto* found =
      std::lower_bound(std::begin(kOperators), std::end(kOperators), Operator{type, {}, nullptr}, byType);
  return found != std::end(kOperators) && found->type == type ? found : nullptr;
}

bool acceptsAttribute(const Operator& row, std::string_view attribute) {
  std::string_view rest = row.attributes;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(' '), rest.size());
    if (rest.substr(0, end) == attribute) return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

}  // namespace trefoil::onnx
