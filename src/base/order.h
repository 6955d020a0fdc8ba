// Sorting where code size counts more than time: std::sort makes a few kilobytes of every use.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace trefoil {

// 0..count - 1 in the order that before(a, b) asks for (a strict weak order), equal ones by number.
std::vector<std::size_t> orderBy(std::size_t count,
                                 const std::function<bool(std::size_t a, std::size_t b)>& before);

}  // namespace trefoil
