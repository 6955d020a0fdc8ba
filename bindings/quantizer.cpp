// The quantizer module: reads one ONNX model, evaluates it in float, and quantizes it. An instance of the
// module holds one network; TypeScript gives every task an instance of its own.
#include <emscripten.h>
#include <emscripten/bind.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>
#include <numeric>
#include <optional>

#include "format/format.h"
#include "graph/float_eval.h"
#include "onnx/onnx_reader.h"
#include "onnx_export/export_onnx.h"
#include "passes/passes.h"
#include "quantize/layer_reference.h"
#include "quantize/mixed_recipe.h"
#include "quantize/quantize.h"
#include "values.h"

using emscripten::val;

namespace trefoil::bindings {
namespace {

// A picture on its way through the network.
struct Run {
  std::vector<float> image;
  Evaluation evaluation;
  std::optional<val> layers;  // [{ name, values }] so far, where they are wanted
};

struct Network {
  Graph graph;  // simplified; names are those that a layer's own recipe refers to
  std::size_t source_bytes = 0;
  std::vector<std::vector<std::uint8_t>> calibration;
  std::optional<LayerReference> reference;  // made when it is asked for
  std::optional<Run> run;                   // of graph, or of the reference's one
};

std::optional<Network> network;

// A file on its way to be a network.
struct Opening {
  Bytes file;
  std::unique_ptr<UnsupportedNode> unsupported;  // where the reading keeps it
  OnnxReading reading;
};

std::optional<Opening> opening;

Error nothingBegun() { return makeError(ErrorCode::kBadOption, "nothing has begun"); }
Error noNetwork() { return makeError(ErrorCode::kBadOption, "no network is open"); }

// Memory that a library could not get arrives as an exception; it becomes an error here, at the border.
template <typename Body>
val guarded(Body body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return failure(
        makeError(ErrorCode::kOutOfMemory,
                  "the network and its calibration images need more memory than WebAssembly can have; "
                  "give fewer images"));
  }
}

val nodeOut(const Graph& graph, int index) {
  const Node& node = graph.nodes[static_cast<std::size_t>(index)];
  const auto* conv = std::get_if<ConvOp>(&node.op);
  auto fields = val::object();
  fields.set("name", node.name);
  fields.set("operation", std::string(opName(node.op)));
  fields.set("shape", shapeOut(node.shape));
  fields.set("macs", static_cast<double>(countMacs(graph, index)));
  fields.set("weights", conv != nullptr ? conv->weights.size() : 0);
  return fields;
}

val graphOut(const Graph& graph) {
  std::vector<int> indices(graph.nodes.size());
  std::iota(indices.begin(), indices.end(), 0);
  auto info = val::object();
  info.set("name", graph.name);
  info.set("inputShape", shapeOut(graph.inputShape()));
  info.set("classes", static_cast<double>(graph.nodes[static_cast<std::size_t>(graph.output)].shape.size()));
  info.set("layers", arrayOf(indices, [&](int index) { return nodeOut(graph, index); }));
  return info;
}

// An error of kUnsupportedOp comes with details: { op, node, opset, unknown, supported }.
val notRead(const Error& error, const UnsupportedNode& unsupported) {
  val reply = failure(error);
  if (error.code == ErrorCode::kUnsupportedOp) {
    auto details = val::object();
    details.set("op", unsupported.op);
    details.set("node", unsupported.node);
    details.set("opset", static_cast<double>(unsupported.opset));
    details.set("unknown", stringsOut(unsupported.unknown));
    details.set("supported", stringsOut(supportedOnnxOperators()));
    reply["error"].set("details", details);
  }
  return reply;
}

// height, width: the image size of a model that leaves it open, else 0.
val beginOpen(const val& file, int height, int width) {
  return guarded([&] {
    network.reset();
    opening.reset();
    auto bytes = copyIn(file);
    if (!bytes) return failure(bytes.error());
    auto unsupported = std::make_unique<UnsupportedNode>();
    auto reading = OnnxReading::begin(bytes->bytes(), {height, width}, unsupported.get());
    if (!reading) return notRead(reading.error(), *unsupported);
    opening = Opening{std::move(bytes).value(), std::move(unsupported), std::move(reading).value()};
    return success(val::undefined());
  });
}

val opened(Graph read, std::size_t source_bytes) {
  const Shape input = read.inputShape();
  if (input.channels != 1 && input.channels != 3) {
    return failure(makeError(ErrorCode::kBadShape, "the input has " + std::to_string(input.channels) +
                                                       " channels; images have 3 (RGB) or 1 (gray)"));
  }
  auto simple = simplify(std::move(read));
  if (!simple) return failure(simple.error());
  network = Network{std::move(simple).value(), source_bytes, {}, {}, {}};
  return success(graphOut(network->graph));
}

// Goes on with what has begun for so many milliseconds, and a node at least. Undefined while there is more to
// do, in the end what graphOut() says.
val advanceOpen(double milliseconds) {
  return guarded([&] {
    if (!opening) return failure(nothingBegun());
    OnnxReading& reading = opening->reading;
    const double until = emscripten_get_now() + milliseconds;
    while (!reading.done()) {
      if (auto read = reading.step(); !read) return notRead(read.error(), *opening->unsupported);
      if (emscripten_get_now() >= until) return success(val::undefined());
    }
    auto graph = reading.finish();
    const std::size_t source_bytes = opening->file.size;
    opening.reset();
    return graph ? opened(std::move(graph).value(), source_bytes) : failure(graph.error());
  });
}

// A network may overflow to infinities and from there to NaN, which no order knows: it ranks last, with a
// score of 0.
float ranked(float logit) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  return std::isnan(logit) ? -kLargest : std::clamp(logit, -kLargest, kLargest);
}

// Softmax in double, so that the scores of 1000 classes sum to 1.
std::vector<float> probabilities(std::span<const float> logits) {
  const float largest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> powers(logits.size());
  std::transform(logits.begin(), logits.end(), powers.begin(),
                 [&](float logit) { return std::exp(double{logit} - double{largest}); });
  const double sum = std::accumulate(powers.begin(), powers.end(), 0.0);
  std::vector<float> scores(logits.size());
  std::transform(powers.begin(), powers.end(), scores.begin(),
                 [&](double power) { return static_cast<float>(power / sum); });
  return scores;
}

// { logits, indices, scores }: all outputs before softmax, and the best `top_k` classes.
val outputsOut(std::span<const float> logits, int top_k) {
  std::vector<float> ranks(logits.size());
  std::transform(logits.begin(), logits.end(), ranks.begin(), ranked);
  const std::vector<float> scores = probabilities(ranks);
  std::vector<int> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  const auto count = top_k <= 0 ? order.size() : std::min(order.size(), static_cast<std::size_t>(top_k));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    [&](int a, int b) {
                      const float x = ranks[static_cast<std::size_t>(a)];
                      const float y = ranks[static_cast<std::size_t>(b)];
                      return x != y ? x > y : a < b;
                    });
  order.resize(count);
  auto fields = val::object();
  fields.set("logits", copyOut(logits));
  fields.set("indices", arrayOf(order, [](int index) { return index; }));
  fields.set("scores", arrayOf(order, [&](int index) { return scores[static_cast<std::size_t>(index)]; }));
  return fields;
}

val beginOn(const Graph& graph, const val& pixels, int width, int height, int channels,
            const val& preprocess_fields, std::optional<val> layers) {
  const Shape input = graph.inputShape();
  const Preprocess preprocess = preprocessIn(preprocess_fields, input);
  const auto planes = planesOf(pixels, width, height, channels, preprocess, input);
  if (!planes) return failure(planes.error());
  std::vector<float> image = normalize(*planes, input.channels, preprocess);
  auto evaluation = Evaluation::begin(graph, image);
  if (!evaluation) return failure(evaluation.error());
  // Moving a vector leaves its elements where they are.
  network->run = Run{std::move(image), std::move(evaluation).value(), std::move(layers)};
  return success(val::undefined());
}

// Begins a run of a picture; another one that is under way is given up.
val begin(const val& pixels, int width, int height, int channels, const val& preprocess) {
  return guarded([&] {
    if (!network) return failure(noNetwork());
    return beginOn(network->graph, pixels, width, height, channels, preprocess, {});
  });
}

// The same for what the layers of the quantized network would yield in float.
val beginLayers(const val& pixels, int width, int height, int channels, const val& preprocess) {
  return guarded([&] {
    if (!network) return failure(noNetwork());
    if (!network->reference) {
      auto reference = LayerReference::create(network->graph);
      if (!reference) return failure(reference.error());
      network->reference = std::move(reference).value();
    }
    return beginOn(network->reference->graph(), pixels, width, height, channels, preprocess, val::array());
  });
}

// Goes on with the run for so many milliseconds, and a node at least. Undefined while there is more to do; in
// the end what outputsOut() says or, after beginLayers(), [{ name, values }].
val advance(double milliseconds, int top_k) {
  return guarded([&] {
    if (!network || !network->run) return failure(nothingBegun());
    Run& run = *network->run;
    const double until = emscripten_get_now() + milliseconds;
    while (!run.evaluation.done()) {
      if (auto done = run.evaluation.step(); !done) return failure(done.error());
      if (run.layers) {
        const std::string_view layer = network->reference->layerOf(run.evaluation.node());
        if (!layer.empty()) run.layers->call<void>("push", layerValuesOut(layer, run.evaluation.values()));
      }
      if (!run.evaluation.done() && emscripten_get_now() >= until) return success(val::undefined());
    }
    const val answer = run.layers ? *run.layers : outputsOut(run.evaluation.result(), top_k);
    network->run.reset();
    return success(answer);
  });
}

val advanceLayers(double milliseconds) { return advance(milliseconds, 1); }

val planes(const val& pixels, int width, int height, int channels, const val& preprocess) {
  return guarded([&] {
    if (!network) return failure(noNetwork());
    const Shape input = network->graph.inputShape();
    const auto made = planesOf(pixels, width, height, channels, preprocessIn(preprocess, input), input);
    return made ? success(copyOut(std::span<const std::uint8_t>(*made))) : failure(made.error());
  });
}

val addCalibrationImage(const val& pixels, int width, int height, int channels, const val& preprocess) {
  return guarded([&] {
    if (!network) return failure(noNetwork());
    const Shape input = network->graph.inputShape();
    auto made = planesOf(pixels, width, height, channels, preprocessIn(preprocess, input), input);
    if (!made) return failure(made.error());
    network->calibration.push_back(std::move(made).value());
    return success(val(network->calibration.size()));
  });
}

Result<ClipRule> clipFromName(const std::string& name) {
  if (name == "mse") return ClipRule::kMse;
  if (name == "max") return ClipRule::kMax;
  if (name == "percentile") return ClipRule::kPercentile;
  return makeError(ErrorCode::kBadOption, "clip '" + name + "' is unknown; use mse, max or percentile");
}

Result<LayerRecipe> layerIn(const val& fields) {
  LayerRecipe layer;
  layer.layer = fields["layer"].as<std::string>();
  if (const val weights = fields["weights"]; !weights.isUndefined()) {
    layer.weights = weights.as<std::string>() == "int8" ? WeightKind::kInt8 : WeightKind::kTernary;
  }
  if (const val method = fields["method"]; !method.isUndefined()) {
    auto parsed = methodFromName(method.as<std::string>());
    if (!parsed) return parsed.error();
    layer.method = *parsed;
  }
  if (const val size = fields["groupSize"]; !size.isUndefined()) layer.group_size = size.as<int>();
  if (const val bits = fields["activationBits"]; !bits.isUndefined()) layer.activation_bits = bits.as<int>();
  if (const val levels = fields["scaleLevels"]; !levels.isUndefined()) layer.scale_levels = levels.as<int>();
  if (const val kind = fields["levelKind"]; !kind.isUndefined()) {
    auto parsed = levelKindFromName(kind.as<std::string>());
    if (!parsed) return parsed.error();
    layer.level_kind = *parsed;
  }
  if (const val planes = fields["planes"]; !planes.isUndefined()) layer.planes = planes.as<int>();
  return layer;
}

// fields: aim, target, times ([{ layer, milliseconds: [one a form] }]), otherMilliseconds, groupSize (0:
// whole filter), scaleLevels (0: free), levelKind, planes, activationBits, residualBits, method, clip,
// percentile, affineCorrection, layers.
Result<Recipe> recipeIn(const val& fields) {
  Recipe recipe;
  auto method = methodFromName(fields["method"].as<std::string>());
  if (!method) return method.error();
  recipe.method = *method;
  auto clip = clipFromName(fields["clip"].as<std::string>());
  if (!clip) return clip.error();
  recipe.clip = *clip;
  auto level_kind = levelKindFromName(fields["levelKind"].as<std::string>());
  if (!level_kind) return level_kind.error();
  recipe.level_kind = *level_kind;
  auto aim = aimFromName(fields["aim"].as<std::string>());
  if (!aim) return aim.error();
  recipe.aim = *aim;
  recipe.target = fields["target"].as<double>();
  recipe.other_milliseconds = fields["otherMilliseconds"].as<double>();
  for (const val& times : emscripten::vecFromJSArray<val>(fields["times"])) {
    recipe.times.push_back(
        {times["layer"].as<std::string>(), emscripten::vecFromJSArray<double>(times["milliseconds"])});
  }
  recipe.group_size = fields["groupSize"].as<int>();
  recipe.scale_levels = fields["scaleLevels"].as<int>();
  recipe.planes = fields["planes"].as<int>();
  recipe.activation_bits = fields["activationBits"].as<int>();
  recipe.residual_bits = fields["residualBits"].as<int>();
  recipe.percentile = fields["percentile"].as<double>();
  recipe.affine_correction = fields["affineCorrection"].as<bool>();
  for (const val& layer_fields : emscripten::vecFromJSArray<val>(fields["layers"])) {
    auto layer = layerIn(layer_fields);
    if (!layer) return layer.error();
    recipe.layers.push_back(std::move(layer).value());
  }
  TREFOIL_RETURN_IF_ERROR(validateRecipe(recipe));
  return recipe;
}

// Checks a recipe alone, before any image is decoded.
val checkRecipe(const val& fields) {
  return guarded([&] {
    const auto recipe = recipeIn(fields);
    return recipe ? success(val::undefined()) : failure(recipe.error());
  });
}

// Quantizes the network with the calibration images given so far; both are used up, unless trial_images says
// to quantize a copy, with the first so many of them. progress(phase, fraction,
// layer) returns false to cancel, and must not throw. { model, report (JSON) }
val quantizeNetwork(const val& recipe_fields, const val& preprocess, const val& labels,
                    const std::string& source_hash, int trial_images, const val& progress) {
  return guarded([&] {
    if (!network) return failure(noNetwork());
    auto recipe = recipeIn(recipe_fields);
    if (!recipe) return failure(recipe.error());

    QuantizeInput input;
    input.preprocess = preprocessIn(preprocess, network->graph.inputShape());
    input.source_bytes = network->source_bytes;
    if (trial_images > 0) {
      input.graph = network->graph;
      const auto count = std::min<std::size_t>(network->calibration.size(), trial_images);
      input.images.assign(network->calibration.begin(),
                          network->calibration.begin() + static_cast<std::ptrdiff_t>(count));
    } else {
      input.graph = std::move(network->graph);
      input.images = std::move(network->calibration);
      network.reset();
    }
    input.labels = emscripten::vecFromJSArray<std::string>(labels);
    input.source_hash = source_hash;
    input.recipe = std::move(recipe).value();

    auto quantized =
        quantize(std::move(input), [&](std::string_view phase, double fraction, std::string_view layer) {
          return progress(std::string(phase), fraction, std::string(layer)).as<bool>();
        });
    if (!quantized) return failure(quantized.error());
    const auto file = writeModel(quantized->model, quantized->first ? &*quantized->first : nullptr);
    if (!file) return failure(file.error());
    auto fields = val::object();
    fields.set("model",
               copyOut(std::span(reinterpret_cast<const std::uint8_t*>(file->data()), file->size())));
    fields.set("report", reportJson(quantized->report));
    return success(fields);
  });
}

// A .trefoil as an ONNX graph; needs no open network.
val exportModel(const val& file) {
  return guarded([&] {
    auto bytes = copyIn(file);
    if (!bytes) return failure(bytes.error());
    const auto model = readModel(bytes->bytes());
    if (!model) return failure(model.error());
    const auto onnx = exportOnnx(*model);
    if (!onnx) return failure(onnx.error());
    return success(copyOut(std::span(reinterpret_cast<const std::uint8_t*>(onnx->data()), onnx->size())));
  });
}

// What a recipe of milliseconds with these activation bits chooses from: { weights, groupSize, scaleLevels,
// planes }, each only where it differs from the recipe's own; then, if that is fewer bits, all of them again
// with activationBits.
val formsOut(int activation_bits) {
  std::vector<LayerRecipe> list;
  for (const bool low : {false, true}) {
    if (low && activation_bits <= kLowBits) continue;
    for (LayerRecipe form : mixedForms(Aim::kMilliseconds)) {
      if (low) form.activation_bits = kLowBits;
      list.push_back(std::move(form));
    }
  }
  return arrayOf(list, [](const LayerRecipe& form) {
    auto fields = val::object();
    if (form.weights) fields.set("weights", std::string("int8"));
    if (form.group_size) fields.set("groupSize", *form.group_size);
    if (form.scale_levels) fields.set("scaleLevels", *form.scale_levels);
    if (form.planes) fields.set("planes", *form.planes);
    if (form.activation_bits) fields.set("activationBits", *form.activation_bits);
    return fields;
  });
}

}  // namespace

EMSCRIPTEN_BINDINGS(trefoil_quantizer) {
  emscripten::function("beginOpen", &beginOpen);
  emscripten::function("advanceOpen", &advanceOpen);
  emscripten::function("begin", &begin);
  emscripten::function("beginLayers", &beginLayers);
  emscripten::function("advance", &advance);
  emscripten::function("advanceLayers", &advanceLayers);
  emscripten::function("planes", &planes);
  emscripten::function("addCalibrationImage", &addCalibrationImage);
  emscripten::function("checkRecipe", &checkRecipe);
  emscripten::function("quantize", &quantizeNetwork);
  emscripten::function("mixedForms", &formsOut);
  emscripten::function("exportOnnx", &exportModel);
}

}  // namespace trefoil::bindings
