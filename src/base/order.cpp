#include "base/order.h"

#include <algorithm>
#include <numeric>

namespace trefoil {

std::vector<std::size_t> orderBy(std::size_t count,
                                 const std::function<bool(std::size_t a, std::size_t b)>& before) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto earlier = [&](std::size_t a, std::size_t b) { return before(a, b) || (!before(b, a) && a < b); };
  std::make_heap(order.begin(), order.end(), earlier);
  std::sort_heap(order.begin(), order.end(), earlier);
  return order;
}

}  // namespace trefoil
