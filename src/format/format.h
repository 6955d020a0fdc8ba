// The .trefoil file: FlatBuffers (format/trefoil.fbs), ternary codes at five a byte, scales as indices into a
// few levels where that loses nothing. Second planes come last, so that the start of the file is a network by
// itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "format/quant_model.h"

namespace trefoil {

// Raised where an older reader could misread a newer file. A reader takes its own version only.
inline constexpr std::uint32_t kFormatVersion = 2;

// Bytes of a valid model; the same model gives the same bytes everywhere. first: the network that the file's
// start holds where the model has second planes, see checkRefines(); null: firstPlanes() of the model.
// Errors: as validateModel() and checkRefines(), and kBadModel where the file would exceed 2 GB.
Result<std::vector<std::byte>> writeModel(const QuantModel& model, const QuantModel* first = nullptr);

// Verifies, unpacks and validates. Safe for untrusted input. planes: 2 for all that the file holds; 1 for the
// network of the first planes, for which any prefix with the first section (format/sections.h) will do.
// Errors: kBadModel, kModelVersion, kOverflow, kBadOption (planes).
Result<QuantModel> readModel(std::span<const std::byte> bytes, int planes = 2);

}  // namespace trefoil
