// Errors are values: functions that can fail return Result<T>. Nothing in the library throws across a folder,
// prints, aborts or exits.
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace trefoil {

// Stable error codes. The spelling returned by errorCodeName() is public API (TrefoilError.code).
enum class ErrorCode {
  kUnsupportedOp,       // the ONNX graph uses an operator, or a form of it, that is not supported
  kUnsupportedOpset,    // opset outside 7..21
  kBadOnnx,             // bytes are not a well-formed ONNX model
  kExternalData,        // weights live in a file beside the model
  kGraphCycle,          // the graph's nodes depend on one another in a circle
  kBadShape,            // shapes contradict each other or are not static
  kMissingInitializer,  // a node reads a tensor that nothing produces
  kBadModel,            // bytes are not a valid .trefoil file
  kModelVersion,        // a .trefoil file of a format version that this build can't read
  kBadImage,            // image bytes do not fit their stated size, or an image is empty
  kBadOption,           // an option is unknown or out of range
  kOverflow,            // a layer could exceed 32-bit accumulation
  kUnknownVariant,      // a kernel variant was forced by a name that does not exist or does not fit
  kOutOfMemory,
  kAborted,   // the caller cancelled
  kInternal,  // a bug of this library
};

std::string_view errorCodeName(ErrorCode code);

struct Error {
  ErrorCode code;
  std::string message;  // says what is wrong and what to do about it
};

// Either a value or an Error. Reading the wrong side is a programming error (asserted).
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Error error)
      : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    assert(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const {
    assert(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)
  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const {
    assert(!ok());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

inline Error makeError(ErrorCode code, std::string message) { return Error{code, std::move(message)}; }

}  // namespace trefoil

// Returns the error of an expression of type Result<...> from the enclosing function.
#define TREFOIL_RETURN_IF_ERROR(expression)                                                         \
  do {                                                                                              \
    if (auto trefoil_result_ = (expression); !trefoil_result_.ok()) return trefoil_result_.error(); \
  } while (false)
