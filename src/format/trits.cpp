#include "format/trits.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace trefoil {
namespace {

constexpr int kPerByte = 5;
constexpr int kPowers[kPerByte + 1] = {1, 3, 9, 27, 81, 243};

// As long as a machine word, so that one is stored at once. Bytes above 242 stand for no codes.
using Codes = std::array<std::int8_t, 8>;

constexpr std::array<Codes, 256> makeTable() {
  std::array<Codes, 256> table{};
  for (int byte = 0; byte < 243; ++byte) {
    for (int i = 0; i < kPerByte; ++i) table[byte][i] = static_cast<std::int8_t>(byte / kPowers[i] % 3 - 1);
  }
  return table;
}
constexpr std::array<Codes, 256> kTable = makeTable();

// used: codes that a byte should hold.
Error notCodes(std::span<const std::uint8_t> bytes, int used) {
  return makeError(ErrorCode::kBadModel, "a byte of the ternary codes is " +
                                             std::to_string(*std::max_element(bytes.begin(), bytes.end())) +
                                             ", above " + std::to_string(kPowers[used] - 1));
}

constexpr std::size_t kPiece = 512;  // bytes

// Returns the largest byte. Writes whole words, each one's surplus over by the next one's codes. Not inlined:
// WebAssembly engines optimize functions that are called often, not long loops.
[[gnu::noinline]] std::uint8_t unpackPiece(std::span<const std::uint8_t> bytes, std::int8_t* codes) {
  std::uint8_t largest = 0;
  for (const std::uint8_t byte : bytes) {
    largest = std::max(largest, byte);
    std::memcpy(codes, &kTable[byte], sizeof(Codes));
    codes += kPerByte;
  }
  return largest;
}

}  // namespace

std::vector<std::uint8_t> packTrits(std::span<const std::int8_t> codes) {
  std::vector<std::uint8_t> bytes(packedTritBytes(codes.size()));
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const int digit = (codes[i] + 1) * kPowers[i % kPerByte];
    bytes[i / kPerByte] = static_cast<std::uint8_t>(bytes[i / kPerByte] + digit);
  }
  return bytes;
}

Result<void> unpackTrits(std::span<const std::uint8_t> bytes, std::size_t count, TernaryCodes* codes) {
  if (bytes.size() != packedTritBytes(count)) {
    return makeError(ErrorCode::kBadModel, std::to_string(bytes.size()) + " bytes of ternary codes where " +
                                               std::to_string(packedTritBytes(count)) + " are needed");
  }
  codes->resize(count);
  // Where words are too long, one byte's codes are written at a time.
  const std::size_t words = count < sizeof(Codes) ? 0 : (count - sizeof(Codes)) / kPerByte + 1;
  for (std::size_t b = 0; b < words; b += kPiece) {
    const std::span<const std::uint8_t> piece = bytes.subspan(b, std::min(kPiece, words - b));
    if (unpackPiece(piece, &(*codes)[b * kPerByte]) >= kPowers[kPerByte]) return notCodes(piece, kPerByte);
  }
  for (std::size_t b = words; b < bytes.size(); ++b) {
    const std::size_t first = b * kPerByte;
    const auto used = static_cast<int>(std::min<std::size_t>(kPerByte, count - first));
    if (bytes[b] >= kPowers[used]) return notCodes(bytes.subspan(b, 1), used);
    std::copy_n(kTable[bytes[b]].begin(), used, codes->begin() + static_cast<std::ptrdiff_t>(first));
  }
  return {};
}

}  // namespace trefoil
