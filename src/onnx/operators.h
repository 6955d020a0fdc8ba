// The table of ONNX operators that can be read. README.md lists the same rows.
#pragma once

#include <span>
#include <string_view>

#include "onnx/importer.h"

namespace trefoil::onnx {

struct Operator {
  std::string_view type;
  std::string_view attributes;  // accepted ones, by spaces; a node with any other is refused
  Result<Value> (*run)(Importer& importer, const WireNode& node);
};

std::span<const Operator> operators();                // sorted by type
const Operator* findOperator(std::string_view type);  // null where unknown
bool acceptsAttribute(const Operator& row, std::string_view attribute);

// convolutions.cpp
Result<Value> importConv(Importer& importer, const WireNode& node);
Result<Value> importGemm(Importer& importer, const WireNode& node);
Result<Value> importMatMul(Importer& importer, const WireNode& node);

// pools.cpp
Result<Value> importMaxPool(Importer& importer, const WireNode& node);
Result<Value> importAveragePool(Importer& importer, const WireNode& node);
Result<Value> importGlobalAveragePool(Importer& importer, const WireNode& node);
Result<Value> importGlobalMaxPool(Importer& importer, const WireNode& node);
Result<Value> importReduceMean(Importer& importer, const WireNode& node);

// arithmetic.cpp: with constants, between results, and between constants
Result<Value> importAdd(Importer& importer, const WireNode& node);
Result<Value> importSub(Importer& importer, const WireNode& node);
Result<Value> importMul(Importer& importer, const WireNode& node);
Result<Value> importDiv(Importer& importer, const WireNode& node);
Result<Value> importSum(Importer& importer, const WireNode& node);

// pointwise.cpp
Result<Value> importBatchNormalization(Importer& importer, const WireNode& node);
Result<Value> importClip(Importer& importer, const WireNode& node);
Result<Value> importHardSigmoid(Importer& importer, const WireNode& node);
Result<Value> importHardSwish(Importer& importer, const WireNode& node);
Result<Value> importLeakyRelu(Importer& importer, const WireNode& node);
Result<Value> importLrn(Importer& importer, const WireNode& node);
Result<Value> importPRelu(Importer& importer, const WireNode& node);
Result<Value> importRelu(Importer& importer, const WireNode& node);
Result<Value> importSigmoid(Importer& importer, const WireNode& node);
Result<Value> importSoftmax(Importer& importer, const WireNode& node);

// reshaping.cpp
Result<Value> importCast(Importer& importer, const WireNode& node);
Result<Value> importDropout(Importer& importer, const WireNode& node);
Result<Value> importFlatten(Importer& importer, const WireNode& node);
Result<Value> importIdentity(Importer& importer, const WireNode& node);
Result<Value> importReshape(Importer& importer, const WireNode& node);
Result<Value> importShape(Importer& importer, const WireNode& node);
Result<Value> importSqueeze(Importer& importer, const WireNode& node);
Result<Value> importTranspose(Importer& importer, const WireNode& node);
Result<Value> importUnsqueeze(Importer& importer, const WireNode& node);

// regions.cpp
Result<Value> importConcat(Importer& importer, const WireNode& node);
Result<Value> importPad(Importer& importer, const WireNode& node);
Result<Value> importSlice(Importer& importer, const WireNode& node);

// constants.cpp: on constants only
Result<Value> importCeil(Importer& importer, const WireNode& node);
Result<Value> importConstant(Importer& importer, const WireNode& node);
Result<Value> importConstantOfShape(Importer& importer, const WireNode& node);
Result<Value> importEqual(Importer& importer, const WireNode& node);
Result<Value> importExpand(Importer& importer, const WireNode& node);
Result<Value> importFloor(Importer& importer, const WireNode& node);
Result<Value> importGather(Importer& importer, const WireNode& node);
Result<Value> importMax(Importer& importer, const WireNode& node);
Result<Value> importMin(Importer& importer, const WireNode& node);
Result<Value> importNeg(Importer& importer, const WireNode& node);
Result<Value> importRange(Importer& importer, const WireNode& node);
Result<Value> importSqrt(Importer& importer, const WireNode& node);
Result<Value> importWhere(Importer& importer, const WireNode& node);

}  // namespace trefoil::onnx
