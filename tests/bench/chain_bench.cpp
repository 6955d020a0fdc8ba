// Times the ternary convolutions of a ResNet-50 (all but the first) in the network's order, each with weights
// of its own: weights then come from memory and branches are not known from the run before, while the input
// is what the layer before has just written, as in a network.
//
//   chain_bench [recipes: part of a name] [variant: part of a name] [passes]
//
// For each recipe: the milliseconds of preparing, a table of layer shapes with the mean over equal shapes of
// the fastest run and its GMAC/s (of the dense layer), the sum over all layers, and the fastest whole pass.
// Every output is compared with the scalar kernel's on one pixel a plane. Under Node, pass --no-liftoff.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "bench_weights.h"
#include "kernels/ternary_conv/ternary_conv.h"

namespace {

using namespace trefoil;         // NOLINT
using namespace trefoil::bench;  // NOLINT

struct Recipe {
  int bits;  // of activations
  WeightRecipe weights;
};
constexpr Recipe kRecipes[] = {
    {8, {"A8,N=64", 64, 0, 1}},
    {8, {"A8,N=4,4-levels", 4, 4, 1}},
    {8, {"A8,N=filter", kWholeFilter, 0, 1}},
    {8, {"A8,N=64,2-planes", 64, 0, 2}},
    {8, {"A8,N=4", 4, 0, 1}},
    {4, {"A4,N=64", 64, 0, 1}},
    {4, {"A4,N=4,4-levels", 4, 4, 1}},
    {4, {"A4,N=filter", kWholeFilter, 0, 1}},
    {4, {"A4,N=64,2-planes", 64, 0, 2}},
    {5, {"A5,N=64", 64, 0, 1}},
};

std::string nameOf(const ConvShape& shape) {
  return std::to_string(shape.channels) + "-" + std::to_string(shape.filters) + " " +
         std::to_string(shape.kernel) + "x" + std::to_string(shape.kernel) + "@" +
         std::to_string(shape.size) + (shape.stride > 1 ? "/2" : "");
}

// Bottlenecks of 3, 4, 6 and 3 blocks; the 3x3 convolution of a stage's first block halves the image.
std::vector<ConvShape> resnet50() {
  std::vector<ConvShape> layers;
  int channels = 64, size = 56;
  const int blocks[] = {3, 4, 6, 3};
  for (int stage = 0; stage < 4; ++stage) {
    const int width = 64 << stage;
    for (int block = 0; block < blocks[stage]; ++block) {
      const int stride = stage > 0 && block == 0 ? 2 : 1;
      layers.push_back({channels, width, size, 1, 1});
      layers.push_back({width, width, size, 3, stride});
      if (block == 0) layers.push_back({channels, 4 * width, size, 1, stride});
      size /= stride;
      layers.push_back({width, 4 * width, size, 1, 1});
      channels = 4 * width;
    }
  }
  return layers;
}

struct Layer {
  ConvShape shape;
  ConvTask task;
  std::vector<std::uint8_t> pads;
  std::vector<std::int32_t> bias;
  std::vector<FixedPoint> factors;
  const TernaryConvVariant* variant = nullptr;
  AlignedBuffer packed;
  double best = 1e9;

  double macs() const { return static_cast<double>(task.out.size()) * task.taps() * task.channelsPerGroup(); }
};

double now() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// The sum at output pixel (y, x) of a filter, by definition.
std::int64_t accumulate(const Layer& layer, const TernaryWeights& weights, const std::uint8_t* input, int k,
                        int y, int x) {
  const ConvTask& task = layer.task;
  const Window& window = task.window;
  std::int64_t sum = layer.bias[k];
  for (int r = 0; r < window.kernel_h; ++r) {
    for (int s = 0; s < window.kernel_w; ++s) {
      const int in_y = y * window.stride_h + r - window.pad_top,
                in_x = x * window.stride_w + s - window.pad_left, tap = r * window.kernel_w + s;
      if (in_y < 0 || in_x < 0 || in_y >= task.in.height || in_x >= task.in.width) continue;  // pads are 0
      for (int c = 0; c < task.in.channels; ++c) {
        const std::size_t code = (static_cast<std::size_t>(k) * task.taps() + tap) * task.in.channels + c;
        const std::size_t scale =
            static_cast<std::size_t>(k) * scalesPerFilter(task.in.channels, task.taps(), weights.group_size) +
            scaleIndex(c, tap, task.in.channels, weights.group_size);
        const int q = input[c * planeStride(task.in) + in_y * task.in.width + in_x];
        for (const TernaryPlane& plane : weights.planes) sum += q * plane.codes[code] * plane.scales[scale];
      }
    }
  }
  return sum;
}

class Chain {
 public:
  Chain(const Recipe& recipe, const std::string& variant) : recipe_(recipe) {
    Random random;
    const std::vector<ConvShape> shapes = resnet50();
    layers_ = std::vector<Layer>(shapes.size());
    for (std::size_t i = 0; i < shapes.size(); ++i) addLayer(layers_[i], shapes[i], variant, random);
  }

  bool run(int passes) {
    double fastest = 1e9;
    for (int pass = 0; pass < passes; ++pass) {
      const double begin = now();
      for (Layer& layer : layers_) {
        const double start = now();
        layer.variant->run(layer.task, layer.packed, input_.data(), output_.data(), scratch_.data(), {});
        std::swap(input_, output_);
        layer.best = std::min(layer.best, now() - start);
      }
      fastest = std::min(fastest, now() - begin);
    }
    print(fastest);
    return !wrong_;
  }

 private:
  void addLayer(Layer& layer, const ConvShape& shape, const std::string& variant, Random& random) {
    layer.shape = shape;
    layer.task = convTask(shape);
    ConvTask& task = layer.task;
    task.input_max = (1 << recipe_.bits) - 1;
    layer.pads.assign(shape.channels, 0);
    layer.bias.assign(shape.filters, 1000);
    FixedPoint factor;
    if (!fixedPointFromReal(recipe_.bits < 8 ? 2e-3 : 1e-4, &factor)) return;
    layer.factors.assign(shape.filters, factor);
    task.pad_values = layer.pads;
    task.bias = layer.bias;
    task.factors = layer.factors;
    task.high = task.input_max;
    task.zero_point = (task.high + 1) / 2;
    const TernaryWeights weights = ternaryWeights(shape, recipe_.weights, random);
    for (const TernaryConvVariant& row : ternaryConvVariants()) {
      if (layer.variant || !row.supports(task, weights)) continue;
      if (variant.empty() || row.name.find(variant) != std::string::npos) layer.variant = &row;
    }
    if (!layer.variant) layer.variant = &ternaryConvVariants().front();
    double preparing = 1e9;
    for (int i = 0; i < 3; ++i) {
      const double start = now();
      layer.packed = layer.variant->pack(task, weights);
      preparing = std::min(preparing, now() - start);
    }
    preparing_ += preparing;
    packed_bytes_ += layer.packed.size();
    const std::size_t scratch = layer.variant->scratchBytes(task);
    if (scratch > scratch_.size()) scratch_ = AlignedBuffer(scratch);
    for (AlignedBuffer* buffer : {&input_, &output_}) {
      const std::size_t bytes = std::max(tensorBytes(task.in), tensorBytes(task.out));
      if (bytes > buffer->size()) *buffer = AlignedBuffer(bytes);
    }
    check(layer, weights, random);
  }

  void check(Layer& layer, const TernaryWeights& weights, Random& random) {
    const ConvTask& task = layer.task;
    for (AlignedBuffer* buffer : {&input_, &output_}) {
      for (std::size_t i = 0; i < buffer->size(); ++i) {
        buffer->data()[i] = static_cast<std::uint8_t>(random() & task.input_max);
      }
    }
    layer.variant->run(task, layer.packed, input_.data(), output_.data(), scratch_.data(), {});
    for (int k = 0; k < task.out.channels; k += 7) {
      const int y = k % task.out.height, x = k * 5 % task.out.width;
      const std::int64_t product =
          accumulate(layer, weights, input_.data(), k, y, x) * layer.factors[k].multiplier;
      const int shift = layer.factors[k].shift;
      const std::int64_t rounded = (product + (std::int64_t{1} << (shift - 1))) >> shift;
      const auto expected = std::clamp<std::int64_t>(task.zero_point + rounded, task.low, task.high);
      wrong_ |= output_.data()[k * planeStride(task.out) + y * task.out.width + x] != expected;
    }
  }

  void print(double fastest) const {
    struct Line {
      double milliseconds = 0, macs = 0;
      int count = 0;
      std::string variant;
    };
    std::map<std::string, std::size_t> index;
    std::vector<std::pair<std::string, Line>> lines;
    double sum = 0, macs = 0;
    for (const Layer& layer : layers_) {
      const auto [at, added] = index.emplace(nameOf(layer.shape), lines.size());
      if (added) lines.push_back({nameOf(layer.shape), {}});
      Line& line = lines[at->second].second;
      line.milliseconds += layer.best;
      line.macs += layer.macs();
      line.variant = layer.variant->name;
      ++line.count;
      sum += layer.best;
      macs += layer.macs();
    }
    for (const auto& [name, line] : lines) {
      std::printf("%-16s %-18s %-18s %2d x %7.3f ms %6.1f GMAC/s\n", recipe_.weights.name, name.c_str(),
                  line.variant.c_str(), line.count, line.milliseconds / line.count,
                  line.macs / line.milliseconds * 1e-6);
    }
    std::printf(
        "%-16s all %d layers: sum %.2f ms (%.1f GMAC/s), pass %.2f ms, prepared in %.0f ms, %.1f MB%s\n",
        recipe_.weights.name, static_cast<int>(layers_.size()), sum, macs / sum * 1e-6, fastest, preparing_,
        static_cast<double>(packed_bytes_) * 1e-6, wrong_ ? "  WRONG" : "");
    std::fflush(stdout);
  }

  Recipe recipe_;
  std::vector<Layer> layers_;
  AlignedBuffer scratch_, input_, output_;
  double preparing_ = 0;
  std::size_t packed_bytes_ = 0;
  bool wrong_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  const std::string recipes = argc > 1 ? argv[1] : "", variant = argc > 2 ? argv[2] : "";
  const int passes = argc > 3 ? std::atoi(argv[3]) : 10;
  bool right = true;
  for (const Recipe& recipe : kRecipes) {
    if (std::string(recipe.weights.name).find(recipes) == std::string::npos) continue;
    right &= Chain(recipe, variant).run(passes);
  }
  return right ? 0 : 1;
}
