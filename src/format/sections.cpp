#include "format/sections.h"

#include <algorithm>

namespace trefoil {
namespace {

void putLittleEndian(std::byte* at, std::size_t value) {
  for (int i = 0; i < 4; ++i) at[i] = static_cast<std::byte>(value >> 8 * i);
}

std::size_t getLittleEndian(const std::byte* at) {
  std::size_t value = 0;
  for (int i = 0; i < 4; ++i) value |= std::to_integer<std::size_t>(at[i]) << 8 * i;
  return value;
}

std::size_t aligned(std::size_t bytes) {
  return (bytes + kSectionAlignment - 1) / kSectionAlignment * kSectionAlignment;
}

}  // namespace

std::vector<std::byte> joinSections(std::span<const std::uint8_t> model,
                                    std::span<const std::uint8_t> refinement) {
  constexpr std::size_t kInserted = 8;
  const std::size_t first = aligned(model.size() + kInserted);
  std::vector<std::byte> file(first + aligned(refinement.size()));
  const auto bytes = std::as_bytes(model);
  // Root offset and identifier, then our lengths, then the rest as it is: all its offsets are relative.
  std::copy(bytes.begin(), bytes.begin() + kInserted, file.begin());
  std::copy(bytes.begin() + kInserted, bytes.end(), file.begin() + kSectionHeaderBytes);
  putLittleEndian(file.data(), getLittleEndian(file.data()) + kInserted);
  putLittleEndian(file.data() + 8, first);
  putLittleEndian(file.data() + 12, file.size());
  std::ranges::copy(std::as_bytes(refinement), file.begin() + static_cast<std::ptrdiff_t>(first));
  return file;
}

Result<Sections> readSections(std::span<const std::byte> bytes) {
  const auto bad = [](const char* message) { return makeError(ErrorCode::kBadModel, message); };
  if (bytes.size() < kSectionHeaderBytes) return bad("it is damaged or cut short");
  const Sections sections{getLittleEndian(bytes.data() + 8), getLittleEndian(bytes.data() + 12)};
  if (sections.first <= kSectionHeaderBytes || sections.first % kSectionAlignment != 0 ||
      sections.first > sections.whole) {
    return bad("the lengths of its parts are damaged");
  }
  return sections;
}

}  // namespace trefoil
