// An array that grows without exceptions: reserve() says whether there was memory.
#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "kernels/variant.h"

namespace trefoil {

template <typename T>
class GrowingArray {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  // Makes room for `more` elements; false where memory is out.
  bool reserve(std::size_t more) {
    if (count_ + more <= capacity_) return true;
    return resize(std::max(count_ + more, capacity_ + capacity_ / 4));
  }
  void put(const T& value) { data()[count_++] = value; }
  // `more` elements of any value, for which there is room.
  T* extend(std::size_t more) {
    count_ += more;
    return data() + count_ - more;
  }
  void clear() { count_ = 0; }
  T* data() { return reinterpret_cast<T*>(buffer_.data()); }
  const T* data() const { return reinterpret_cast<const T*>(buffer_.data()); }
  T& operator[](std::size_t at) { return data()[at]; }
  const T& operator[](std::size_t at) const { return data()[at]; }
  std::size_t count() const { return count_; }
  // The elements, in memory that is not much larger; empty where memory is out.
  AlignedBuffer take() {
    if (capacity_ > count_ + count_ / 16 && !resize(count_)) return {};
    return std::move(buffer_);
  }

 private:
  bool resize(std::size_t capacity) {
    AlignedBuffer larger(capacity * sizeof(T));
    if (!larger.data()) return false;
    if (count_ > 0) std::memcpy(larger.data(), buffer_.data(), count_ * sizeof(T));
    buffer_ = std::move(larger);
    capacity_ = capacity;
    return true;
  }

  AlignedBuffer buffer_;
  std::size_t count_ = 0, capacity_ = 0;
};

}  // namespace trefoil
