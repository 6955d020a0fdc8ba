// The .trefoil file: a FlatBuffer (format/trefoil.fbs), ternary codes at five a byte.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/result.h"
#include "format/quant_model.h"

namespace trefoil {

// Bytes of a valid model; the same model gives the same bytes everywhere. Errors: as validateModel().
Result<std::vector<std::byte>> writeModel(const QuantModel& model);

// Verifies, unpacks and validates. Safe for untrusted input. Errors: kBadModel, kModelVersion, kOverflow.
Result<QuantModel> readModel(std::span<const std::byte> bytes);

}  // namespace trefoil
