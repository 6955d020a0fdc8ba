#include "kernels/conv_i16/conv_i16.h"
#include "kernels/conv_i16/fc_dot.h"

namespace trefoil {

using Fc = FcDot<std::int16_t>;
const ConvI16Kernel kConvI16Fc = {Fc::supports, Fc::pack, Fc::scratchBytes, Fc::run};

}  // namespace trefoil
