// Small random networks with every operation, valid by construction, for the tests of the file format and the
// runtime.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "format/quant_model.h"
#include "helpers/random.h"

namespace trefoil::testing {

class RandomModel {
 public:
  // more_pixels: rows and columns that are added to the input's.
  explicit RandomModel(std::uint32_t seed, int more_pixels = 0) : random_(seed), more_pixels_(more_pixels) {}

  QuantModel make() {
    QNode input;
    input.name = "image";
    input.op = QInputOp{};
    input.shape = {random_.chance(70) ? 3 : 1, random_.integer(1, 11), random_.integer(1, 11)};
    if (random_.chance(20)) input.shape.width = random_.integer(15, 35);
    input.shape.height += more_pixels_;
    input.shape.width += more_pixels_;
    model_.nodes.push_back(input);
    const int steps = random_.integer(3, 14);
    for (int i = 0; i < steps; ++i) addNode();
    addEnd();
    const auto classes = static_cast<std::size_t>(model_.nodes.back().shape.size());
    for (std::size_t i = 0; i < classes; ++i) {
      model_.logit_scales.push_back(static_cast<float>(random_.integer(1, 1000)) / 4096.0F);
      model_.logit_offsets.push_back(static_cast<float>(random_.integer(-8, 8)));
    }
    addMetadata(classes);
    return std::move(model_);
  }

 private:
  QNode& node(int i) { return model_.nodes[static_cast<std::size_t>(i)]; }
  int anyNode() {  // late ones more often, so that networks get deep
    const int last = static_cast<int>(model_.nodes.size()) - 1;
    return random_.chance(70) ? last : random_.integer(0, last);
  }

  Grid anyGrid() {
    Grid grid;
    grid.bits = random_.chance(50) ? 8 : random_.integer(4, 8);
    grid.zero_point = random_.chance(40) ? 0 : random_.integer(0, grid.max());
    grid.scale = static_cast<float>(random_.integer(1, 255)) / 64.0F;
    return grid;
  }

  // A factor that brings values up to `magnitude` to about the width of a grid, or, now and then, any.
  FixedPoint factorFor(std::int64_t magnitude) {
    if (random_.chance(5)) {
      return {random_.integer(0, 0x7fffffff),
              static_cast<std::uint8_t>(random_.integer(kMinShift, kMaxShift))};
    }
    const double real = random_.integer(50, 3000) / static_cast<double>(std::max<std::int64_t>(magnitude, 4));
    FixedPoint factor;
    if (!fixedPointFromReal(std::min(real, 0.999), &factor)) factor = {1 << 30, 31};
    return factor;
  }

  OutputStage stageFor(const Grid& grid, std::size_t count, std::int64_t magnitude) {
    OutputStage stage;
    for (std::size_t i = 0; i < count; ++i) stage.factors.push_back(factorFor(magnitude));
    stage.high = random_.chance(70) ? grid.max() : random_.integer(0, grid.max());
    stage.low = random_.chance(70) ? 0 : random_.integer(0, stage.high);
    return stage;
  }

  // A window that fits `in`, and the result's rows and columns.
  std::optional<Shape> tryWindow(const Shape& in, bool pool, Window* w) {
    w->kernel_h = random_.integer(1, random_.chance(80) ? 3 : 7);
    w->kernel_w = random_.chance(60) ? w->kernel_h : random_.integer(1, 5);
    w->stride_h = random_.integer(1, random_.chance(80) ? 2 : 4);
    w->stride_w = random_.chance(70) ? w->stride_h : random_.integer(1, 3);
    if (random_.chance(15)) w->dilation_h = w->dilation_w = 2;
    // A pool's window must touch the image.
    const int reach_h = pool ? (w->kernel_h - 1) * w->dilation_h : w->kernel_h + 1;
    const int reach_w = pool ? (w->kernel_w - 1) * w->dilation_w : w->kernel_w + 1;
    if (!pool || w->dilation_h <= std::min(in.height, in.width)) {
      if (random_.chance(60)) w->pad_top = w->pad_bottom = std::min(reach_h, random_.integer(0, 2));
      if (random_.chance(60)) w->pad_left = w->pad_right = std::min(reach_w, random_.integer(0, 2));
      if (random_.chance(20)) w->pad_bottom = random_.integer(0, std::min(reach_h, 3));
      if (random_.chance(20)) w->pad_left = random_.integer(0, std::min(reach_w, 3));
    }
    const int room_h = in.height + w->pad_top + w->pad_bottom - (w->kernel_h - 1) * w->dilation_h - 1;
    const int room_w = in.width + w->pad_left + w->pad_right - (w->kernel_w - 1) * w->dilation_w - 1;
    if (room_h < 0 || room_w < 0) return std::nullopt;
    return Shape{in.channels, room_h / w->stride_h + 1, room_w / w->stride_w + 1};
  }

  Shape windowFor(const Shape& in, bool pool, Window* w) {
    for (int attempt = 0; attempt < 20; ++attempt) {
      *w = {};
      if (const auto shape = tryWindow(in, pool, w)) return *shape;
    }
    *w = {};
    return in;
  }

  void push(QOp op, std::vector<int> inputs, Shape shape, Grid grid) {
    QNode made;
    made.name = "node" + std::to_string(model_.nodes.size());
    made.op = std::move(op);
    made.inputs = std::move(inputs);
    made.shape = shape;
    made.grid = grid;
    model_.nodes.push_back(std::move(made));
  }

  TernaryWeights ternaryWeights(int filters, int channels, int taps) {
    TernaryWeights ternary;
    ternary.group_size = random_.pick<int>({1, 2, 3, 4, 4, 4, 8, 16, 64, kWholeFilter});
    const std::size_t scales = static_cast<std::size_t>(filters) *
                               static_cast<std::size_t>(scalesPerFilter(channels, taps, ternary.group_size));
    const int largest = random_.chance(30) ? 255 : random_.integer(1, 40);
    const int zeros = random_.integer(0, 90);
    const int positive = random_.pick<int>({50, 50, 50, 0, 100});  // one sign makes the largest sums
    for (int p = random_.chance(25) ? 2 : 1; p > 0; --p) {
      TernaryPlane plane;
      for (int i = 0; i < filters * channels * taps; ++i) {
        plane.codes.push_back(static_cast<std::int8_t>(random_.chance(zeros)      ? 0
                                                       : random_.chance(positive) ? 1
                                                                                  : -1));
      }
      plane.scales = random_.bytes(scales, largest);
      if (random_.chance(30)) plane.negative_scales = random_.bytes(scales, largest);
      if (random_.chance(40)) {  // few levels, as codebooks of scales have them
        const int step = random_.pick<int>({32, 64, 128, 256});
        for (auto* list : {&plane.scales, &plane.negative_scales}) {
          for (auto& scale : *list) scale = static_cast<std::uint8_t>(scale / step * step);
        }
      }
      ternary.planes.push_back(std::move(plane));
    }
    return ternary;
  }

  // The largest |sum| of one filter without its bias.
  static std::int64_t magnitude(const QConvOp& conv, std::size_t per_filter, int input_max) {
    std::int64_t most = 128;
    for (const TernaryPlane& plane : conv.ternary.planes) most = plane.scales.empty() ? most : 255;
    return static_cast<std::int64_t>(per_filter * std::max<std::size_t>(1, conv.ternary.planes.size())) *
           most * input_max;
  }

  void addConv(int from, bool ends) {
    const Shape in = node(from).shape;
    QConvOp conv;
    Shape shape = in;
    if (ends && random_.chance(50)) {  // fully connected over what is left
      conv.window.kernel_h = in.height;
      conv.window.kernel_w = in.width;
      shape = {in.channels, 1, 1};
    } else {
      shape = windowFor(in, false, &conv.window);
    }
    if (random_.chance(25)) {
      std::vector<int> divisors;
      for (int g = 1; g <= in.channels; ++g) {
        if (in.channels % g == 0) divisors.push_back(g);
      }
      conv.groups = random_.pick(divisors);
    }
    shape.channels =
        conv.groups * random_.integer(1, std::max(1, (random_.chance(80) ? 12 : 40) / conv.groups));
    const int channels = in.channels / conv.groups;
    const int taps = conv.window.kernel_h * conv.window.kernel_w;
    const auto per_filter = static_cast<std::size_t>(channels * taps);
    const auto filters = static_cast<std::size_t>(shape.channels);
    if (random_.chance(70)) {
      conv.ternary = ternaryWeights(shape.channels, channels, taps);
    } else {
      for (std::size_t i = 0; i < filters * per_filter; ++i) {
        conv.int8.push_back(static_cast<std::int8_t>(random_.integer(-128, 127)));
      }
    }
    const std::int64_t most = magnitude(conv, per_filter, node(from).grid.max());
    const std::int64_t bias_room = random_.chance(10) ? 0x7fffffff - most : most / 4;
    for (std::size_t k = 0; k < filters; ++k) {
      conv.bias.push_back(static_cast<std::int32_t>(random_.between(-bias_room, bias_room)));
      conv.filter_scales.push_back(static_cast<float>(random_.integer(1, 99)) / 1024.0F);
    }
    conv.pad_values = random_.bytes(static_cast<std::size_t>(in.channels), node(from).grid.max());
    const Grid grid = anyGrid();
    conv.output = stageFor(grid, filters, most);
    push(std::move(conv), {from}, shape, grid);
  }

  void addPool(int from) {
    QPoolOp pool;
    pool.average = random_.chance(50);
    const Shape in = node(from).shape;
    Shape shape = in;
    if (random_.chance(20)) {  // global
      pool.window.kernel_h = in.height;
      pool.window.kernel_w = in.width;
      shape = {in.channels, 1, 1};
    } else {
      shape = windowFor(in, true, &pool.window);
    }
    const Grid grid = pool.average ? anyGrid() : node(from).grid;
    if (pool.average) {
      const int area = pool.window.kernel_h * pool.window.kernel_w;
      pool.output = stageFor(grid, random_.chance(50) ? 1 : static_cast<std::size_t>(area), area * 255);
    }
    push(pool, {from}, shape, grid);
  }

  void addAdd(int from) {
    const Grid grid = anyGrid();
    QAddOp add;
    add.shift = random_.integer(0, 30);
    const int limit = std::min(1 << 21, std::max(2, static_cast<int>((std::int64_t{1} << add.shift) * 2)));
    for (auto& m : add.multipliers)
      m = random_.chance(10) ? (random_.chance(50) ? 1 << 21 : -(1 << 21)) : random_.integer(-limit, limit);
    add.high = random_.chance(70) ? grid.max() : random_.integer(0, grid.max());
    add.low = random_.integer(0, random_.chance(70) ? 0 : add.high);
    push(add, {from, like(from, false)}, node(from).shape, grid);
  }

  // Another node of the same shape (and grid), or the node itself.
  int like(int from, bool same_grid) {
    std::vector<int> found{from};
    for (int i = 0; i < static_cast<int>(model_.nodes.size()); ++i) {
      const bool grid =
          node(i).grid.bits == node(from).grid.bits && node(i).grid.zero_point == node(from).grid.zero_point;
      if (node(i).shape == node(from).shape && (grid || !same_grid)) found.push_back(i);
    }
    return random_.pick(found);
  }

  void addMul(int from) {
    int other = like(from, false);
    if (random_.chance(60)) {  // one value a channel
      QPoolOp pool;
      pool.average = true;
      pool.window.kernel_h = node(from).shape.height;
      pool.window.kernel_w = node(from).shape.width;
      const Grid grid = anyGrid();
      pool.output = stageFor(grid, 1, node(from).shape.plane() * 255);
      push(pool, {from}, {node(from).shape.channels, 1, 1}, grid);
      other = static_cast<int>(model_.nodes.size()) - 1;
    }
    const Grid grid = anyGrid();
    push(QMulOp{stageFor(grid, 1, 65025)}, {from, other}, node(from).shape, grid);
  }

  void addConcat(int from) {
    std::vector<int> inputs{from};
    int channels = node(from).shape.channels;
    for (int i = 0; i < static_cast<int>(model_.nodes.size()) && inputs.size() < 4; ++i) {
      const QNode& other = node(i);
      if (other.shape.height == node(from).shape.height && other.shape.width == node(from).shape.width &&
          other.grid.bits == node(from).grid.bits && other.grid.zero_point == node(from).grid.zero_point &&
          channels + other.shape.channels < 80) {
        inputs.push_back(i);
        channels += other.shape.channels;
      }
    }
    const Shape shape{channels, node(from).shape.height, node(from).shape.width};
    push(QConcatOp{}, inputs, shape, node(from).grid);
  }

  void addLookup(int from) {
    const Grid grid = anyGrid();
    const int tables = random_.chance(50) ? 1 : node(from).shape.channels;
    push(QLookupOp{random_.bytes(256 * static_cast<std::size_t>(tables), grid.max())}, {from},
         node(from).shape, grid);
  }

  void addLrn(int from) {
    QLrnOp lrn;
    lrn.size = random_.integer(1, 7);
    lrn.table_shift = random_.integer(0, 12);
    lrn.shift = random_.integer(0, random_.chance(80) ? 21 : 62);
    const int entries = random_.integer(1, 300);
    for (int i = 0; i < entries; ++i)
      lrn.table.push_back(random_.integer(0, std::min(1 << 21, 4 << std::min(lrn.shift, 19))));
    push(lrn, {from}, node(from).shape, anyGrid());
  }

  void addPad(int from) {
    QPadOp pad;
    Shape shape = node(from).shape;
    int* sizes[3] = {&shape.channels, &shape.height, &shape.width};
    for (int axis = 0; axis < 3; ++axis) {
      if (!random_.chance(50)) continue;
      pad.before[axis] = random_.integer(0, 2);
      pad.after[axis] = random_.integer(0, 2);
      *sizes[axis] += pad.before[axis] + pad.after[axis];
    }
    pad.value = random_.integer(0, node(from).grid.max());
    push(pad, {from}, shape, node(from).grid);
  }

  void addSlice(int from) {
    QSliceOp slice;
    Shape shape = node(from).shape;
    int* sizes[3] = {&shape.channels, &shape.height, &shape.width};
    for (int axis = 0; axis < 3; ++axis) {
      if (!random_.chance(40)) continue;
      const int size = *sizes[axis];
      slice.start[axis] = random_.integer(0, size - 1);
      slice.step[axis] = random_.integer(1, 3);
      *sizes[axis] = random_.integer(1, (size - 1 - slice.start[axis]) / slice.step[axis] + 1);
    }
    push(slice, {from}, shape, node(from).grid);
  }

  void addReshape(int from) {
    const Shape in = node(from).shape;
    std::vector<Shape> shapes{{static_cast<int>(in.size()), 1, 1}, {1, 1, static_cast<int>(in.size())}};
    shapes.push_back({in.channels, in.width, in.height});
    shapes.push_back({in.height, in.channels, in.width});
    if (in.channels % 2 == 0) shapes.push_back({in.channels / 2, in.height * 2, in.width});
    push(QReshapeOp{}, {from}, random_.pick(shapes), node(from).grid);
  }

  void addNode() {
    const int from = anyNode();
    // Keeps the direct loops of the reference quick.
    const bool large = node(from).shape.size() > 3000;
    switch (random_.integer(0, large ? 4 : 15)) {
      case 0:
      case 1:
        return addPool(from);
      case 2:
        return addSlice(from);
      case 3:
        return addLookup(from);
      case 4:
        return addLrn(from);
      case 5:
      case 6:
      case 7:
      case 8:
        return addConv(from, false);
      case 9:
        return addAdd(from);
      case 10:
        return addMul(from);
      case 11:
        return addConcat(from);
      case 12:
        return addPad(from);
      case 13:
        return addReshape(from);
      case 14: {
        const Grid grid = anyGrid();
        return push(QRescaleOp{stageFor(grid, 1, 255)}, {from}, node(from).shape, grid);
      }
      default:
        return addAdd(from);
    }
  }

  void addEnd() {
    const int from = anyNode();
    switch (random_.integer(0, 3)) {
      case 0:
        model_.output_accumulators = false;
        return;
      case 1: {
        QPoolOp pool;
        pool.average = true;
        pool.window.kernel_h = random_.integer(1, node(from).shape.height);
        pool.window.kernel_w = random_.integer(1, node(from).shape.width);
        const Shape shape{node(from).shape.channels, node(from).shape.height - pool.window.kernel_h + 1,
                          node(from).shape.width - pool.window.kernel_w + 1};
        return push(pool, {from}, shape, Grid{});
      }
      default:
        return addConv(from, true);
    }
  }

  void addMetadata(std::size_t classes) {
    Metadata& metadata = model_.metadata;
    metadata.name = "random";
    if (random_.chance(50)) {
      for (std::size_t i = 0; i < classes; ++i) metadata.labels.push_back("class " + std::to_string(i));
    }
    metadata.resize = random_.integer(0, 300);
    if (metadata.resize < 100) {
      metadata.resize = 0;
      for (int c = 0; c < 3; ++c)
        metadata.letterbox.push_back(static_cast<std::uint8_t>(random_.integer(0, 255)));
    }
    metadata.bgr = random_.chance(50);
    for (auto& mean : metadata.mean) mean = static_cast<float>(random_.integer(0, 100)) / 100.0F;
    for (auto& std : metadata.std) std = static_cast<float>(random_.integer(1, 100)) / 100.0F;
    metadata.recipe = "{\"seed\":1}";
    metadata.provenance = "{\"library\":\"test\"}";
  }

  Random random_;
  int more_pixels_;
  QuantModel model_;
};

inline QuantModel randomModel(std::uint32_t seed, int more_pixels = 0) {
  return RandomModel(seed, more_pixels).make();
}

}  // namespace trefoil::testing
