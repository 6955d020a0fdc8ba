// Small things that every file of the ONNX reader uses.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/shape.h"

// Declares `variable` and gives it the value of `expression`, a Result<T>, or returns its error from the
// function.
#define TREFOIL_ONNX_CONCAT_(a, b) a##b
#define TREFOIL_ONNX_CONCAT(a, b) TREFOIL_ONNX_CONCAT_(a, b)
#define TREFOIL_ASSIGN(variable, expression) \
  TREFOIL_ASSIGN_VIA_(TREFOIL_ONNX_CONCAT(trefoil_result_, __LINE__), variable, expression)
#define TREFOIL_ASSIGN_VIA_(result, variable, expression) \
  auto result = (expression);                             \
  if (!result.ok()) return result.error();                \
  auto variable = std::move(result).value()

namespace trefoil::onnx {

using Dims = std::vector<std::int64_t>;

inline constexpr std::int64_t kMinOpset = 7;
inline constexpr std::int64_t kMaxOpset = 21;
inline constexpr std::size_t kMaxRank = 16;

// A name from the file made safe to show and to store: valid UTF-8 without control characters, at most 200
// bytes.
std::string cleanName(std::string_view name);
std::string quoted(std::string_view name);  // 'name', cleaned

std::string dimsText(const Dims& dims);     // [1,3,224,224]
std::string shapeText(const Shape& shape);  // {3,224,224}

// Product of the dims; 1 for none. Errors (kBadShape): a negative dimension, more than kMaxElements or
// kMaxRank.
Result<std::int64_t> elementCount(const Dims& dims);

// Sets *axis to its count from the front. Returns false where it is outside -rank .. rank-1.
bool normalizeAxis(std::int64_t* axis, std::size_t rank);

// How many elements may still be made while one file is read. A few bytes of ONNX can ask for much work (one
// weight read by thousands of nodes, constants that grow); this keeps time and memory in proportion to the
// file.
class Budget {
 public:
  explicit Budget(std::int64_t elements) : left_(elements) {}
  Result<void> take(std::int64_t elements);

 private:
  std::int64_t left_;
};

}  // namespace trefoil::onnx
