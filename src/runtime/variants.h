// Which kernel runs a layer: the first of the operation's table that supports it, or the one that the options
// force.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace trefoil {

using ForcedVariants = std::map<std::string, std::string>;  // see SessionOptions::variants

using KernelChoices = std::map<std::string, std::string>;  // see SessionOptions::kernels

struct KernelWishes {
  const ForcedVariants& forced;
  const KernelChoices& choices;
};

// Every key is "*" or an operation with variants, every value a name in its table (in any table for "*").
// Errors: kUnknownVariant, with the names that exist.
Result<void> checkForcedVariants(const ForcedVariants& forced);

// The name that is forced on an operation, which may not exist in its table where it comes from "*"; empty:
// none.
std::string_view forcedVariant(const ForcedVariants& forced, std::string_view operation);

Error variantDoesNotFit(std::string_view layer, std::string_view operation, std::string_view variant);

// supports: called with a row of the table. Errors: kUnknownVariant, where the forced row does not support
// the layer.
template <typename Row, typename Supports>
Result<const Row*> chooseVariant(const ForcedVariants& forced, std::string_view operation,
                                 std::string_view layer, std::span<const Row> table,
                                 const Supports& supports) {
  const std::string_view name = forcedVariant(forced, operation);
  for (const Row& row : table) {
    if (name.empty() || row.name != name) continue;
    if (!supports(row)) return variantDoesNotFit(layer, operation, name);
    return &row;
  }
  for (const Row& row : table) {
    if (supports(row)) return &row;
  }
  return &table.back();  // scalar, which supports everything
}

}  // namespace trefoil
