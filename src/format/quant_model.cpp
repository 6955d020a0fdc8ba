#include "format/quant_model.h"

namespace trefoil {

std::string_view opName(const QOp& op) {
  struct Namer {
    std::string_view operator()(const QInputOp&) const { return "input"; }
    std::string_view operator()(const QConvOp& conv) const {
      return conv.ternary.planes.empty() ? "int8_conv" : "ternary_conv";
    }
    std::string_view operator()(const QAddOp&) const { return "add"; }
    std::string_view operator()(const QMulOp&) const { return "mul"; }
    std::string_view operator()(const QRescaleOp&) const { return "rescale"; }
    std::string_view operator()(const QConcatOp&) const { return "concat"; }
    std::string_view operator()(const QPoolOp& pool) const {
      return pool.average ? "average_pool" : "max_pool";
    }
    std::string_view operator()(const QLookupOp&) const { return "lookup"; }
    std::string_view operator()(const QLrnOp&) const { return "lrn"; }
    std::string_view operator()(const QPadOp&) const { return "pad"; }
    std::string_view operator()(const QSliceOp&) const { return "slice"; }
    std::string_view operator()(const QReshapeOp&) const { return "reshape"; }
  };
  return std::visit(Namer{}, op);
}

}  // namespace trefoil
