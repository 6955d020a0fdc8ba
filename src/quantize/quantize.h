// Float Graph + calibration images + recipe -> QuantModel + report.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/progress.h"
#include "base/result.h"
#include "format/quant_model.h"
#include "graph/graph.h"
#include "image/image.h"
#include "quantize/recipe.h"

namespace trefoil {

// How often a layer's weights have which value: equal bins over -limit..limit, before and after.
struct WeightHistogram {
  static constexpr int kBins = 81;  // odd: zero is the middle of a bin
  double limit = 0;                 // the largest magnitude of a float weight
  std::array<std::int64_t, kBins> real{};
  std::array<std::int64_t, kBins> quantized{};  // what lies outside counts in the outermost bins

  void add(double before, double after);
};

struct LayerReport {
  std::string name;
  std::string kind;          // "ternary" or "int8"
  Shape shape;               // of the result
  std::int64_t weights = 0;  // count
  std::int64_t macs = 0;     // of one image
  int group_size = 0;        // 0: whole filter, or int8
  int scale_levels = 0;      // 0: free, or int8
  int planes = 0;            // 0: int8
  int input_bits = 0;        // of the activations that the layer reads
  std::size_t float_bytes = 0;
  std::size_t file_bytes = 0;  // codes at 5 a byte, scales (or levels and indices), biases and factors
  // Codes at 2 bits plus scales at 8, or at the 1 to 3 bits of their index where a filter has few levels, as
  // the paper counts; 8 for int8.
  double bits_per_weight = 0;
  double zero_share = 0;  // 0..1
  // 0..1: 1 - multiplications left / dense ones: 1 - 1/N, or more where groups share levels.
  double multiplications_removed = 0;
  double weight_sqnr_db = 0;  // signal to quantization noise of the weights
  double output_sqnr_db = 0;  // of the layer's result on the calibration images, against the float network
  WeightHistogram histogram;  // of the weights; empty in the total
};

// One choice of all layers' forms that no other betters in both, predicted before quantizing.
struct FrontierPoint {
  double bytes = 0;         // of the file
  double top1_loss = 0;     // points
  double milliseconds = 0;  // NaN where the recipe has no times
  bool chosen = false;
};

// A mixture of forms that was quantized to see what it loses, in points of top-1.
struct LossTry {
  double predicted = 0, measured = 0;
};

// What a recipe of top1_loss was chosen by: mixtures calibrated without some of the images, and measured on
// these.
struct LossCheck {
  double wished = 0, predicted = 0, measured = 0;  // points of top-1; of the mixture that was chosen
  double standard_error = 0;                       // of measured
  double agreement = 0;                            // share of images with the float network's class, 0..1
  int images = 0;                                  // held out
  std::vector<LossTry> tries;                      // in their order
};

struct Report {
  std::vector<LayerReport> layers;
  LayerReport
      total;  // sums, and shares weighted by multiply-accumulates (multiplications) or weights (the others)
  std::size_t source_bytes = 0, file_bytes = 0;
  int calibration_images = 0;
  std::vector<FrontierPoint> frontier;  // empty with a uniform recipe
  std::optional<LossCheck> loss_check;  // with a recipe of top1_loss, if there were 8 images or more
  std::vector<std::string> warnings;
};

std::string reportJson(const Report& report);

struct QuantizeInput {
  Graph graph;  // as readOnnx() gives it; simplify() is run on it
  // u8 planes of the graph's input size (toPlanes()); 32 or more are advised. None: ranges are taken from
  // batch norms (quantize/data_free.h), with a warning in the report.
  std::vector<std::vector<std::uint8_t>> images;
  Preprocess preprocess;            // mean and std are folded; resize is kept for the file
  std::vector<std::string> labels;  // empty, or one a class
  std::string source_hash;          // for provenance, any text
  std::size_t source_bytes = 0;
  Recipe recipe;
};

struct Quantized {
  QuantModel model;
  // The network of its first planes, for writeModel(); empty where the model has no second ones.
  std::optional<QuantModel> first;
  Report report;
};

// Errors: kBadOption (recipe, labels), kBadImage (sizes, none), kUnsupportedOp, kOverflow, kAborted.
Result<Quantized> quantize(QuantizeInput input, const Progress& progress = {});

}  // namespace trefoil
