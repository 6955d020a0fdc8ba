// protozero's reader, with its lengths checked. Members throw protozero::exception on malformed bytes:
// callers catch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <protozero/pbf_reader.hpp>
#include <protozero/varint.hpp>
#include <string_view>

namespace trefoil::onnx {

inline constexpr auto kVarint = protozero::pbf_wire_type::varint;
inline constexpr auto kBytes = protozero::pbf_wire_type::length_delimited;
inline constexpr auto kFixed32 = protozero::pbf_wire_type::fixed32;
inline constexpr auto kFixed64 = protozero::pbf_wire_type::fixed64;

// A field number together with the way it is stored. Readers compare both: a known field stored in another
// way is skipped like an unknown one, and protozero's getters (which only assert) are never called on the
// wrong kind.
constexpr std::uint32_t wireField(std::uint32_t number, protozero::pbf_wire_type type) {
  return (number << 3U) | static_cast<std::uint32_t>(type);
}

class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : reader_(bytes.data(), bytes.size()) {}

  // Steps to the next field; false at the end. The field must then be read, or skipped.
  bool next() {
    if (!reader_.next()) return false;
    if (reader_.wire_type() == kBytes) {
      // protozero compares lengths as ptrdiff_t: with 32-bit pointers one of 2 GiB or more would pass as
      // negative.
      const protozero::data_view rest = reader_.data();
      const char* position = rest.data();
      const char* end = position + rest.size();
      const std::uint64_t length = protozero::decode_varint(&position, end);
      if (length > static_cast<std::uint64_t>(end - position)) throw protozero::end_of_buffer_exception{};
    }
    return true;
  }

  std::uint32_t field() const { return wireField(reader_.tag(), reader_.wire_type()); }
  void skip() { reader_.skip(); }

  std::int64_t integer() { return reader_.get_int64(); }
  std::int32_t enumeration() { return reader_.get_enum(); }
  float real() { return reader_.get_float(); }
  double real64() { return reader_.get_double(); }
  std::string_view view() {
    const protozero::data_view bytes = reader_.get_view();
    return {bytes.data(), bytes.size()};
  }
  auto packedIntegers() { return reader_.get_packed_int64(); }
  auto packedReals() { return reader_.get_packed_float(); }
  auto packedReals64() { return reader_.get_packed_double(); }

 private:
  protozero::pbf_reader reader_;
};

}  // namespace trefoil::onnx
