// quantize() on the small networks of quantize_cases.h, and what is checked of its results.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "graph/float_eval.h"
#include "quantize_cases.h"
#include "runtime/session.h"

namespace trefoil::testing {

inline const NetCase& netCase(std::string_view name) {
  const auto& cases = netCases();
  const auto found =
      std::find_if(cases.begin(), cases.end(), [&](const NetCase& c) { return c.name == name; });
  REQUIRE(found != cases.end());
  return *found;
}

inline Quantized quantizeOrFail(QuantizeInput input) {
  auto result = quantize(std::move(input));
  if (!result.ok()) FAIL(result.error().message);
  return std::move(*result);
}

// Signal to noise of the integer network's logits on the first calibration pictures, in dB: on these nothing
// exceeds the grids. Softmax at the end of the float network is left out, as the integer one leaves it out.
inline double outputSnr(Graph graph, const QuantModel& model, const Preprocess& preprocess) {
  if (std::holds_alternative<SoftmaxOp>(graph.nodes.back().op)) graph.output = graph.nodes.back().inputs[0];
  auto session = Session::create(model);
  REQUIRE(session.ok());
  double signal = 0;
  double noise = 0;
  for (const auto& picture : pictures(12, graph.inputShape(), kSeed)) {
    const auto expected = evaluate(graph, normalize(picture, graph.inputShape().channels, preprocess));
    REQUIRE(expected.ok());
    const auto integers = (*session)->run(picture);
    REQUIRE(integers.ok());
    const auto logits = (*session)->logits(*integers);
    REQUIRE(logits.size() == expected->size());
    for (std::size_t i = 0; i < logits.size(); ++i) {
      signal += double{(*expected)[i]} * (*expected)[i];
      noise += (double{logits[i]} - (*expected)[i]) * (double{logits[i]} - (*expected)[i]);
    }
  }
  return 10 * std::log10(signal / noise);
}

// Every weight with its own sign and 8-bit scale: what is left is the error of the activations.
inline Recipe fineRecipe() {
  Recipe recipe;
  recipe.method = Method::kFgq;
  recipe.scale_levels = kFreeScales;
  recipe.group_size = 1;
  return recipe;
}

inline const QNode& nodeNamed(const QuantModel& model, std::string_view name) {
  for (const QNode& node : model.nodes) {
    if (node.name == name) return node;
  }
  FAIL("no node " << name);
  return model.nodes[0];
}

inline Error errorOf(QuantizeInput input) {
  auto result = quantize(std::move(input));
  REQUIRE(!result.ok());
  CAPTURE(result.error().message);
  return result.error();
}

inline bool mentions(const Error& error, std::string_view text) {
  return error.message.find(text) != std::string::npos;
}

}  // namespace trefoil::testing
