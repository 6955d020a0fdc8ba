#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace trefoil {

// What bytes that are no .trefoil file look like, for an error message: "starts with '<!DOCTYPE': ...". Safe
// for untrusted input.
std::string describeForeignBytes(std::span<const std::byte> bytes);

}  // namespace trefoil
