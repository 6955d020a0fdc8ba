// The .trefoil file: a FlatBuffer (format/trefoil.fbs), ternary codes at five a byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "format/quant_model.h"

namespace trefoil {

// Raised where an older reader could misread a newer file. A reader takes its own version only.
inline constexpr std::uint32_t kFormatVersion = 1;

// Bytes of a valid model; the same model gives the same bytes everywhere. Errors: as validateModel(), and
// kBadModel where the file would exceed 2 GB.
Result<std::vector<std::byte>> writeModel(const QuantModel& model);

// Verifies, unpacks and validates. Safe for untrusted input. Errors: kBadModel, kModelVersion, kOverflow.
Result<QuantModel> readModel(std::span<const std::byte> bytes);

}  // namespace trefoil
