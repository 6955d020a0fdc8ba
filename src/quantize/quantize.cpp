#include "quantize/quantize.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>
#include <utility>

#include "format/first_planes.h"
#include "format/format.h"
#include "quantize/calibration.h"
#include "quantize/correct.h"
#include "quantize/data_free.h"
#include "quantize/input_check.h"
#include "quantize/json.h"
#include "quantize/layer_choice.h"
#include "quantize/loss_check.h"
#include "quantize/lower.h"
#include "quantize/meter.h"
#include "quantize/mixed_recipe.h"
#include "quantize/prepare.h"
#include "quantize/program.h"
#include "quantize/report.h"

namespace trefoil {
namespace {

constexpr int kMeasuredImages = 8;  // signal-to-noise ratios are steady enough on these
constexpr double kChooseCost = 2;   // of choosing layers' weights, in runs of an image
constexpr int kAttempts = 4;        // at files within a budget

class Quantizer {
 public:
  Quantizer(QuantizeInput input, Program program, std::vector<LayerChoice> choices, const Progress& progress)
      : input_(std::move(input)),
        program_(std::move(program)),
        bare_steps_(program_.steps),
        choices_(std::move(choices)),
        options_(correctionOptions()),
        given_layers_(input_.recipe.layers.size()),
        main_cost_(options_.compensated ? 6.0 : 2.0),
        first_cost_(options_.affine && anySecondPlane(choices_) ? 2.0 : 0.0),
        meter_(progress, static_cast<double>(input_.images.size()), chooseCost(),
               (main_cost_ + first_cost_) * options_.images) {}

  Result<Quantized> run() {
    if (input_.images.empty()) return runWithoutImages();
    auto calibration = calibrateAll();
    if (!calibration) return calibration.error();
    if (input_.recipe.aim == Aim::kTop1Loss && canHoldOut(input_.images.size()))
      return runChecked(*calibration);
    TREFOIL_RETURN_IF_ERROR(assignBits(*calibration, input_.recipe));
    if (input_.recipe.aim == Aim::kUniform) {
      TREFOIL_RETURN_IF_ERROR(quantizeAll(*calibration));
      return std::move(result_);
    }
    return runMixed(*calibration);
  }

 private:
  Result<void> quantizeAll(const Calibration& calibration) {
    result_ = {};
    TREFOIL_RETURN_IF_ERROR(lowerAll());
    const auto errors =
        correctAll(calibration, options_, 0, main_cost_ / (main_cost_ + first_cost_), &result_.model.nodes);
    if (!errors) return errors.error();
    setLogits(&result_.model);
    setMetadata();
    TREFOIL_RETURN_IF_ERROR(makeFirst(calibration));
    return finish(*errors);
  }

  // Layers get the forms that the recipe's aim asks for.
  Result<Quantized> runMixed(const Calibration& calibration) {
    TREFOIL_RETURN_IF_ERROR(measureForms(calibration));
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      auto chosen = chooseMixed(mixed_, sensitivity_);
      if (!chosen) return chosen.error();
      TREFOIL_RETURN_IF_ERROR(adopt(calibration, *chosen));
      TREFOIL_RETURN_IF_ERROR(quantizeAll(calibration));
      result_.report.frontier = std::move(chosen->frontier);
      if (given_.aim == Aim::kTop1Loss) result_.report.warnings = lossWarnings(nullptr);
      // Bytes are predicted closely, but not to the last one.
      const double over = static_cast<double>(result_.report.file_bytes) - given_.target;
      if (given_.aim != Aim::kBytes || over <= 0) return std::move(result_);
      aimed_.target -= over + 64;
    }
    return makeError(ErrorCode::kBadOption, "the recipe's bytes can't be met: the smallest file made has " +
                                                std::to_string(result_.report.file_bytes) + " bytes");
  }

  // What chooseMixed() needs to know.
  Result<void> measureForms(const Calibration& calibration) {
    own_ = choices_;
    given_ = aimed_ = input_.recipe;
    TREFOIL_RETURN_IF_ERROR(findLow(calibration));
    mixed_ = {&program_, &own_, &aimed_, &calibration.logits, &low_grids_, 0};
    const SensitivityPlan plan = mixedSensitivity(mixed_, options_.images);
    auto sensitivity = measureSensitivity(
        program_, plan, input_.images, input_.preprocess,
        [this](double share, std::string_view layer) { return meter_.choose(share, layer); });
    if (!sensitivity) return sensitivity.error();
    sensitivity_ = std::move(*sensitivity);
    const auto other = otherBytes();
    if (!other) return other.error();
    mixed_.other_bytes = *other;
    return {};
  }

  // recipe: its bits count.
  Result<void> assignBits(const Calibration& calibration, const Recipe& recipe) {
    program_.steps = bare_steps_;
    return assignGrids(calibration, choices_, recipe, &program_);
  }

  // Activations that may have few bits; leaves the grids as they were.
  Result<void> findLow(const Calibration& calibration) {
    if (given_.aim != Aim::kMilliseconds || given_.activation_bits <= kLowBits) return {};
    Recipe low = given_;
    low.activation_bits = kLowBits;
    TREFOIL_RETURN_IF_ERROR(assignBits(calibration, low));
    const std::vector<Step> steps = std::move(program_.steps);
    TREFOIL_RETURN_IF_ERROR(assignBits(calibration, given_));
    low_grids_ = findLowGrids(program_, steps);
    return {};
  }

  Result<void> adopt(const Calibration& calibration, const MixedChoice& chosen) {
    input_.recipe.layers.resize(given_layers_);
    input_.recipe.layers.insert(input_.recipe.layers.end(), chosen.layers.begin(), chosen.layers.end());
    auto choices = chooseLayers(program_.graph, input_.recipe);
    if (!choices) return choices.error();
    choices_ = std::move(*choices);
    first_cost_ = options_.affine && anySecondPlane(choices_) ? 2.0 : 0.0;
    return assignBits(calibration, input_.recipe);
  }

  struct CheckedChoice {
    MixedChoice mixed;
    LossCheck check;
  };

  // Layers get forms that were seen to lose no more than the recipe asks for, on images held out meanwhile.
  Result<Quantized> runChecked(const Calibration& calibration) {
    const auto split = splitHeldOut(input_.images.size());
    QuantizeInput rest;
    rest.preprocess = input_.preprocess;
    rest.recipe = input_.recipe;
    for (const std::size_t i : split.first) rest.images.push_back(input_.images[i]);
    ImageList held_out;
    std::vector<std::vector<float>> logits;
    for (const std::size_t i : split.second) {
      held_out.push_back(input_.images[i]);
      logits.push_back(calibration.logits[i]);
    }
    const Progress progress = [this](std::string_view, double share, std::string_view layer) {
      return meter_.choose(share, layer);
    };
    auto chosen = Quantizer(std::move(rest), program_, choices_, progress).searchLoss(held_out, logits);
    if (!chosen) return chosen.error();
    TREFOIL_RETURN_IF_ERROR(adopt(calibration, chosen->mixed));
    TREFOIL_RETURN_IF_ERROR(quantizeAll(calibration));
    result_.report.frontier = std::move(chosen->mixed.frontier);
    result_.report.warnings = lossWarnings(&chosen->check);
    result_.report.loss_check = std::move(chosen->check);
    return std::move(result_);
  }

  // real: the float network's logits of the images held out.
  Result<CheckedChoice> searchLoss(const ImageList& held_out, const std::vector<std::vector<float>>& real) {
    auto calibration = calibrateAll();
    if (!calibration) return calibration.error();
    TREFOIL_RETURN_IF_ERROR(assignBits(*calibration, input_.recipe));
    TREFOIL_RETURN_IF_ERROR(measureForms(*calibration));
    options_.measured = 0;
    LossSearch search(given_.target, static_cast<int>(held_out.size()) >= kSteadyHeldOut);
    std::vector<CheckedChoice> tried;
    meter_.beginTry();
    while (const std::optional<double> wish = search.next()) {
      aimed_.target = *wish;
      auto chosen = chooseMixed(mixed_, sensitivity_);
      if (!chosen) return chosen.error();
      const bool known = std::any_of(tried.begin(), tried.end(), [&](const CheckedChoice& before) {
        return before.mixed.layers == chosen->layers;
      });
      if (known) break;
      TREFOIL_RETURN_IF_ERROR(adopt(*calibration, *chosen));
      const auto answers = tryLayers(*calibration, held_out);
      if (!answers) return answers.error();
      const AnswerLoss measured = measureAnswers(real, *answers);
      const double predicted = chosen->predicted_loss;
      search.add({predicted, measured.loss});
      const LossCheck check{given_.target,
                            predicted,
                            measured.loss,
                            measured.error,
                            measured.agreement,
                            static_cast<int>(held_out.size()),
                            {}};
      tried.push_back({std::move(*chosen), check});
      meter_.beginTry();
    }
    CheckedChoice best = std::move(tried[search.best()]);
    best.check.tries = search.tries();
    return best;
  }

  // Logits of images under the layers' forms as they are.
  Result<std::vector<std::vector<float>>> tryLayers(const Calibration& calibration, const ImageList& images) {
    result_ = {};
    TREFOIL_RETURN_IF_ERROR(lowerAll());
    const auto errors = correctAll(calibration, options_, 0, 1, &result_.model.nodes);
    if (!errors) return errors.error();
    return quantizedLogits(
        program_, choices_, images, input_.preprocess,
        [this](double, std::string_view layer) { return meter_.correct(1, layer); }, &result_.model.nodes);
  }

  // What the file holds besides convolutions, in the recipe's own form.
  Result<double> otherBytes() {
    result_ = {};
    TREFOIL_RETURN_IF_ERROR(lowerAll());
    setLogits(&result_.model);
    setMetadata();
    TREFOIL_RETURN_IF_ERROR(finish(std::vector<OutputError>(program_.steps.size())));
    return static_cast<double>(result_.report.file_bytes) -
           static_cast<double>(result_.report.total.file_bytes);
  }

  // Ranges, means and deviations of the batch norms in place of those of images.
  Result<Quantized> runWithoutImages() {
    if (input_.recipe.aim != Aim::kUniform && input_.recipe.aim != Aim::kProtect) {
      return makeError(ErrorCode::kBadOption,
                       "a recipe of bytes, top1Loss or milliseconds is measured on calibration images; give "
                       "32 or more");
    }
    if (!meter_.calibrate(0)) return makeError(ErrorCode::kAborted, "cancelled before calibrating");
    const auto statistics = statisticsFromBatchNorms(program_.graph, histogramsNeeded(program_));
    if (!statistics) return statistics.error();
    TREFOIL_RETURN_IF_ERROR(assignGrids(statistics->calibration, choices_, input_.recipe, &program_));
    TREFOIL_RETURN_IF_ERROR(lowerAll());
    correctWithoutImages(*statistics, &result_.model.nodes);
    setLogits(&result_.model);
    setMetadata();
    if (hasSecondPlanes(result_.model)) {
      result_.first = firstPlanes(result_.model);
      correctWithoutImages(*statistics, &result_.first->nodes);
      setLogits(&*result_.first);
    }
    const OutputError unknown{std::numeric_limits<double>::quiet_NaN(), 1};
    TREFOIL_RETURN_IF_ERROR(finish(std::vector<OutputError>(program_.steps.size(), unknown)));
    result_.report.warnings.push_back(
        "quantized without calibration images, by what batch norms say of the training images: expect to "
        "lose "
        "more accuracy than with 32 pictures or more, and measure it; without them nothing is compensated");
    return std::move(result_);
  }

  void correctWithoutImages(const DataFreeStatistics& statistics, std::vector<QNode>* nodes) const {
    for (std::size_t i = 0; i < program_.steps.size() && options_.affine; ++i) {
      const Step& step = program_.steps[i];
      auto* op = std::get_if<QConvOp>(&(*nodes)[i].op);
      if (op == nullptr || program_.steps[step.inputs[0]].kind == StepKind::kInput) continue;
      const ChannelMoments& input = statistics.values[program_.steps[step.inputs[0]].result];
      correctDataFree(program_, step, layerWeights(program_, step, input_.preprocess), input, op);
    }
  }

  // In runs of an image.
  double chooseCost() const {
    if (input_.recipe.aim == Aim::kUniform) return 0;
    const double once = kChooseCost * options_.images;
    if (input_.recipe.aim != Aim::kTop1Loss || !canHoldOut(input_.images.size())) return once;
    constexpr double kUsualTries = 2;
    return once + static_cast<double>(input_.images.size()) + kUsualTries * main_cost_ * options_.images;
  }

  static bool anySecondPlane(const std::vector<LayerChoice>& choices) {
    return std::any_of(choices.begin(), choices.end(),
                       [](const LayerChoice& choice) { return choice.planes == 2; });
  }

  // start, share: of all correcting.
  Result<std::vector<OutputError>> correctAll(const Calibration& calibration,
                                              const CorrectionOptions& options, double start, double share,
                                              std::vector<QNode>* nodes) {
    return correct(
        program_, choices_, input_.images, input_.preprocess, calibration, options,
        [=, this](double done, std::string_view layer) {
          return meter_.correct(start + share * done, layer);
        },
        nodes);
  }

  // The same codes and scales without the second planes, corrected for themselves.
  Result<void> makeFirst(const Calibration& calibration) {
    if (!hasSecondPlanes(result_.model)) return {};
    QuantModel first = firstPlanes(result_.model);
    if (options_.affine) {
      CorrectionOptions options = options_;
      options.compensated = false;  // the codes stay
      options.measured = 0;
      const double start = main_cost_ / (main_cost_ + first_cost_);
      const auto errors = correctAll(calibration, options, start, 1 - start, &first.nodes);
      if (!errors) return errors.error();
      setLogits(&first);
    }
    result_.first = std::move(first);
    return {};
  }

  CorrectionOptions correctionOptions() const {
    CorrectionOptions options;
    const int images = static_cast<int>(input_.images.size());
    options.affine = input_.recipe.affine_correction;
    options.measured = std::min(images, kMeasuredImages);
    options.compensated = std::any_of(program_.steps.begin(), program_.steps.end(), [this](const Step& step) {
      return step.kind == StepKind::kConv && choices_[step.node].method == Method::kCompensated;
    });
    if (images == 0) return options;
    const bool all = options.affine || options.compensated;
    options.images = imagesWithinMemory(program_, all ? images : options.measured, options.compensated);
    options.measured = std::min(options.measured, options.images);
    return options;
  }

  Result<Calibration> calibrateAll() {
    CalibrationPlan plan;
    plan.wanted = histogramsNeeded(program_);
    plan.moment_images = options_.affine ? options_.images : 0;
    const auto count = static_cast<double>(input_.images.size());
    if (!meter_.calibrate(0)) return makeError(ErrorCode::kAborted, "cancelled before calibrating");
    return calibrate(program_.graph, input_.images, input_.preprocess, plan, [&](std::size_t images) {
      return meter_.calibrate(static_cast<double>(images) / count);
    });
  }

  Result<void> lowerAll() {
    const double count = static_cast<double>(program_.steps.size());
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      const Step& step = program_.steps[i];
      if (!meter_.quantize(static_cast<double>(i) / count, step.name)) {
        return makeError(ErrorCode::kAborted, "cancelled while quantizing");
      }
      QNode node;
      node.name = step.name;
      node.inputs = step.inputs;
      node.shape = step.shape;
      node.grid = step.grid;
      if (step.kind == StepKind::kConv) {
        QConvOp conv = lowerConv(program_, step, choices_[step.node], input_.preprocess);
        TREFOIL_RETURN_IF_ERROR(checkConv(step, conv));
        node.op = std::move(conv);
      } else {
        auto op = lowerStep(program_, step);
        if (!op) return op.error();
        node.op = std::move(*op);
      }
      result_.model.nodes.push_back(std::move(node));
    }
    return {};
  }

  Result<void> checkConv(const Step& step, const QConvOp& op) const {
    const Step& source = program_.steps[step.inputs[0]];
    return checkAccumulators(op, step.shape.channels, source.shape.channels / op.groups, source.grid.max(),
                             step.name);
  }

  WeightError errorOfWeights(const Step& step, const QConvOp& op) const {
    const Step& source = program_.steps[step.inputs[0]];
    return weightError(layerWeights(program_, step, input_.preprocess), op, step.shape.channels,
                       source.shape.channels / op.groups);
  }

  Result<void> finish(const std::vector<OutputError>& errors) {
    Report& report = result_.report;
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      const auto* op = std::get_if<QConvOp>(&result_.model.nodes[i].op);
      if (op == nullptr) continue;
      TREFOIL_RETURN_IF_ERROR(checkConv(program_.steps[i], *op));  // the biases have changed
      report.layers.push_back(reportLayer(program_, program_.steps[i], choices_[program_.steps[i].node], *op,
                                          errorOfWeights(program_.steps[i], *op), errors[i]));
    }
    sumLayers(&report);
    const auto bytes = writeModel(result_.model, result_.first ? &*result_.first : nullptr);
    if (!bytes) return bytes.error();
    report.file_bytes = bytes->size();
    report.source_bytes = input_.source_bytes;
    report.calibration_images = static_cast<int>(input_.images.size());
    return {};
  }

  void setLogits(QuantModel* quantized) const {
    QuantModel& model = *quantized;
    model.logit_scales.clear();
    const Step& last = program_.steps.back();
    const auto classes = static_cast<std::size_t>(last.shape.size());
    model.output_accumulators = last.accumulators;
    model.logit_offsets.assign(classes, 0.0F);
    if (!last.accumulators) {
      model.logit_scales.assign(classes, last.grid.scale);
      return;
    }
    const float in_scale = program_.steps[last.inputs[0]].grid.scale;
    if (const auto* conv = std::get_if<QConvOp>(&model.nodes.back().op)) {
      for (const float scale : conv->filter_scales) {
        model.logit_scales.insert(model.logit_scales.end(), static_cast<std::size_t>(last.shape.plane()),
                                  scale * in_scale);
      }
    } else {
      const Window& window = std::get<QPoolOp>(model.nodes.back().op).window;
      model.logit_scales.assign(classes, in_scale / static_cast<float>(window.kernel_h * window.kernel_w));
    }
  }

  void setMetadata() {
    Metadata& metadata = result_.model.metadata;
    metadata.name = program_.graph.name;
    metadata.labels = input_.labels;
    const Preprocess& preprocess = input_.preprocess;
    metadata.resize = preprocess.resize;
    if (preprocess.letterbox)
      metadata.letterbox.assign(std::begin(preprocess.bars), std::end(preprocess.bars));
    metadata.bgr = preprocess.bgr;
    std::copy(std::begin(preprocess.mean), std::end(preprocess.mean), metadata.mean);
    std::copy(std::begin(preprocess.std), std::end(preprocess.std), metadata.std);
    metadata.recipe = recipeJson(input_.recipe);
    JsonWriter json;
    json.beginObject();
    json.key("calibrationImages").value(static_cast<std::int64_t>(input_.images.size()));
    json.key("correctionImages").value(options_.affine || options_.compensated ? options_.images : 0);
    json.key("sourceBytes").value(static_cast<std::int64_t>(input_.source_bytes));
    json.key("sourceHash").value(input_.source_hash);
    metadata.provenance = json.endObject().text();
  }

  QuantizeInput input_;
  Program program_;
  std::vector<Step> bare_steps_;  // without grids
  std::vector<LayerChoice> choices_;
  CorrectionOptions options_;
  std::size_t given_layers_ = 0;  // of the recipe's layers, those that were given
  // Of recipes that choose layers' forms: the choices and recipe as given, the recipe with a target of its
  // own, and what was measured.
  std::vector<LayerChoice> own_;
  Recipe given_, aimed_;
  std::vector<LowGrid> low_grids_;
  MixedInput mixed_;
  Sensitivity sensitivity_;
  // Of correcting the network and its first planes, in images.
  double main_cost_ = 0, first_cost_ = 0;
  Meter meter_;
  Quantized result_;
};

// What is left of a recipe where there are no images to compensate with: the file says what was done.
void leaveOutCompensation(Recipe* recipe) {
  if (recipe->method == Method::kCompensated) recipe->method = Method::kFgq;
  for (LayerRecipe& layer : recipe->layers) {
    if (layer.method == Method::kCompensated) layer.method = Method::kFgq;
  }
}

Result<Quantized> quantizeChecked(QuantizeInput input, const Progress& progress) {
  TREFOIL_RETURN_IF_ERROR(checkQuantizeInput(input));
  if (input.images.empty()) leaveOutCompensation(&input.recipe);
  auto graph = prepareGraph(std::move(input.graph));
  if (!graph) return graph.error();
  const std::int64_t classes = graph->nodes[graph->output].shape.size();
  if (!input.labels.empty() && static_cast<std::int64_t>(input.labels.size()) != classes) {
    return makeError(ErrorCode::kBadOption, std::to_string(input.labels.size()) +
                                                " labels are given, but the network has " +
                                                std::to_string(classes) + " classes");
  }
  auto choices = chooseLayers(*graph, input.recipe);
  if (!choices) return choices.error();
  Quantizer quantizer(std::move(input), buildProgram(std::move(*graph)), std::move(*choices), progress);
  return quantizer.run();
}

}  // namespace

Result<Quantized> quantize(QuantizeInput input, const Progress& progress) {
  try {
    return quantizeChecked(std::move(input), progress);
  } catch (const std::bad_alloc&) {
    return makeError(ErrorCode::kOutOfMemory, "quantizing ran out of memory; use fewer calibration images");
  }
}

}  // namespace trefoil
