#include "quantize/float_values.h"

#include <algorithm>

#include "graph/float_eval.h"

namespace trefoil {

void evaluateStep(const Program& program, const Step& step, const std::vector<std::span<const float>>& inputs,
                  std::span<float> out, const std::function<void(std::span<const float>)>& before_clamp) {
  if (step.kind == StepKind::kRescale) {
    std::copy(inputs[0].begin(), inputs[0].end(), out.begin());
    return;
  }
  evaluateNode(program.graph, step.node, inputs, out);
  if (step.gated) std::transform(out.begin(), out.end(), inputs[0].begin(), out.begin(), std::multiplies<>());
  if (before_clamp) before_clamp(out);
  if (step.result == step.node) return;
  const auto low = static_cast<float>(step.low);
  const auto high = static_cast<float>(step.high);
  for (float& v : out) v = std::clamp(v, low, high);
}

FloatValues::FloatValues(const Program& program, int images)
    : program_(program), images_(images), values_(program.steps.size()) {}

std::span<float> FloatValues::value(int step, int image) {
  const auto size = static_cast<std::size_t>(program_.steps[step].shape.size());
  values_[step].resize(size * images_);
  return std::span(values_[step]).subspan(size * image, size);
}

void FloatValues::setInput(int step, int image, std::span<const std::uint8_t> planes,
                           const Preprocess& preprocess) {
  const std::vector<float> values = normalize(planes, program_.steps[step].shape.channels, preprocess);
  std::copy(values.begin(), values.end(), value(step, image).begin());
}

void FloatValues::run(int index, int image, const std::function<void(std::span<const float>)>& before_clamp) {
  const Step& step = program_.steps[index];
  const std::span<float> out = value(index, image);
  std::vector<std::span<const float>> inputs;
  for (const int in : step.inputs) inputs.push_back(value(in, image));
  evaluateStep(program_, step, inputs, out, before_clamp);
}

}  // namespace trefoil
