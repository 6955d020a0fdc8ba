#include "quantize/layer_samples.h"

#include <doctest/doctest.h>

#include <numeric>
#include <set>
#include <tuple>
#include <vector>

#include "../helpers/random.h"

namespace {

using namespace trefoil;           // NOLINT
using namespace trefoil::testing;  // NOLINT

}  // namespace

TEST_SUITE("layer_samples") {
  TEST_CASE("places are different, in order, and spread over all rows and columns") {
    const Shape out{5, 32, 32};
    for (const std::int64_t wanted : {1, 100, 4096, 99999}) {
      const auto places = choosePlaces(16, out, wanted);
      CHECK(static_cast<std::int64_t>(places.size()) == std::min<std::int64_t>(wanted, 16 * 32 * 32));
      std::set<std::tuple<int, int, int>> seen;
      std::vector<int> columns(32);
      int image = 0;
      for (const SamplePlace& p : places) {
        CHECK((p.image >= image && p.image < 16 && p.y >= 0 && p.y < 32 && p.x >= 0 && p.x < 32));
        image = p.image;
        seen.insert({p.image, p.y, p.x});
        ++columns[p.x];
      }
      CHECK(seen.size() == places.size());
      if (wanted < 4096) continue;
      for (const int count : columns) CHECK(count * 32 > static_cast<int>(places.size()) / 2);
    }
  }

  TEST_CASE("moments are those of a plain sum") {
    Random random(1);
    const Shape in{4, 6, 7};
    Window window;
    window.kernel_h = 3;
    window.kernel_w = 2;
    window.stride_h = 2;
    window.pad_top = window.pad_bottom = window.pad_left = 1;
    const Shape out{6, 3, 7};
    const std::vector<std::uint8_t> images = random.bytes(static_cast<std::size_t>(in.size()) * 3);
    const std::vector<std::uint8_t> pads = {7, 0, 130, 255};
    const SampleInputs inputs{window, in, pads, images};
    const auto places = choosePlaces(3, out, 40);
    REQUIRE(places.size() == 40);
    std::vector<float> results;
    for (int i = 0; i < 40 * 6; ++i) results.push_back(static_cast<float>(random.integer(-100, 100)));
    const int first_channel = 2, channels = 2, first_filter = 3, filters = 3, size = 12;
    const LayerSampler sampler(inputs, places, first_channel, channels, 0.5);
    LayerMoments moments;
    moments.order = {3, 2, 1, 0, 11, 10, 9, 8, 7, 6, 5, 4};
    REQUIRE(sampler.measure(results, 6, first_filter, filters, [](double) { return true; }, &moments));
    CHECK(!sampler.measure(results, 6, first_filter, filters, [](double) { return false; }, &moments));
    REQUIRE(sampler.measure(results, 6, first_filter, filters, [](double) { return true; }, &moments));

    CHECK(moments.places == 40);
    CHECK(moments.images == 3);

    std::vector<std::vector<double>> patches;
    for (const SamplePlace& p : places) {
      std::vector<double> patch;
      for (int r = 0; r < 3; ++r) {
        for (int s = 0; s < 2; ++s) {
          for (int c = first_channel; c < first_channel + channels; ++c) {
            const int y = p.y * 2 - 1 + r, x = p.x - 1 + s;
            const bool inside = y >= 0 && y < 6 && x >= 0 && x < 7;
            patch.push_back(0.5 * (inside ? images[((p.image * 4 + c) * 6 + y) * 7 + x] : pads[c]));
          }
        }
      }
      patches.push_back(patch);
    }
    const auto covariance = [&](const auto& a, const auto& b) {
      double ab = 0, mean_a = 0, mean_b = 0;
      for (int p = 0; p < 40; ++p) {
        ab += a(p) * b(p) / 40;
        mean_a += a(p) / 40;
        mean_b += b(p) / 40;
      }
      return ab - mean_a * mean_b;
    };
    for (int i = 0; i < size; ++i) {
      const auto input = [&](int at) { return [&, at](int p) { return patches[p][at]; }; };
      CHECK(sampler.variances()[i] == doctest::Approx(covariance(input(i), input(i))));
      for (int j = i; j < size; ++j) {
        CHECK(moments.inputs[i * size + j] ==
              doctest::Approx(covariance(input(moments.order[i]), input(moments.order[j]))).epsilon(1e-3));
      }
      for (int k = 0; k < filters; ++k) {
        const auto result = [&](int p) { return double{results[p * 6 + first_filter + k]}; };
        CHECK(moments.outputs[k * size + i] ==
              doctest::Approx(covariance(result, input(moments.order[i]))).epsilon(1e-3));
      }
    }
  }
}
