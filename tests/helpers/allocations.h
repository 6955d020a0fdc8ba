#pragma once

#include <cstddef>

namespace trefoil::testing {

// How often operator new has been called so far in the whole test program (unit/allocations.cpp replaces it).
std::size_t allocationCount();

}  // namespace trefoil::testing
