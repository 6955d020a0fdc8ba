// A model as it is read to be run: its ternary codes still lie in the file's bytes, at a fifth of their size
// in memory. They are unpacked a layer at a time, to be checked and to be brought into the order of a kernel.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "format/quant_model.h"

namespace trefoil {

// One plane's codes, five a byte (format/trits.h).
struct PackedCodes {
  std::span<const std::uint8_t> bytes;
  std::size_t count = 0;  // of codes
};

struct PackedModel {
  QuantModel model;  // its ternary planes have no codes; valid with them
  // Of each node's first and second plane; what a node has not is empty.
  std::vector<std::array<PackedCodes, 2>> codes;
  std::unique_ptr<std::uint64_t[]> copy;  // what the codes lie in, where it is not the file's bytes

  // Fills in the codes of a copy of model.nodes[index] or of that node itself. Errors: kBadModel where bytes
  // are no codes, which readPackedModel() has ruled out.
  Result<void> unpackCodes(std::size_t index, QNode* node) const;
};

// As readModel(), to which it is the first step. `bytes` must stay where they are as long as the result is
// used.
Result<PackedModel> readPackedModel(std::span<const std::byte> bytes, int planes = 2);

}  // namespace trefoil
