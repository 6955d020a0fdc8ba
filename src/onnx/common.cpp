#include "onnx/common.h"

#include <algorithm>

namespace trefoil::onnx {
namespace {

constexpr std::size_t kMaxNameBytes = 200;

// Length of the valid UTF-8 sequence that `text` starts with; 0 where it starts with none.
std::size_t utf8Length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 && first <= 0xF4   ? 4
                             : first >= 0xE0 && first <= 0xEF ? 3
                             : first >= 0xC2 && first <= 0xDF ? 2
                                                              : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned char second = byte(1);
  const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool surrogate = first == 0xED && second >= 0xA0;
  const bool too_big = first == 0xF4 && second >= 0x90;
  return overlong || surrogate || too_big ? 0 : length;
}

template <typename T>
std::string joined(const T* values, std::size_t count, char open, char close) {
  constexpr std::size_t kShown = 12;  // a hostile shape may have millions of entries
  std::string text(1, open);
  for (std::size_t i = 0; i < std::min(count, kShown); ++i) {
    if (i > 0) text += ',';
    text += std::to_string(values[i]);
  }
  if (count > kShown) text += ",...";
  return text + close;
}

}  // namespace

std::string cleanName(std::string_view name) {
  std::string clean;
  while (!name.empty()) {
    const std::size_t length = utf8Length(name);
    const unsigned char first = static_cast<unsigned char>(name[0]);
    const bool shown = length > 0 && first >= 0x20 && first != 0x7F;
    const std::size_t taken = std::max<std::size_t>(length, 1);
    if (clean.size() + taken > kMaxNameBytes) break;
    clean += shown ? name.substr(0, taken) : std::string_view("?");
    name.remove_prefix(taken);
  }
  return clean;
}

std::string quoted(std::string_view name) { return "'" + cleanName(name) + "'"; }

std::string dimsText(const Dims& dims) { return joined(dims.data(), dims.size(), '[', ']'); }

std::string shapeText(const Shape& shape) {
  const int values[] = {shape.channels, shape.height, shape.width};
  return joined(values, 3, '{', '}');
}

Result<std::int64_t> elementCount(const Dims& dims) {
  if (dims.size() > kMaxRank) {
    return makeError(ErrorCode::kBadShape, "shape " + dimsText(dims) + " has more than " +
                                               std::to_string(kMaxRank) + " dimensions");
  }
  std::int64_t volume = 1;  // zeros left out: strides stay in range too, whatever stands beside a zero
  bool empty = false;
  for (const std::int64_t dim : dims) {
    if (dim < 0)
      return makeError(ErrorCode::kBadShape, "shape " + dimsText(dims) + " has a negative dimension");
    if (dim > 0 && volume > kMaxElements / dim) {
      return makeError(ErrorCode::kBadShape, "shape " + dimsText(dims) + " has more than " +
                                                 std::to_string(kMaxElements) + " elements");
    }
    if (dim == 0) {
      empty = true;
    } else {
      volume *= dim;
    }
  }
  return empty ? 0 : volume;
}

bool normalizeAxis(std::int64_t* axis, std::size_t rank) {
  const auto size = static_cast<std::int64_t>(rank);
  if (*axis < -size || *axis >= size) return false;
  if (*axis < 0) *axis += size;
  return true;
}

Result<void> Budget::take(std::int64_t elements) {
  if (elements > left_) {
    return makeError(
        ErrorCode::kBadOnnx,
        "reading this model would take far more memory than its size explains; it is damaged or hostile");
  }
  left_ -= elements;
  return {};
}

}  // namespace trefoil::onnx
