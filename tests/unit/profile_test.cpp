#include "runtime/profile.h"

#include <doctest/doctest.h>

#include <cstring>

#include "helpers/allocations.h"
#include "helpers/random_model.h"
#include "kernels/load_rate/load_rate.h"

namespace {

using namespace trefoil;
using testing::Random;

std::unique_ptr<Session> sessionOf(std::uint32_t seed) {
  auto session = Session::create(testing::randomModel(seed));
  REQUIRE(session.ok());
  return std::move(*session);
}

std::vector<std::uint8_t> imageOf(const Session& session) {
  return Random(5).bytes(static_cast<std::size_t>(session.inputShape().size()));
}

TEST_SUITE("profile") {
  TEST_CASE("every part of a timed run has its time, and the integers are the same") {
    const auto session = sessionOf(8);
    const auto image = imageOf(*session);
    const auto plain = session->run(image);
    REQUIRE(plain.ok());
    const std::vector<std::int32_t> expected(plain->begin(), plain->end());

    double now = 0;
    double step = 1;
    const Clock clock = [&] { return now += step++; };  // laps of 2, 3, 4, ...
    RunTimes times;
    const auto timed = session->run(image, clock, &times);
    REQUIRE(timed.ok());
    CHECK(std::vector<std::int32_t>(timed->begin(), timed->end()) == expected);
    CHECK(times.input == 2);
    REQUIRE(times.layers.size() == session->layers().size());
    for (std::size_t i = 0; i < times.layers.size(); ++i)
      CHECK(times.layers[i] == 3 + static_cast<double>(i));
    CHECK(times.output == 3 + static_cast<double>(times.layers.size()));

    const std::size_t before = testing::allocationCount();
    CHECK(session->run(image, clock, &times).ok());
    CHECK(testing::allocationCount() == before);
  }

  TEST_CASE("a profile has all runs and each layer's fastest time") {
    const auto session = sessionOf(8);
    const std::size_t layers = session->layers().size();
    int calls = 0;
    double now = 0;
    // Slower and slower, so that the first run's times are the fastest ones.
    const Clock clock = [&] { return now += ++calls; };
    const auto profile = profileRuns(*session, imageOf(*session), 4, true, clock);
    REQUIRE(profile.ok());
    REQUIRE(profile->runs.size() == 4);
    CHECK(profile->runs[0] == 2);
    CHECK(profile->runs[3] > profile->runs[0]);
    REQUIRE(profile->layers.size() == layers);
    for (std::size_t i = 0; i < layers; ++i) CHECK(profile->layers[i] == 5 + static_cast<double>(i));

    calls = 0;
    const auto whole = profileRuns(*session, imageOf(*session), 3, false, clock);
    REQUIRE(whole.ok());
    CHECK(whole->runs.size() == 3);
    CHECK(whole->layers.empty());
    CHECK(calls == 6);
    CHECK(profileRuns(*session, {}, 3, false, clock).error().code == ErrorCode::kBadImage);
  }

  TEST_CASE("the calibration loop adds all that it loads") {
    alignas(16) std::uint8_t bytes[kLoadRateBytes];
    Random random(3);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random.integer(0, 255));
    std::uint16_t sums[8] = {};
    for (std::size_t i = 0; i < kLoadRateBytes; i += 2) {
      std::uint16_t value = 0;
      std::memcpy(&value, bytes + i, 2);
      sums[i / 2 % 8] = static_cast<std::uint16_t>(sums[i / 2 % 8] + 3 * value);
    }
    std::uint32_t words[4];
    std::memcpy(words, sums, sizeof(words));
    CHECK(loadAndAdd(bytes, 3) == (words[0] ^ words[3]));
  }

  TEST_CASE("the load rate takes the fastest measurement and keeps its time") {
    double now = 0;
    int calls = 0;
    // Measurements of 4, 2, 4, 2, ... milliseconds.
    const Clock clock = [&] { return now += ++calls % 2 ? 2 : 4; };
    const double rate = measureLoadRate(20, clock);
    CHECK(now <= 26);
    CHECK(rate > 0);
    now = 0;
    calls = 1;
    CHECK(measureLoadRate(1, clock) == doctest::Approx(rate));  // one measurement, of 2
    CHECK(measureLoadRate(20, [] { return 7.0; }) == 0);
  }

  TEST_CASE("what a load is worth depends on weights and bits") {
    LayerInfo layer;
    layer.shape = {8, 4, 4};
    layer.operation = "ternary_conv";
    CHECK(macsPerLoad(layer) == 32);
    layer.input_bits = 4;
    CHECK(macsPerLoad(layer) == 64);
    layer.operation = "int8_conv";
    CHECK(macsPerLoad(layer) == 0);
    layer.operation = "ternary_conv";
    layer.shape = {8, 1, 1};
    CHECK(macsPerLoad(layer) == 0);
  }
}  // TEST_SUITE

}  // namespace
