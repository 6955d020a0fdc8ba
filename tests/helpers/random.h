// Random numbers that are the same on every machine: standard engines are, standard distributions are not.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace trefoil::testing {

class Random {
 public:
  explicit Random(std::uint32_t seed) : engine_(seed) {}

  // low..high, both included.
  std::int64_t between(std::int64_t low, std::int64_t high) {
    const auto first = static_cast<std::uint64_t>(low);
    const std::uint64_t span = static_cast<std::uint64_t>(high) - first + 1;  // 0: all there are
    const std::uint64_t upper = engine_();
    const std::uint64_t bits = upper << 32 | engine_();
    return static_cast<std::int64_t>(first + (span == 0 ? bits : bits % span));
  }
  int integer(int low, int high) { return static_cast<int>(between(low, high)); }
  bool chance(int percent) { return integer(1, 100) <= percent; }
  template <typename T>
  const T& pick(const std::vector<T>& values) {
    return values[static_cast<std::size_t>(integer(0, static_cast<int>(values.size()) - 1))];
  }
  std::vector<std::uint8_t> bytes(std::size_t count, int high = 255) {
    std::vector<std::uint8_t> values(count);
    for (auto& value : values) value = static_cast<std::uint8_t>(integer(0, high));
    return values;
  }

 private:
  std::mt19937 engine_;
};

}  // namespace trefoil::testing
