#include "runtime/variants.h"

#include <algorithm>

#include "kernels/add/add.h"
#include "kernels/int8_conv/int8_conv.h"
#include "kernels/lookup/lookup.h"
#include "kernels/lrn/lrn.h"
#include "kernels/mul/mul.h"
#include "kernels/pool/pool.h"
#include "kernels/ternary_conv/ternary_conv.h"
#include "runtime/session.h"

namespace trefoil {
namespace {

using Names = std::vector<std::string>;

template <typename Row>
Names namesOf(std::span<const Row> table) {
  Names names;
  for (const Row& row : table) names.emplace_back(row.name);
  return names;
}

bool contains(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string join(const Names& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

Error unknown(std::string message) { return makeError(ErrorCode::kUnknownVariant, std::move(message)); }

}  // namespace

std::map<std::string, std::vector<std::string>> variantNames() {
  return {
      {"add", namesOf(addVariants())},
      {"average_pool", namesOf(averagePoolVariants())},
      {"int8_conv", namesOf(int8ConvVariants())},
      {"lookup", namesOf(lookupVariants())},
      {"lrn", namesOf(lrnVariants())},
      {"max_pool", namesOf(maxPoolVariants())},
      {"mul", namesOf(mulVariants())},
      {"rescale", namesOf(lookupVariants())},  // is run as a lookup
      {"ternary_conv", namesOf(ternaryConvVariants())},
  };
}

Result<void> checkForcedVariants(const ForcedVariants& forced) {
  if (forced.empty()) return {};
  const auto tables = variantNames();
  Names operations;
  Names all;
  for (const auto& [operation, names] : tables) {
    operations.push_back(operation);
    for (const std::string& name : names) {
      if (!contains(all, name)) all.push_back(name);
    }
  }
  for (const auto& [operation, name] : forced) {
    const auto table = tables.find(operation);
    if (operation != "*" && table == tables.end()) {
      return unknown("no operation '" + operation + "' has kernel variants; these have: " + join(operations) +
                     ", or * for all");
    }
    const Names& names = operation == "*" ? all : table->second;
    if (!contains(names, name)) {
      return unknown("operation " + operation + " has no kernel variant '" + name +
                     "'; there are: " + join(names));
    }
  }
  return {};
}

std::string_view forcedVariant(const ForcedVariants& forced, std::string_view operation) {
  auto found = forced.find(std::string(operation));
  if (found == forced.end()) found = forced.find("*");
  return found == forced.end() ? std::string_view() : std::string_view(found->second);
}

Error variantDoesNotFit(std::string_view layer, std::string_view operation, std::string_view variant) {
  return unknown("kernel variant '" + std::string(variant) + "' of " + std::string(operation) +
                 " does not support layer '" + std::string(layer.substr(0, 80)) +
                 "'; leave the choice to the planner");
}

}  // namespace trefoil
