#include "quantize/mixed_recipe.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

namespace trefoil {
namespace {

constexpr int kFewestTrials = 16, kMostTrials = 128;
constexpr double kTrialPixels = 16 * 224 * 224;  // of the network's input, in all trial images
constexpr int kMostRuns = 32, kFewestRuns = 4;
constexpr double kRunMacs = 5e10;       // of all runs, roughly
constexpr double kLeftAloneLoss = 6.0;  // points of top-1 that a trial may lose before layers are protected
constexpr double kProtectLoss = 0.5;    // and that it may lose when they are
constexpr std::size_t kMostPoints = 40;
constexpr double kRefinementBytes = 80;  // a layer's tables and lengths among second planes
constexpr double kNever = 1e300;         // the loss and cost of an option that there is not

LayerRecipe form(std::optional<WeightKind> weights, std::optional<int> group_size, std::optional<int> levels,
                 std::optional<int> planes) {
  LayerRecipe recipe;
  recipe.weights = weights;
  recipe.group_size = group_size;
  recipe.scale_levels = levels;
  recipe.planes = planes;
  return recipe;
}

// Forms and what a multiply-accumulate takes with them, as a multiple of the first: kernels of this library
// measured in Node and Chromium, rounded. A figure of this machine would make files differ between machines.
struct Form {
  LayerRecipe recipe;
  double work;
};
const std::array<Form, 5>& forms() {
  static const std::array<Form, 5> list = {{
      {form({}, {}, {}, {}), 1.0},
      {form(WeightKind::kInt8, {}, {}, {}), 1.8},
      {form({}, 64, kFreeScales, 2), 1.5},
      {form({}, {}, {}, 2), 1.9},
      {form({}, 64, kFreeScales, {}), 0.9},
  }};
  return list;
}

const ConvOp& convOf(const Program& program, int node) {
  return std::get<ConvOp>(program.graph.nodes[node].op);
}

LayerChoice withForm(LayerChoice choice, const LayerRecipe& form, int channels) {
  if (form.weights) choice.weights = *form.weights;
  if (form.group_size) choice.group_size = *form.group_size;
  if (form.scale_levels) choice.scale_levels = *form.scale_levels;
  if (form.planes) choice.planes = *form.planes;
  choice.group_size = std::min(choice.group_size, channels);
  return choice;
}

int channelsOf(const Program& program, int node) {
  const Node& conv = program.graph.nodes[node];
  return program.graph.nodes[conv.inputs[0]].shape.channels / convOf(program, node).groups;
}

// Biases, factors and scales of filters.
double constantBytes(const ConvOp& conv) { return static_cast<double>(conv.bias.size()) * (4 + 4 + 1 + 4); }

// What the layer takes in the file.
double fileBytes(const Program& program, int node, const LayerChoice& choice) {
  const ConvOp& conv = convOf(program, node);
  const auto weights = static_cast<double>(conv.weights.size());
  const auto filters = static_cast<double>(conv.bias.size());
  if (choice.weights == WeightKind::kInt8) return weights + constantBytes(conv);
  const int taps = conv.window.kernel_h * conv.window.kernel_w;
  const double scales = filters * scalesPerFilter(channelsOf(program, node), taps, choice.group_size);
  double scale_bytes = scales;
  if (choice.scale_levels != kFreeScales) {
    const double indices = std::ceil(scales * std::log2(choice.scale_levels) / 8);
    scale_bytes = std::min(scales, filters * choice.scale_levels + indices);
  }
  return choice.planes * (std::ceil(weights / 5) + scale_bytes) + constantBytes(conv);
}

// A layer that the recipe stored in the file tells of by name.
double recipeBytes(const std::string& layer) { return 64 + static_cast<double>(layer.size()); }

class Chooser {
 public:
  // second_planes: whether layers may have some.
  Chooser(const MixedInput& input, const Sensitivity& sensitivity, bool second_planes)
      : program_(*input.program),
        input_(input),
        recipe_(*input.recipe),
        sensitivity_(sensitivity),
        second_planes_(second_planes) {
    other_bytes_ = input.other_bytes;
    other_milliseconds_ = recipe_.other_milliseconds;
    for (int node = 0; node < static_cast<int>(program_.graph.nodes.size()); ++node) {
      if (!std::holds_alternative<ConvOp>(program_.graph.nodes[node].op)) continue;
      const LayerChoice& choice = (*input.choices)[node];
      const double bytes = fileBytes(program_, node, choice);
      all_bytes_ += bytes;
      all_work_ += static_cast<double>(countMacs(program_.graph, node)) *
                   (choice.weights == WeightKind::kInt8 ? forms()[1].work : 1.0);
      const bool open = std::any_of(sensitivity.layers.begin(), sensitivity.layers.end(),
                                    [&](const LayerNoise& layer) { return layer.node == node; });
      if (!open) other_bytes_ += bytes;
      const LayerTimes* times = timesOf(node);
      if (!open && times != nullptr) other_milliseconds_ += times->milliseconds[0];
      // The network of first planes has constants of its own in all layers.
      if (second_planes) other_bytes_ += constantBytes(convOf(program_, node)) + kRefinementBytes;
    }
  }

  // What the aim has less of is better.
  double aimed() const {
    const bool budget = recipe_.aim == Aim::kBytes || recipe_.aim == Aim::kMilliseconds;
    return budget ? chosen_.loss : chosen_.cost + other_bytes_ / all_bytes_;
  }
  // Neither kept to, where no choice keeps to top1Loss.
  double missed() const {
    return recipe_.aim == Aim::kTop1Loss ? std::max(0.0, lossOf(chosen_) - recipe_.target) : 0;
  }

  Result<MixedChoice> run() {
    for (const LayerNoise& layer : sensitivity_.layers) TREFOIL_RETURN_IF_ERROR(addLayer(layer));
    addUnits();
    const std::vector<Selection> points = selectionFrontier(options_);
    auto chosen = choose(points);
    if (!chosen) return chosen.error();
    chosen_ = std::move(*chosen);
    MixedChoice result;
    result.layers = layersOf(chosen_);
    addFrontier(points, chosen_, &result);
    result.predicted_loss = lossOf(chosen_);
    return result;
  }

 private:
  struct Figures {
    double loss = 0, cost = 0, bytes = 0, milliseconds = 0;
  };
  struct Layer {
    std::vector<Figures> forms;      // one a form
    std::vector<Figures> low_forms;  // with an input of few bits; empty where there are no times of that
  };
  // Layers that read one grid: how many bits that has is decided for them together.
  struct Unit {
    std::vector<std::size_t> layers;
    int low_grid = -1;     // index; -1: its bits stay
    double low_shift = 0;  // milliseconds that few bits add to layers without a choice
  };
  struct UnitOption {
    std::vector<int> forms;  // one a layer
    bool low = false;
    Figures sum;
  };

  const std::string& nameOf(std::size_t layer) const {
    return program_.graph.nodes[sensitivity_.layers[layer].node].name;
  }

  // Null where the recipe has none that fit.
  const LayerTimes* timesOf(int node) const {
    const std::size_t forms = mixedForms(recipe_.aim).size();
    for (const LayerTimes& entry : recipe_.times) {
      if (entry.layer == program_.graph.nodes[node].name &&
          (entry.milliseconds.size() == forms || entry.milliseconds.size() == 2 * forms))
        return &entry;
    }
    return nullptr;
  }

  Result<void> addLayer(const LayerNoise& layer) {
    const int node = layer.node;
    const std::string& name = program_.graph.nodes[node].name;
    const auto macs = static_cast<double>(countMacs(program_.graph, node));
    const auto forms_of_aim = mixedForms(recipe_.aim);
    const std::size_t count = forms_of_aim.size();
    const LayerTimes* times = timesOf(node);
    const bool timed = times != nullptr;
    if (recipe_.aim == Aim::kMilliseconds && !timed) {
      return makeError(ErrorCode::kBadOption, "the recipe has no times of layer '" + name + "'");
    }
    Layer entry;
    for (std::size_t i = 0; i < (timed ? times->milliseconds.size() : count); ++i) {
      const std::size_t of = i % count;
      const LayerChoice choice =
          withForm((*input_.choices)[node], forms_of_aim[of], channelsOf(program_, node));
      Figures form;
      form.loss = layer.variances[of];
      form.bytes = fileBytes(program_, node, choice) + (of == 0 ? 0 : recipeBytes(name));
      form.milliseconds = timed ? times->milliseconds[i] : std::numeric_limits<double>::quiet_NaN();
      form.cost = form.bytes / all_bytes_ + macs * forms()[of].work / all_work_;
      if (recipe_.aim == Aim::kBytes) form.cost = form.bytes;
      if (recipe_.aim == Aim::kMilliseconds) form.cost = form.milliseconds;
      if (!second_planes_ && choice.planes == 2) form.loss = form.cost = kNever;
      (i < count ? entry.forms : entry.low_forms).push_back(form);
    }
    layers_.push_back(std::move(entry));
    return {};
  }

  // Grids that may have few bits with the layers that read them, and each other layer by itself.
  void addUnits() {
    std::vector<bool> taken(layers_.size());
    if (recipe_.aim == Aim::kMilliseconds && input_.low_grids != nullptr &&
        sensitivity_.low_grids.size() == input_.low_grids->size()) {
      for (std::size_t i = 0; i < input_.low_grids->size(); ++i) addLowUnit(static_cast<int>(i), &taken);
    }
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      if (!taken[i]) units_.push_back({{i}});
    }
    for (const Unit& unit : units_) {
      std::vector<UnitOption> all;
      addOptions(unit, false, &all);
      if (unit.low_grid >= 0) addOptions(unit, true, &all);
      std::vector<Option> options;
      for (const UnitOption& option : all) options.push_back({option.sum.loss, option.sum.cost});
      options_.push_back(std::move(options));
      unit_options_.push_back(std::move(all));
    }
  }

  void addLowUnit(int index, std::vector<bool>* taken) {
    Unit unit;
    unit.low_grid = index;
    for (const int node : (*input_.low_grids)[index].readers) {
      const auto layer = std::find_if(sensitivity_.layers.begin(), sensitivity_.layers.end(),
                                      [&](const LayerNoise& entry) { return entry.node == node; });
      if (layer == sensitivity_.layers.end()) {
        const LayerTimes* times = timesOf(node);
        const std::size_t forms = mixedForms(recipe_.aim).size();
        if (times == nullptr || times->milliseconds.size() == forms) return;
        unit.low_shift += times->milliseconds[forms] - times->milliseconds[0];
        continue;
      }
      unit.layers.push_back(static_cast<std::size_t>(layer - sensitivity_.layers.begin()));
      if (layers_[unit.layers.back()].low_forms.empty()) return;
    }
    for (const std::size_t layer : unit.layers) (*taken)[layer] = true;
    units_.push_back(std::move(unit));
  }

  // The layers' own frontier, at one number of bits.
  void addOptions(const Unit& unit, bool low, std::vector<UnitOption>* all) const {
    const auto forms_of = [&](std::size_t layer) -> const std::vector<Figures>& {
      return low ? layers_[layer].low_forms : layers_[layer].forms;
    };
    std::vector<std::vector<Option>> options;
    for (const std::size_t layer : unit.layers) {
      options.emplace_back();
      for (const Figures& form : forms_of(layer)) options.back().push_back({form.loss, form.cost});
    }
    for (Selection& point : selectionFrontier(options)) {
      UnitOption option;
      option.low = low;
      if (low) {
        option.sum.loss = sensitivity_.low_grids[static_cast<std::size_t>(unit.low_grid)];
        option.sum.cost = option.sum.milliseconds = unit.low_shift;
      }
      for (std::size_t i = 0; i < unit.layers.size(); ++i) {
        const Figures& form = forms_of(unit.layers[i])[static_cast<std::size_t>(point.options[i])];
        option.sum.loss += form.loss;
        option.sum.cost += form.cost;
        option.sum.bytes += form.bytes;
        option.sum.milliseconds += form.milliseconds;
      }
      option.forms = std::move(point.options);
      all->push_back(std::move(option));
    }
  }

  std::vector<LayerRecipe> layersOf(const Selection& selection) const {
    const auto forms_of_aim = mixedForms(recipe_.aim);
    std::vector<int> forms_of_layers(layers_.size());
    std::vector<std::string> low;
    for (std::size_t i = 0; i < units_.size(); ++i) {
      const UnitOption& option = unit_options_[i][static_cast<std::size_t>(selection.options[i])];
      for (std::size_t j = 0; j < units_[i].layers.size(); ++j)
        forms_of_layers[units_[i].layers[j]] = option.forms[j];
      if (!option.low) continue;
      const auto& names = (*input_.low_grids)[static_cast<std::size_t>(units_[i].low_grid)].layers;
      low.insert(low.end(), names.begin(), names.end());
    }
    std::vector<LayerRecipe> recipes;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      if (forms_of_layers[i] == 0) continue;
      recipes.push_back(forms_of_aim[static_cast<std::size_t>(forms_of_layers[i])]);
      recipes.back().layer = nameOf(i);
    }
    for (const std::string& name : low) {
      auto found = std::find_if(recipes.begin(), recipes.end(),
                                [&](const LayerRecipe& entry) { return entry.layer == name; });
      if (found == recipes.end()) {
        recipes.emplace_back();
        recipes.back().layer = name;
        found = recipes.end() - 1;
      }
      found->activation_bits = kLowBits;
    }
    return recipes;
  }

  double lossOf(const Selection& selection) const {
    return 100 * expectedLoss(*input_.logits, selection.loss);
  }

  double bytesOf(const Selection& selection) const {
    double sum = other_bytes_;
    for (std::size_t i = 0; i < selection.options.size(); ++i)
      sum += unit_options_[i][selection.options[i]].sum.bytes;
    return sum;
  }

  double millisecondsOf(const Selection& selection) const {
    double sum = other_milliseconds_;
    for (std::size_t i = 0; i < selection.options.size(); ++i)
      sum += unit_options_[i][selection.options[i]].sum.milliseconds;
    return sum;
  }

  Result<Selection> choose(const std::vector<Selection>& points) const {
    if (recipe_.aim == Aim::kBytes || recipe_.aim == Aim::kMilliseconds) {
      const bool bytes = recipe_.aim == Aim::kBytes;
      const double other = bytes ? other_bytes_ : other_milliseconds_;
      Selection selection = selectWithin(options_, recipe_.target - other);
      if (selection.options.size() == options_.size()) return selection;
      const double least = points.front().cost + other;
      return makeError(
          ErrorCode::kBadOption,
          bytes ? "the recipe's bytes, " + std::to_string(std::llround(recipe_.target)) +
                      ", can't be met: the smallest file of this network is " +
                      std::to_string(std::llround(std::ceil(least))) + " bytes"
                : "the recipe's milliseconds can't be met: the fastest form of this network takes " +
                      std::to_string(std::ceil(least * 100) / 100) + " on this machine");
    }
    const double most = recipe_.aim == Aim::kProtect ? kProtectLoss : recipe_.target;
    for (const Selection& point : points) {
      if (lossOf(point) <= most) return point;
    }
    return points.back();
  }

  void addFrontier(const std::vector<Selection>& points, const Selection& chosen, MixedChoice* result) const {
    std::vector<Selection> shown = {chosen};
    const std::size_t count = std::min(points.size(), kMostPoints);
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t at = count < 2 ? 0 : i * (points.size() - 1) / (count - 1);
      if (points[at].options != chosen.options) shown.push_back(points[at]);
    }
    std::stable_sort(shown.begin(), shown.end(),
                     [](const Selection& a, const Selection& b) { return a.cost < b.cost; });
    for (const Selection& selection : shown) {
      result->frontier.push_back({bytesOf(selection), lossOf(selection), millisecondsOf(selection),
                                  selection.options == chosen.options});
    }
  }

  const Program& program_;
  const MixedInput& input_;
  const Recipe& recipe_;
  const Sensitivity& sensitivity_;
  bool second_planes_;
  Selection chosen_;
  double all_bytes_ = 0, all_work_ = 0;              // of the recipe's own form
  double other_bytes_ = 0, other_milliseconds_ = 0;  // of what has no option
  std::vector<Layer> layers_;                        // as the sensitivity's
  std::vector<Unit> units_;
  // By unit.
  std::vector<std::vector<UnitOption>> unit_options_;
  std::vector<std::vector<Option>> options_;
};

}  // namespace

std::span<const LayerRecipe> mixedForms(Aim aim) {
  static const std::vector<LayerRecipe> list = [] {
    std::vector<LayerRecipe> recipes;
    for (const Form& entry : forms()) recipes.push_back(entry.recipe);
    return recipes;
  }();
  switch (aim) {
    case Aim::kUniform:
      return std::span(list).first(1);
    case Aim::kProtect:  // no second planes, so that a file has one way to run unless they are asked for
      return std::span(list).first(2);
    case Aim::kTop1Loss:
      return std::span(list).first(4);
    case Aim::kBytes:
    case Aim::kMilliseconds:
      break;
  }
  return list;
}

std::vector<int> mixedNodes(const Program& program, const std::vector<LayerChoice>& choices,
                            const Recipe& recipe) {
  std::vector<int> nodes;
  for (int node = 0; node < static_cast<int>(program.graph.nodes.size()); ++node) {
    if (!std::holds_alternative<ConvOp>(program.graph.nodes[node].op)) continue;
    if (choices[node].weights != WeightKind::kTernary) continue;
    const bool given = std::any_of(recipe.layers.begin(), recipe.layers.end(), [&](const LayerRecipe& layer) {
      return layer.layer == program.graph.nodes[node].name;
    });
    if (!given) nodes.push_back(node);
  }
  return nodes;
}

SensitivityPlan mixedSensitivity(const MixedInput& input, int images) {
  const Program& program = *input.program;
  SensitivityPlan plan;
  plan.nodes = mixedNodes(program, *input.choices, *input.recipe);
  LayerChoice own;
  own.method = input.recipe->method;
  own.group_size = input.recipe->group_size;
  own.scale_levels = input.recipe->scale_levels;
  for (const LayerRecipe& entry : mixedForms(input.recipe->aim))
    plan.choices.push_back(withForm(own, entry, kMaxDimension));
  if (input.recipe->aim == Aim::kMilliseconds && input.low_grids != nullptr)
    plan.low_grids = *input.low_grids;
  double macs = 1;
  for (int node = 0; node < static_cast<int>(program.graph.nodes.size()); ++node)
    macs += static_cast<double>(countMacs(program.graph, node));
  const double runs = kRunMacs / (macs * static_cast<double>(plan.nodes.size() + 1) / 2);
  const double trials = kTrialPixels / static_cast<double>(program.graph.inputShape().plane());
  plan.trial_images =
      std::min(images, static_cast<int>(std::clamp<double>(trials, kFewestTrials, kMostTrials)));
  plan.run_images = std::min(images, static_cast<int>(std::clamp<double>(runs, kFewestRuns, kMostRuns)));
  if (input.recipe->aim == Aim::kProtect) {
    plan.enough = [logits = input.logits](double variance) {
      return 100 * expectedLoss(*logits, variance) <= kLeftAloneLoss;
    };
  }
  return plan;
}

Result<MixedChoice> chooseMixed(const MixedInput& input, const Sensitivity& sensitivity) {
  if (sensitivity.layers.empty()) return MixedChoice{};
  Chooser single(input, sensitivity, false);
  auto result = single.run();
  const auto forms_of_aim = mixedForms(input.recipe->aim);
  const bool planes = std::any_of(forms_of_aim.begin(), forms_of_aim.end(),
                                  [](const LayerRecipe& entry) { return entry.planes == 2; });
  if (!result || !planes) return result;
  Chooser twofold(input, sensitivity, true);
  auto other = twofold.run();
  if (!other) return result;
  const bool better = twofold.missed() != single.missed() ? twofold.missed() < single.missed()
                                                          : twofold.aimed() < single.aimed();
  return better ? other : result;
}

}  // namespace trefoil
