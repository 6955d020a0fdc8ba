// How much of a ResNet-50's ternary convolutions goes into bringing pixels from planes into the sum-table
// kernel's order and back: what one order of pixels for the whole network could save at most.
//
//   layout_bench [passes]
//
// Into the order: packSumInput(). Back: writeSumOutput() where lanes are blocks of the image, beyond what it
// takes where lanes are neighbouring pixels. Fastest of all passes, 8-bit activations, N=64.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "bench_weights.h"
#include "kernels/ternary_conv/sums_layout.h"
#include "kernels/ternary_conv/sums_pixels.h"
#include "kernels/ternary_conv/ternary_conv.h"

namespace {

using namespace trefoil;         // NOLINT
using namespace trefoil::bench;  // NOLINT

constexpr SumKind kKind{8, 4, 8, 112 << 10};  // of the row "g4_simd128"

struct Layer {
  ConvShape shape;
  int count;  // in the network
};

constexpr Layer kLayers[] = {
    {{64, 64, 56, 1, 1}, 1},     {{64, 64, 56, 3, 1}, 3},    {{64, 256, 56, 1, 1}, 4},
    {{256, 64, 56, 1, 1}, 2},    {{256, 128, 56, 1, 1}, 1},  {{128, 128, 56, 3, 2}, 1},
    {{256, 512, 56, 1, 2}, 1},   {{128, 512, 28, 1, 1}, 4},  {{512, 128, 28, 1, 1}, 3},
    {{128, 128, 28, 3, 1}, 3},   {{512, 256, 28, 1, 1}, 1},  {{256, 256, 28, 3, 2}, 1},
    {{512, 1024, 28, 1, 2}, 1},  {{256, 1024, 14, 1, 1}, 6}, {{1024, 256, 14, 1, 1}, 5},
    {{256, 256, 14, 3, 1}, 5},   {{1024, 512, 14, 1, 1}, 1}, {{512, 512, 14, 3, 2}, 1},
    {{1024, 2048, 14, 1, 2}, 1}, {{512, 2048, 7, 1, 1}, 3},  {{2048, 512, 7, 1, 1}, 2},
    {{512, 512, 7, 3, 1}, 2},
};

template <typename Work>
double fastest(int passes, const Work& work) {
  double best = 1e9;
  for (int pass = 0; pass < passes; ++pass) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count());
  }
  return best;
}

struct Times {
  double run = 0, in = 0, out = 0;  // milliseconds
};

double writeAll(const ConvTask& task, const SumLayout& layout, int passes, std::uint8_t* output) {
  constexpr int kFilters = 8;  // whose accumulators the kernel finishes together
  const std::size_t stride = static_cast<std::size_t>(layout.tile_width) * layout.lanes;
  const std::vector<std::int32_t> accumulators(stride * kFilters + 64, 1234567);
  return fastest(passes, [&] {
    for (int row = 0; row < layout.rows; ++row) {
      for (int tile = 0; tile < layout.tiles; ++tile) {
        const int column = layout.tileBegin(tile);
        const SumTile place{row, column, layout.tileBegin(tile + 1) - column};
        for (int filter = 0; filter < task.out.channels; filter += kFilters) {
          writeSumOutput(task, layout, place, PixelOrder::kNatural, filter, kFilters, accumulators.data(),
                         stride, output);
        }
      }
    }
  });
}

Times timeLayer(const Layer& layer, int passes) {
  const ConvShape& shape = layer.shape;
  ConvTask task = convTask(shape);
  const std::vector<std::uint8_t> pads(shape.channels, 0);
  const std::vector<std::int32_t> bias(shape.filters, 1000);
  const std::vector<FixedPoint> factors(shape.filters, FixedPoint{1518500249, 44});
  task.pad_values = pads;
  task.bias = bias;
  task.factors = factors;
  AlignedBuffer input(tensorBytes(task.in)), output(tensorBytes(task.out));
  for (std::size_t i = 0; i < input.size(); ++i) input.data()[i] = static_cast<std::uint8_t>(i * 151);

  Random random;
  const auto variants = ternaryConvVariants();
  const auto variant = std::find_if(variants.begin(), variants.end(),
                                    [](const auto& row) { return row.name == "g4_simd128"; });
  const AlignedBuffer packed = variant->pack(task, ternaryWeights(shape, {"N=64", 64}, random));
  AlignedBuffer scratch(variant->scratchBytes(task));
  Times times;
  times.run = fastest(
      passes, [&] { variant->run(task, packed, input.data(), output.data(), scratch.data(), Part{}); });

  const SumLayout layout = sumLayout(task, kKind);
  if (!sumsReadPlanes(task, layout)) {
    AlignedBuffer vectors(sumChannelStride(task, layout) * shape.channels + 64);
    AlignedBuffer lines(sumLineBytes(task, layout) + 64);
    times.in =
        fastest(passes, [&] { packSumInput(task, layout, 0, input.data(), vectors.data(), lines.data()); });
  }
  if (!layout.pointwise) {
    ConvTask straight = task;  // writes as many pixels
    straight.window = {};
    straight.in = {shape.channels, shape.outSize(), shape.outSize()};
    times.out = std::max(0.0, writeAll(task, layout, passes, output.data()) -
                                  writeAll(straight, sumLayout(straight, kKind), passes, output.data()));
  }
  return times;
}

}  // namespace

int main(int argc, char** argv) {
  const int passes = argc > 1 ? std::atoi(argv[1]) : 20;
  Times all;
  for (const Layer& layer : kLayers) {
    const Times times = timeLayer(layer, passes);
    all.run += layer.count * times.run;
    all.in += layer.count * times.in;
    all.out += layer.count * times.out;
    if (times.in + times.out == 0) continue;
    std::printf("%4d-%4d %dx%d@%d/%d  %6.3f ms, into vectors %5.1f%%, back %5.1f%%\n", layer.shape.channels,
                layer.shape.filters, layer.shape.kernel, layer.shape.kernel, layer.shape.size,
                layer.shape.stride, times.run, 100 * times.in / times.run, 100 * times.out / times.run);
  }
  std::printf("all 52 layers %.2f ms, into vectors %.2f ms (%.1f%%), back %.2f ms (%.1f%%)\n", all.run,
              all.in, 100 * all.in / all.run, all.out, 100 * all.out / all.run);
}
