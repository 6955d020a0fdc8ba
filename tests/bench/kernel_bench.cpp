// Times every convolution kernel on the layer shapes of ResNet-50 and MobileNet v2, after checking its bytes
// against the scalar kernel's.
//
//   kernel_bench [part of a line] [milliseconds a measurement]
//
// A line is "<layer> <weights> <variant>"; GMAC/s are those of the dense layer, from the fastest run. Under
// Node, pass
// --no-liftoff so that the baseline compiler's code is not what is timed.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "bench_weights.h"
#include "kernels/int8_conv/int8_conv.h"
#include "kernels/ternary_conv/ternary_conv.h"

namespace {

using namespace trefoil;         // NOLINT
using namespace trefoil::bench;  // NOLINT

struct Layer {
  const char* name;
  ConvShape shape;
};

// The input's size; padding keeps it. `1x1` layers of size 1 are fully connected.
constexpr Layer kTernaryLayers[] = {
    {"64-64 1x1@56", {64, 64, 56, 1, 1, 1}},       {"64 3x3@56", {64, 64, 56, 3, 1, 1}},
    {"256-64 1x1@56", {256, 64, 56, 1, 1, 1}},     {"64-256 1x1@56", {64, 256, 56, 1, 1, 1}},
    {"128 3x3@28", {128, 128, 28, 3, 1, 1}},       {"512-128 1x1@28", {512, 128, 28, 1, 1, 1}},
    {"128-512 1x1@28", {128, 512, 28, 1, 1, 1}},   {"256 3x3@14", {256, 256, 14, 3, 1, 1}},
    {"1024-256 1x1@14", {1024, 256, 14, 1, 1, 1}}, {"256-1024 1x1@14", {256, 1024, 14, 1, 1, 1}},
    {"512 3x3@7", {512, 512, 7, 3, 1, 1}},         {"2048-512 1x1@7", {2048, 512, 7, 1, 1, 1}},
    {"512-2048 1x1@7", {512, 2048, 7, 1, 1, 1}},   {"128 3x3@56/2", {128, 128, 56, 3, 2, 1}},
    {"256-512 1x1@56/2", {256, 512, 56, 1, 2, 1}}, {"2048-1000 1x1@1", {2048, 1000, 1, 1, 1, 1}},
    {"4096-4096 1x1@1", {4096, 4096, 1, 1, 1, 1}}, {"96-24 1x1@56", {96, 24, 56, 1, 1, 1}},
    {"32 dw 3x3@112", {32, 32, 112, 3, 1, 32}},
};
constexpr Layer kInt8Layers[] = {
    {"3-64 7x7@224/2", {3, 64, 224, 7, 2, 1}},    {"3-64 11x11@224/4", {3, 64, 224, 11, 4, 1}},
    {"3-32 3x3@224/2", {3, 32, 224, 3, 2, 1}},    {"64 3x3@56", {64, 64, 56, 3, 1, 1}},
    {"256 3x3@14", {256, 256, 14, 3, 1, 1}},      {"256-64 1x1@56", {256, 64, 56, 1, 1, 1}},
    {"512 3x3@7", {512, 512, 7, 3, 1, 1}},        {"2048-512 1x1@7", {2048, 512, 7, 1, 1, 1}},
    {"32 dw 3x3@112", {32, 32, 112, 3, 1, 32}},   {"144 dw 3x3@56/2", {144, 144, 56, 3, 2, 144}},
    {"576 dw 3x3@14", {576, 576, 14, 3, 1, 576}}, {"2048-1000 1x1@1", {2048, 1000, 1, 1, 1, 1}},
};

constexpr WeightRecipe kRecipes[] = {
    {"N=4", 4}, {"N=4,4-levels", 4, 4}, {"N=8", 8}, {"N=64", 64}, {"N=filter", kWholeFilter}};

class Bench {
 public:
  Bench(std::string filter, double milliseconds) : filter_(std::move(filter)), milliseconds_(milliseconds) {}

  template <typename Weights, typename Variants>
  void layer(const char* operation, const Layer& layer, const char* recipe, const Weights& weights,
             const Variants& variants);
  bool failed() const { return failed_; }

 private:
  bool wanted(const std::string& line) const {
    return filter_.empty() || line.find(filter_) != std::string::npos;
  }

  std::string filter_;
  double milliseconds_;
  bool failed_ = false;
};

template <typename Variant, typename Weights>
double fastestRun(const Variant& variant, const ConvTask& task, const Weights& weights,
                  const AlignedBuffer& input, AlignedBuffer& output, double milliseconds) {
  const AlignedBuffer packed = variant.pack(task, weights);
  AlignedBuffer scratch(variant.scratchBytes(task));
  double best = 1e9, total = 0;
  for (int run = 0; run < 2 || total < milliseconds; ++run) {
    const auto start = std::chrono::steady_clock::now();
    variant.run(task, packed, input.data(), output.data(), scratch.data(), Part{});
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count());
    total += took.count();
  }
  return best;
}

template <typename Weights, typename Variants>
void Bench::layer(const char* operation, const Layer& layer, const char* recipe, const Weights& weights,
                  const Variants& variants) {
  const std::string prefix = std::string(operation) + " " + layer.name + " " + recipe + " ";
  bool any = false;
  for (const auto& variant : variants) any |= wanted(prefix + std::string(variant.name));
  if (!any) return;

  Random random;
  const ConvShape& shape = layer.shape;
  ConvTask task = convTask(shape);
  std::vector<std::uint8_t> pads(shape.channels, 0);
  std::vector<std::int32_t> bias(shape.filters, 1000);
  FixedPoint factor;
  if (!fixedPointFromReal(1e-4, &factor)) return;
  std::vector<FixedPoint> factors(shape.filters, factor);
  task.pad_values = pads;
  task.bias = bias;
  task.factors = factors;
  task.zero_point = 128;
  AlignedBuffer input(tensorBytes(task.in)), expected(tensorBytes(task.out)), output(tensorBytes(task.out));
  for (std::size_t i = 0; i < input.size(); ++i) input.data()[i] = static_cast<std::uint8_t>(random());
  fastestRun(variants.back(), task, weights, input, expected, 0);

  for (const auto& variant : variants) {
    if (!wanted(prefix + std::string(variant.name)) || !variant.supports(task, weights)) continue;
    if (&variant == &variants.back() && filter_.find(variant.name) == std::string::npos) continue;
    const double best = fastestRun(variant, task, weights, input, output, milliseconds_);
    bool equal = true;
    const auto plane = static_cast<std::size_t>(task.out.plane());
    for (int k = 0; k < shape.filters; ++k) {
      const std::size_t at = k * planeStride(task.out);
      equal &= std::memcmp(output.data() + at, expected.data() + at, plane) == 0;
    }
    failed_ |= !equal;
    const double macs = static_cast<double>(task.out.size()) * task.taps() * task.channelsPerGroup();
    std::printf("%-50s %9.3f ms %7.1f GMAC/s%s\n", (prefix + std::string(variant.name)).c_str(), best,
                macs / best * 1e-6, equal ? "" : "  WRONG");
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Bench bench(argc > 1 ? argv[1] : "", argc > 2 ? std::atof(argv[2]) : 100);
  for (const Layer& layer : kTernaryLayers) {
    for (const WeightRecipe& recipe : kRecipes) {
      Random random;
      bench.layer("ternary", layer, recipe.name, ternaryWeights(layer.shape, recipe, random),
                  ternaryConvVariants());
    }
  }
  for (const Layer& layer : kInt8Layers) {
    Random random;
    const ConvShape& shape = layer.shape;
    std::vector<std::int8_t> weights(static_cast<std::size_t>(shape.filters) * shape.kernel * shape.kernel *
                                     shape.channels / shape.groups);
    for (auto& weight : weights) weight = static_cast<std::int8_t>(random());
    bench.layer("int8", layer, "-", std::span<const std::int8_t>(weights), int8ConvVariants());
  }
  return bench.failed() ? 1 : 0;
}
