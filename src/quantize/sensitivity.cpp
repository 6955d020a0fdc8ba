#include "quantize/sensitivity.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "graph/float_eval.h"
#include "quantize/float_values.h"
#include "quantize/grid_search.h"
#include "quantize/layer_trial.h"

namespace trefoil {
namespace {

constexpr int kCorrectedImages = 4;
constexpr double kMinGain = 0.5;
constexpr double kMaxGain = 2;

using Tell = std::function<bool(double, std::string_view)>;

double stepWork(const Program& program, const Step& step) {
  return 16 * static_cast<double>(step.shape.size()) +
         static_cast<double>(countMacs(program.graph, step.node));
}

class Measurer {
 public:
  Measurer(const Program& program, const SensitivityPlan& plan,
           const std::vector<std::vector<std::uint8_t>>& images, const Preprocess& preprocess,
           const Tell& done)
      : program_(program),
        tried_(program),
        plan_(plan),
        images_(images),
        preprocess_(preprocess),
        done_(done) {
    readers_ = findReaders(program);
    tried_step_.assign(program.steps.size(), -1);
    for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
      for (std::size_t s = 0; s < program.steps.size(); ++s) {
        if (program.steps[s].kind == StepKind::kConv && program.steps[s].node == plan.nodes[i])
          tried_step_[s] = static_cast<int>(i);
      }
    }
    double behind = 0;  // work of the steps behind
    for (std::size_t s = program.steps.size(); s-- > 0;) {
      const Step& step = program.steps[s];
      const double work = stepWork(program, step);
      behind += work;
      total_ += work * (plan.trial_images + 2 * plan.run_images);
      if (tried_step_[s] < 0) continue;
      total_ += trialWork(program, step, plan.choices.size(), plan.trial_images) + work * kCorrectedImages +
                behind * plan.run_images;
    }
    for (const LowGrid& low : plan.low_grids) {
      for (std::size_t s = low.steps[0]; s < program.steps.size(); ++s)
        total_ += stepWork(program, program.steps[s]) * plan.run_images;
    }
  }

  Result<Sensitivity> run() {
    if (!tryLayers() || !runTogether()) return cancelled();
    if (plan_.enough && plan_.enough(result_.together)) return std::move(result_);
    if (!runLayers()) return cancelled();
    return std::move(result_);
  }

 private:
  static Error cancelled() {
    return makeError(ErrorCode::kAborted, "cancelled while choosing layers' weights");
  }

  bool advance(const Step& step, double work) {
    finished_ += work;
    return done_(std::min(1.0, finished_ / total_), step.name);
  }

  // Fills tried_ and errors_, layer after layer on the float network's values.
  bool tryLayers() {
    FloatValues values(program_, plan_.trial_images);
    errors_.resize(plan_.nodes.size());
    std::vector<std::size_t> unread(program_.steps.size());
    for (std::size_t s = 0; s < unread.size(); ++s) unread[s] = readers_[s].size();
    for (int s = 0; s < static_cast<int>(program_.steps.size()); ++s) {
      const Step& step = program_.steps[s];
      std::vector<Moments> moments(tried_step_[s] < 0 ? 0 : step.shape.channels);
      for (int image = 0; image < plan_.trial_images; ++image) {
        if (step.kind == StepKind::kInput) {
          values.setInput(s, image, images_[image], preprocess_);
        } else {
          values.run(s, image, [&](std::span<const float> results) {
            if (image < kCorrectedImages) addMoments(results, &moments);
          });
        }
        if (!advance(step, stepWork(program_, step))) return false;
      }
      if (tried_step_[s] >= 0 && !tryLayer(s, values.values(step.inputs[0]), moments)) return false;
      for (const int in : step.inputs) {
        if (--unread[in] == 0) values.release(in);
      }
    }
    return true;
  }

  static void addMoments(std::span<const float> results, std::vector<Moments>* moments) {
    const std::size_t plane = moments->empty() ? 0 : results.size() / moments->size();
    for (std::size_t k = 0; k < moments->size(); ++k) (*moments)[k].add(results.subspan(k * plane, plane));
  }

  bool tryLayer(int index, std::span<const float> inputs, const std::vector<Moments>& wanted) {
    const Step& step = program_.steps[index];
    const Step& source = program_.steps[step.inputs[0]];
    auto& conv = std::get<ConvOp>(tried_.graph.nodes[step.node].op);
    std::vector<std::uint8_t> points;
    points.reserve(inputs.size());
    for (const float x : inputs) {
      const double q = std::floor(double{x} / source.grid.scale + 0.5) + source.grid.zero_point;
      points.push_back(static_cast<std::uint8_t>(std::clamp(q, 0.0, double(source.grid.max()))));
    }
    const std::vector<std::uint8_t> pads(source.shape.channels,
                                         static_cast<std::uint8_t>(source.grid.zero_point));
    const SampleInputs samples{conv.window, source.shape, pads, points};
    LayerTrial trial;
    const auto work = [&](double done) { return advance(step, done); };
    if (!tryChoices(program_, step, plan_.choices, samples, plan_.trial_images, work, &trial)) return false;
    errors_[tried_step_[index]] = std::move(trial.errors);
    conv.weights = std::move(trial.weights);
    return matchMoments(step, inputs, wanted, &conv);
  }

  // As quantizing does (correct.h): mean and deviation of every filter are the float network's.
  bool matchMoments(const Step& step, std::span<const float> inputs, const std::vector<Moments>& wanted,
                    ConvOp* conv) {
    const std::size_t size = inputs.size() / plan_.trial_images;
    std::vector<Moments> moments(wanted.size());
    std::vector<float> results(static_cast<std::size_t>(step.shape.size()));
    for (int image = 0; image < std::min(plan_.trial_images, kCorrectedImages); ++image) {
      evaluateNode(tried_.graph, step.node, {inputs.subspan(size * image, size)}, results);
      addMoments(results, &moments);
      if (!advance(step, stepWork(program_, step))) return false;
    }
    const std::size_t filter = conv->weights.size() / wanted.size();
    for (std::size_t k = 0; k < wanted.size(); ++k) {
      double gain = 1;
      if (moments[k].deviation() > 0 && wanted[k].deviation() > 0)
        gain = std::clamp(wanted[k].deviation() / moments[k].deviation(), kMinGain, kMaxGain);
      for (std::size_t i = k * filter; i < (k + 1) * filter; ++i)
        conv->weights[i] *= static_cast<float>(gain);
      const double mean = gain * (moments[k].mean() - conv->bias[k]);
      conv->bias[k] = static_cast<float>(wanted[k].mean() - mean);
    }
    return true;
  }

  bool runTogether() {
    for (std::size_t image = images_.size() - plan_.run_images; image < images_.size(); ++image) {
      FloatValues values(program_, 1);
      FloatValues tried(tried_, 1);
      for (int s = 0; s < static_cast<int>(program_.steps.size()); ++s) {
        for (FloatValues* of : {&values, &tried}) {
          if (program_.steps[s].kind == StepKind::kInput) {
            of->setInput(s, 0, images_[image], preprocess_);
          } else {
            of->run(s, 0);
          }
          if (!advance(program_.steps[s], stepWork(program_, program_.steps[s]))) return false;
        }
      }
      const int last = static_cast<int>(program_.steps.size()) - 1;
      result_.together += answerVariance(values.values(last), tried.values(last)) / plan_.run_images;
    }
    return true;
  }

  bool runLayers() {
    std::vector<double> variances(plan_.nodes.size());
    result_.low_grids.assign(plan_.low_grids.size(), 0.0);
    for (std::size_t image = images_.size() - plan_.run_images; image < images_.size(); ++image) {
      FloatValues values(program_, 1);
      for (int s = 0; s < static_cast<int>(program_.steps.size()); ++s) {
        if (program_.steps[s].kind == StepKind::kInput) {
          values.setInput(s, 0, images_[image], preprocess_);
        } else {
          values.run(s, 0);
        }
      }
      for (int s = 0; s < static_cast<int>(program_.steps.size()); ++s) {
        if (tried_step_[s] < 0) continue;
        if (!runFrom({s, nullptr}, values, &variances[tried_step_[s]])) return false;
      }
      for (std::size_t i = 0; i < plan_.low_grids.size(); ++i) {
        const LowGrid& low = plan_.low_grids[i];
        if (!runFrom({low.steps[0], &low}, values, &result_.low_grids[i])) return false;
      }
    }
    for (std::size_t i = 0; i < plan_.nodes.size(); ++i) {
      LayerNoise noise;
      noise.node = plan_.nodes[i];
      for (const double error : errors_[i])
        noise.variances.push_back(error * variances[i] / plan_.run_images);
      result_.layers.push_back(std::move(noise));
    }
    for (double& variance : result_.low_grids) variance /= plan_.run_images;
    return true;
  }

  // What is changed in the float network: one step has its trial form, or some steps' results a grid.
  struct Change {
    int first = 0;  // step
    const LowGrid* grid = nullptr;

    bool concerns(int step) const {
      if (grid == nullptr) return step == first;
      return std::find(grid->steps.begin(), grid->steps.end(), step) != grid->steps.end();
    }
  };

  static void putOnGrid(const Grid& grid, std::span<float> values) {
    for (float& x : values)
      x = grid.scale * static_cast<float>(quantizeValue(x, grid, 0, grid.max()) - grid.zero_point);
  }

  // The network with a change: what does not depend on it is taken from `values`.
  bool runFrom(const Change& change, const FloatValues& values, double* variance) {
    const int last = static_cast<int>(program_.steps.size()) - 1;
    std::vector<std::vector<float>> changed(program_.steps.size());
    std::vector<int> last_reader(program_.steps.size(), -1);
    for (int s = change.first; s <= last; ++s) {
      for (const int in : program_.steps[s].inputs) last_reader[in] = s;
    }
    for (int s = change.first; s <= last; ++s) {
      const Step& step = program_.steps[s];
      const bool depends =
          std::any_of(step.inputs.begin(), step.inputs.end(), [&](int in) { return !changed[in].empty(); });
      const bool concerned = change.concerns(s);
      if (concerned && change.grid != nullptr && !depends) {
        changed[s].assign(values.values(s).begin(), values.values(s).end());
      } else if (concerned || depends) {
        std::vector<std::span<const float>> inputs;
        for (const int in : step.inputs)
          inputs.push_back(changed[in].empty() ? values.values(in) : std::span<const float>(changed[in]));
        changed[s].resize(static_cast<std::size_t>(step.shape.size()));
        const bool tried = concerned && change.grid == nullptr;
        evaluateStep(tried ? tried_ : program_, step, inputs, changed[s]);
      }
      if (concerned && change.grid != nullptr) putOnGrid(change.grid->grid, changed[s]);
      if (!advance(step, stepWork(program_, step))) return false;
      for (const int in : step.inputs) {
        if (last_reader[in] == s) std::vector<float>().swap(changed[in]);
      }
    }
    *variance += changed[last].empty() ? 0 : answerVariance(values.values(last), changed[last]);
    return true;
  }

  const Program& program_;
  Program tried_;  // with the first choice's weights
  const SensitivityPlan& plan_;
  const std::vector<std::vector<std::uint8_t>>& images_;
  const Preprocess& preprocess_;
  const Tell& done_;
  std::vector<std::vector<int>> readers_;
  std::vector<int> tried_step_;              // by step: index in plan_.nodes, or -1
  std::vector<std::vector<double>> errors_;  // by plan's node, one a choice, as multiples of the first
  double total_ = 0, finished_ = 0;
  Sensitivity result_;
};

}  // namespace

Result<Sensitivity> measureSensitivity(const Program& program, const SensitivityPlan& plan,
                                       const std::vector<std::vector<std::uint8_t>>& images,
                                       const Preprocess& preprocess, const Tell& done) {
  return Measurer(program, plan, images, preprocess, done).run();
}

}  // namespace trefoil
