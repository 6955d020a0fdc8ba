#include "base/result.h"

namespace trefoil {

std::string_view errorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUnsupportedOp:
      return "UNSUPPORTED_OP";
    case ErrorCode::kUnsupportedOpset:
      return "UNSUPPORTED_OPSET";
    case ErrorCode::kBadOnnx:
      return "BAD_ONNX";
    case ErrorCode::kExternalData:
      return "EXTERNAL_DATA";
    case ErrorCode::kGraphCycle:
      return "GRAPH_CYCLE";
    case ErrorCode::kBadShape:
      return "BAD_SHAPE";
    case ErrorCode::kMissingInitializer:
      return "MISSING_INITIALIZER";
    case ErrorCode::kBadModel:
      return "BAD_MODEL";
    case ErrorCode::kModelVersion:
      return "MODEL_VERSION";
    case ErrorCode::kBadImage:
      return "BAD_IMAGE";
    case ErrorCode::kBadOption:
      return "BAD_OPTION";
    case ErrorCode::kOverflow:
      return "OVERFLOW";
    case ErrorCode::kUnknownVariant:
      return "UNKNOWN_VARIANT";
    case ErrorCode::kOutOfMemory:
      return "OUT_OF_MEMORY";
    case ErrorCode::kAborted:
      return "ABORTED";
    case ErrorCode::kInternal:
      return "INTERNAL";
  }
  return "INTERNAL";
}

}  // namespace trefoil
