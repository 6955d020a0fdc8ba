#include "format/trits.h"

#include <algorithm>
#include <array>
#include <string>

namespace trefoil {
namespace {

constexpr int kPerByte = 5;
constexpr int kPowers[kPerByte + 1] = {1, 3, 9, 27, 81, 243};

using Codes = std::array<std::int8_t, kPerByte>;

constexpr std::array<Codes, 243> makeTable() {
  std::array<Codes, 243> table{};
  for (int byte = 0; byte < 243; ++byte) {
    for (int i = 0; i < kPerByte; ++i) table[byte][i] = static_cast<std::int8_t>(byte / kPowers[i] % 3 - 1);
  }
  return table;
}
constexpr std::array<Codes, 243> kTable = makeTable();

}  // namespace

std::vector<std::uint8_t> packTrits(std::span<const std::int8_t> codes) {
  std::vector<std::uint8_t> bytes(packedTritBytes(codes.size()));
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const int digit = (codes[i] + 1) * kPowers[i % kPerByte];
    bytes[i / kPerByte] = static_cast<std::uint8_t>(bytes[i / kPerByte] + digit);
  }
  return bytes;
}

Result<std::vector<std::int8_t>> unpackTrits(std::span<const std::uint8_t> bytes, std::size_t count) {
  if (bytes.size() != packedTritBytes(count)) {
    return makeError(ErrorCode::kBadModel, std::to_string(bytes.size()) + " bytes of ternary codes where " +
                                               std::to_string(packedTritBytes(count)) + " are needed");
  }
  std::vector<std::int8_t> codes(count);
  for (std::size_t b = 0; b < bytes.size(); ++b) {
    const std::size_t first = b * kPerByte;
    const auto used = static_cast<int>(std::min<std::size_t>(kPerByte, count - first));
    if (bytes[b] >= kPowers[used]) {
      return makeError(ErrorCode::kBadModel, "byte " + std::to_string(b) + " of the ternary codes is " +
                                                 std::to_string(bytes[b]) + ", above " +
                                                 std::to_string(kPowers[used] - 1));
    }
    std::copy_n(kTable[bytes[b]].begin(), used, codes.begin() + static_cast<std::ptrdiff_t>(first));
  }
  return codes;
}

}  // namespace trefoil
