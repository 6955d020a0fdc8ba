#include "onnx/tensor.h"

#include <bit>
#include <cstring>
#include <string>

#include "onnx/wire_reader.h"

namespace trefoil::onnx {
namespace {

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian and copied as it is");

enum class Stored { kFloat, kDouble, kHalf, kBfloat, kI8, kU8, kI16, kU16, kI32, kU32, kI64, kBool };

struct TypeRow {
  std::int32_t code;  // TensorProto.DataType
  Stored stored;
  int bytes;            // of one value in raw_data
  std::uint32_t field;  // the typed field that holds it otherwise
  ElementType element;
};

constexpr TypeRow kTypes[] = {
    {1, Stored::kFloat, 4, 4, ElementType::kReal},    {2, Stored::kU8, 1, 5, ElementType::kInteger},
    {3, Stored::kI8, 1, 5, ElementType::kInteger},    {4, Stored::kU16, 2, 5, ElementType::kInteger},
    {5, Stored::kI16, 2, 5, ElementType::kInteger},   {6, Stored::kI32, 4, 5, ElementType::kInteger},
    {7, Stored::kI64, 8, 7, ElementType::kInteger},   {9, Stored::kBool, 1, 5, ElementType::kBool},
    {10, Stored::kHalf, 2, 5, ElementType::kReal},    {11, Stored::kDouble, 8, 10, ElementType::kReal},
    {12, Stored::kU32, 4, 11, ElementType::kInteger}, {13, Stored::kI64, 8, 11, ElementType::kInteger},
    {16, Stored::kBfloat, 2, 5, ElementType::kReal},
};

const TypeRow* typeRow(std::int32_t code) {
  for (const TypeRow& row : kTypes) {
    if (row.code == code) return &row;
  }
  return nullptr;
}

float bfloatToFloat(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16U); }

template <typename T, typename Out, typename Convert>
void copyRaw(std::string_view raw, std::vector<Out>* out, Convert convert) {
  const std::size_t count = raw.size() / sizeof(T);
  out->resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, raw.data() + i * sizeof(T), sizeof(T));
    (*out)[i] = convert(value);
  }
}

template <typename T>
void copyIntegers(std::string_view raw, Tensor* tensor) {
  copyRaw<T>(raw, &tensor->integers, [](T value) { return static_cast<std::int64_t>(value); });
}

void readRaw(std::string_view raw, Stored stored, Tensor* tensor) {
  switch (stored) {
    case Stored::kFloat:
      tensor->reals.resize(raw.size() / sizeof(float));
      if (!raw.empty()) std::memcpy(tensor->reals.data(), raw.data(), raw.size());
      break;
    case Stored::kDouble:
      copyRaw<double>(raw, &tensor->reals, [](double value) { return static_cast<float>(value); });
      break;
    case Stored::kHalf:
      copyRaw<std::uint16_t>(raw, &tensor->reals, halfToFloat);
      break;
    case Stored::kBfloat:
      copyRaw<std::uint16_t>(raw, &tensor->reals, bfloatToFloat);
      break;
    case Stored::kI8:
      copyIntegers<std::int8_t>(raw, tensor);
      break;
    case Stored::kU8:
      copyIntegers<std::uint8_t>(raw, tensor);
      break;
    case Stored::kI16:
      copyIntegers<std::int16_t>(raw, tensor);
      break;
    case Stored::kU16:
      copyIntegers<std::uint16_t>(raw, tensor);
      break;
    case Stored::kI32:
      copyIntegers<std::int32_t>(raw, tensor);
      break;
    case Stored::kU32:
      copyIntegers<std::uint32_t>(raw, tensor);
      break;
    case Stored::kI64:
      copyIntegers<std::int64_t>(raw, tensor);
      break;
    case Stored::kBool:
      copyRaw<std::uint8_t>(raw, &tensor->integers, [](std::uint8_t v) { return std::int64_t{v != 0}; });
      break;
  }
}

// Takes the values of the typed fields (float_data, int32_data, ...) one by one, at most `expected` + 1 of
// them.
class TypedReader {
 public:
  TypedReader(const TypeRow& row, std::size_t expected, Tensor* tensor)
      : row_(row), expected_(expected), tensor_(tensor) {}

  void read(std::string_view message) {
    for (WireReader in(message); in.next() && tensor_->count() <= expected_;) {
      if (in.field() >> 3U != row_.field) {
        in.skip();
      } else if (row_.stored == Stored::kFloat) {
        reals(&in, kFixed32);
      } else if (row_.stored == Stored::kDouble) {
        reals(&in, kFixed64);
      } else {
        integers(&in);
      }
    }
  }

 private:
  void reals(WireReader* in, protozero::pbf_wire_type single) {
    const bool wide = single == kFixed64;
    if (in->field() % 8 == static_cast<std::uint32_t>(single)) {
      push(wide ? in->real64() : double{in->real()});
    } else if (in->field() % 8 != static_cast<std::uint32_t>(kBytes)) {
      in->skip();
    } else if (wide) {
      for (const double value : in->packedReals64()) push(value);
    } else {
      for (const float value : in->packedReals()) push(value);
    }
  }

  void integers(WireReader* in) {
    if (in->field() % 8 == static_cast<std::uint32_t>(kVarint)) {
      push(in->integer());
    } else if (in->field() % 8 != static_cast<std::uint32_t>(kBytes)) {
      in->skip();
    } else {
      for (const std::int64_t value : in->packedIntegers()) push(value);
    }
  }

  void push(double value) {
    if (tensor_->reals.size() <= expected_) tensor_->reals.push_back(static_cast<float>(value));
  }
  void push(std::int64_t value) {
    if (tensor_->count() > expected_) return;
    const auto bits = static_cast<std::uint16_t>(value);
    switch (row_.stored) {
      case Stored::kHalf:
        tensor_->reals.push_back(halfToFloat(bits));
        break;
      case Stored::kBfloat:
        tensor_->reals.push_back(bfloatToFloat(bits));
        break;
      case Stored::kBool:
        tensor_->integers.push_back(value != 0);
        break;
      default:
        tensor_->integers.push_back(value);
    }
  }

  const TypeRow& row_;
  std::size_t expected_;
  Tensor* tensor_;
};

Result<Tensor> decode(const WireTensor& wire, const TypeRow& row, Budget* budget) {
  const Result<std::int64_t> counted = elementCount(wire.dims);
  if (!counted.ok()) {
    return makeError(counted.error().code, "tensor " + quoted(wire.name) + ": " + counted.error().message);
  }
  const std::int64_t count = counted.value();
  const auto wrongCount = [&](std::string_view found) {
    return makeError(ErrorCode::kBadOnnx, "tensor " + quoted(wire.name) + " of shape " + dimsText(wire.dims) +
                                              " should hold " + std::to_string(count) + " values but holds " +
                                              std::string(found) + "; the file is damaged");
  };
  Tensor tensor;
  tensor.type = row.element;
  tensor.dims = wire.dims;
  if (wire.raw.has_value()) {
    const std::string_view raw = *wire.raw;
    if (raw.size() != static_cast<std::size_t>(count) * static_cast<std::size_t>(row.bytes)) {
      return wrongCount(std::to_string(raw.size()) + " bytes of " + std::to_string(row.bytes) + " a value");
    }
    TREFOIL_RETURN_IF_ERROR(budget->take(count));
    readRaw(raw, row.stored, &tensor);
    return tensor;
  }
  // Every typed value takes a byte or more of the message.
  if (static_cast<std::uint64_t>(count) > wire.bytes.size()) return wrongCount("fewer");
  // The message is walked through every time it is read, whatever else it holds.
  TREFOIL_RETURN_IF_ERROR(budget->take(count + static_cast<std::int64_t>(wire.bytes.size() / 4)));
  TypedReader(row, static_cast<std::size_t>(count), &tensor).read(wire.bytes);
  if (tensor.count() != static_cast<std::size_t>(count)) {
    return wrongCount(tensor.count() > static_cast<std::size_t>(count) ? "more" : "fewer");
  }
  return tensor;
}

}  // namespace

float halfToFloat(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000U) << 16U;
  const std::uint32_t exponent = (bits >> 10U) & 0x1FU;
  const std::uint32_t mantissa = bits & 0x3FFU;
  if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24 is exact in float
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t wide = exponent == 0x1F ? 0xFFU : exponent + (127 - 15);
  return std::bit_cast<float>(sign | (wide << 23U) | (mantissa << 13U));
}

bool elementTypeOf(std::int32_t onnx_type, ElementType* type) {
  const TypeRow* row = typeRow(onnx_type);
  if (row == nullptr) return false;
  *type = row->element;
  return true;
}

Result<Tensor> decodeTensor(const WireTensor& wire, Budget* budget) {
  if (wire.external) {
    return makeError(ErrorCode::kExternalData,
                     "tensor " + quoted(wire.name) +
                         " is stored in a file beside the model; save the model as one file (in Python: "
                         "onnx.save(onnx.load(path), out), which embeds the weights)");
  }
  const TypeRow* row = typeRow(wire.type);
  if (row == nullptr) {
    return makeError(ErrorCode::kBadOnnx, "tensor " + quoted(wire.name) + " has element type " +
                                              std::to_string(wire.type) +
                                              ", which is not a type of numbers known here");
  }
  try {
    return decode(wire, *row, budget);
  } catch (const protozero::exception&) {
    return makeError(ErrorCode::kBadOnnx, "tensor " + quoted(wire.name) + " is damaged");
  }
}

}  // namespace trefoil::onnx
