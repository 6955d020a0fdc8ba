#include "runtime/profile.h"

#include <algorithm>
#include <array>

#include "kernels/load_rate/load_rate.h"

namespace trefoil {

Result<Profile> profileRuns(Session& session, std::span<const std::uint8_t> planes, int runs, bool layers,
                            const Clock& clock) {
  Profile profile;
  profile.runs.reserve(static_cast<std::size_t>(runs));
  RunTimes times;
  for (int i = 0; i < runs; ++i) {
    const double start = clock();
    const auto integers = session.run(planes);
    if (!integers) return integers.error();
    const std::vector<float> logits = session.logits(*integers);
    profile.runs.push_back(clock() - start);

    if (!layers) continue;
    const auto again = session.run(planes, clock, &times);
    if (!again) return again.error();
    if (i == 0) profile.layers = times.layers;
    std::transform(times.layers.begin(), times.layers.end(), profile.layers.begin(), profile.layers.begin(),
                   [](double a, double b) { return std::min(a, b); });
  }
  return profile;
}

double measureLoadRate(double milliseconds, const Clock& clock) {
  alignas(16) std::array<std::uint8_t, kLoadRateBytes> bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 37);
  // Long enough for a browser's coarse clock, short enough to fit between two interruptions.
  constexpr int kRounds = 50'000;
  volatile std::uint32_t kept = 0;
  double fastest = 0;
  const double start = clock();
  for (double now = start; fastest == 0 || now - start < milliseconds;) {
    kept = kept + loadAndAdd(bytes.data(), kRounds);
    const double end = clock();
    if (end <= now) return 0;
    fastest = fastest == 0 ? end - now : std::min(fastest, end - now);
    now = end;
  }
  return double{kRounds} * kLoadsARound / fastest * 1e-6;
}

int macsPerLoad(const LayerInfo& layer) {
  if (layer.operation != "ternary_conv" || layer.shape.plane() == 1) return 0;
  return layer.input_bits <= 4 ? 64 : 32;
}

}  // namespace trefoil
