// What both modules need to talk to JavaScript: results as plain objects, bytes and arrays copied in and out.
//
// A function that can fail returns { value } or { error: { code, message } }. Nothing here hands out a view
// of the module's memory, which moves when it grows.
#pragma once

#include <emscripten/val.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/shape.h"
#include "image/image.h"

namespace trefoil::bindings {

inline emscripten::val failure(const Error& error) {
  auto fields = emscripten::val::object();
  fields.set("code", std::string(errorCodeName(error.code)));
  fields.set("message", error.message);
  auto result = emscripten::val::object();
  result.set("error", fields);
  return result;
}

template <typename T>
emscripten::val success(T&& value) {
  auto result = emscripten::val::object();
  result.set("value", std::forward<T>(value));
  return result;
}

// A copy of a Uint8Array (or Uint8ClampedArray).
struct Bytes {
  std::unique_ptr<std::uint8_t[]> data;
  std::size_t size = 0;
  std::span<const std::uint8_t> span() const { return {data.get(), size}; }
  std::span<const std::byte> bytes() const { return std::as_bytes(span()); }
};

inline Result<Bytes> copyIn(const emscripten::val& array) {
  const auto length = array["length"].as<double>();
  Bytes bytes;
  if (length <= std::numeric_limits<std::ptrdiff_t>::max()) {  // no object is larger
    bytes.size = static_cast<std::size_t>(length);
    bytes.data.reset(new (std::nothrow) std::uint8_t[bytes.size]);
  }
  if (!bytes.data) {
    return makeError(ErrorCode::kOutOfMemory, "no memory for " + std::to_string(std::llround(length / 1e6)) +
                                                  " MB; dispose of other models first");
  }
  emscripten::val(emscripten::typed_memory_view(bytes.size, bytes.data.get())).call<void>("set", array);
  return bytes;
}

template <typename T>
emscripten::val copyOut(std::span<const T> values) {
  return emscripten::val(emscripten::typed_memory_view(values.size(), values.data()))
      .call<emscripten::val>("slice");
}

template <typename Range, typename Convert>
emscripten::val arrayOf(const Range& range, Convert convert) {
  auto array = emscripten::val::array();
  for (const auto& item : range) array.call<void>("push", convert(item));
  return array;
}

inline emscripten::val stringsOut(const std::vector<std::string>& strings) {
  return arrayOf(strings, [](const std::string& text) { return text; });
}

inline emscripten::val shapeOut(const Shape& shape) {
  return arrayOf(std::array{shape.channels, shape.height, shape.width}, [](int size) { return size; });
}

inline emscripten::val layerValuesOut(std::string_view name, std::span<const float> values) {
  auto fields = emscripten::val::object();
  fields.set("name", std::string(name));
  fields.set("values", copyOut(values));
  return fields;
}

// { resize, crop: [height, width], letterbox: false or the colour of the bars, channelOrder: 'rgb' or 'bgr',
// mean, std }: what has a number a channel has them in that order.
inline emscripten::val preprocessOut(const Preprocess& preprocess) {
  auto fields = emscripten::val::object();
  const auto number = [](float value) { return value; };
  fields.set("resize", preprocess.resize);
  fields.set("crop", arrayOf(std::array{preprocess.crop_height, preprocess.crop_width},
                             [](int size) { return size; }));
  fields.set("letterbox", preprocess.letterbox ? arrayOf(preprocess.bars, [](int value) { return value; })
                                               : emscripten::val(false));
  fields.set("channelOrder", std::string(preprocess.bgr ? "bgr" : "rgb"));
  fields.set("mean", arrayOf(preprocess.mean, number));
  fields.set("std", arrayOf(preprocess.std, number));
  return fields;
}

inline Preprocess preprocessIn(const emscripten::val& fields, const Shape& input) {
  Preprocess preprocess;
  preprocess.resize = fields["resize"].as<int>();
  preprocess.crop_height = input.height;
  preprocess.crop_width = input.width;
  preprocess.letterbox = fields["letterbox"].isArray();
  preprocess.bgr = fields["channelOrder"].as<std::string>() == "bgr";
  for (int channel = 0; channel < 3; ++channel) {
    if (preprocess.letterbox) preprocess.bars[channel] = fields["letterbox"][channel].as<std::uint8_t>();
    preprocess.mean[channel] = fields["mean"][channel].as<float>();
    preprocess.std[channel] = fields["std"][channel].as<float>();
  }
  return preprocess;
}

// The network's input of a picture of interleaved pixels.
inline Result<std::vector<std::uint8_t>> planesOf(const emscripten::val& pixels, int width, int height,
                                                  int channels, const Preprocess& preprocess,
                                                  const Shape& input) {
  auto bytes = copyIn(pixels);
  if (!bytes) return bytes.error();
  return toPlanes({bytes->span(), width, height, channels}, preprocess, input.channels);
}

}  // namespace trefoil::bindings
