#include "format/sniff.h"

#include <cstdint>
#include <string_view>

namespace trefoil {
namespace {

struct Signature {
  std::size_t offset;
  std::string_view bytes;
  std::string_view text;  // what to tell people
};

using namespace std::string_view_literals;

constexpr Signature kSignatures[] = {
    {0, "<!DOCTYPE"sv,
     "starts with '<!DOCTYPE': an HTML page, perhaps a 404? Check the address of the model"},
    {0, "<!doctype"sv,
     "starts with '<!doctype': an HTML page, perhaps a 404? Check the address of the model"},
    {0, "<html"sv, "starts with '<html': an HTML page, perhaps a 404? Check the address of the model"},
    {0, "<"sv,
     "starts with '<': an HTML or XML page, perhaps an error message? Check the address of the model"},
    {0, "{"sv, "starts with '{': JSON, perhaps an error message? Check the address of the model"},
    {0, "version https://git-lfs"sv, "is a Git LFS pointer; fetch the file itself (git lfs pull)"},
    {4, "TFL3"sv, "is a TensorFlow Lite model; trefoil quantizes ONNX models"},
    {0, "PK\x03\x04"sv,
     "is a zip archive (a PyTorch checkpoint?); export the network to ONNX and quantize that"},
    {0, "\x1f\x8b"sv, "is gzip-compressed; decompress it first"},
    {0, "\x89PNG"sv, "is a PNG image; the model goes here"},
    {0, "\xff\xd8\xff"sv, "is a JPEG image; the model goes here"},
    {0, "\0asm"sv, "is a WebAssembly module; the model goes here"},
};

}  // namespace

std::string describeForeignBytes(std::span<const std::byte> bytes) {
  if (bytes.empty()) return "is empty";
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (const Signature& signature : kSignatures) {
    if (text.size() >= signature.offset && text.substr(signature.offset).starts_with(signature.bytes)) {
      return std::string(signature.text);
    }
  }
  // ModelProto: ir_version (field 1, a small number), then another field of the message.
  if (text.size() > 2 && text[0] == 0x08 && text[1] > 0 && text[1] < 0x20 && (text[2] & 7) == 2) {
    return "looks like an ONNX model; quantize it first (trefoil quantize MODEL.onnx -o OUT.trefoil)";
  }
  if (text.size() < 8) return "has only " + std::to_string(text.size()) + " bytes";
  return "has no 'TREF' mark at byte 4";
}

}  // namespace trefoil
