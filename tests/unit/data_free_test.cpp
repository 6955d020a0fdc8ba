#include "quantize/data_free.h"

#include <doctest/doctest.h>

#include <cmath>

#include "graph/float_eval.h"
#include "passes/passes.h"
#include "quantize/prepare.h"
#include "quantize_cases.h"
#include "runtime/session.h"

namespace {

using namespace trefoil;
using namespace trefoil::testing;

// Convolutions with batch norms, whose moments are those that the network really has on its pictures: as
// after training.
Graph trainedNetwork() {
  NetBuilder b({3, 12, 12}, 5);
  const auto block = [&](int input, int filters) {
    const int conv = b.layer(input, filters, 3);
    ChannelAffineOp norm;
    norm.scale.assign(static_cast<std::size_t>(filters), 1.25F);
    norm.shift.assign(static_cast<std::size_t>(filters), .1F);
    return b.add(std::move(norm), {conv}, b.shape(conv));
  };
  int x = b.relu(block(0, 8));
  const int y = block(b.relu(block(x, 8)), 8);
  x = b.relu(b.add(AddOp{}, {x, y}, b.shape(x)));
  b.classifier(x, 5);
  QuantizeInput input = quantizeInput(b.graph);
  std::vector<std::vector<Moments>> moments(b.graph.nodes.size());
  for (const auto& picture : input.images) {
    const auto done = evaluate(b.graph, normalize(picture, 3, input.preprocess), [&](int node, auto values) {
      const Shape& shape = b.graph.nodes[static_cast<std::size_t>(node)].shape;
      auto& own = moments[static_cast<std::size_t>(node)];
      own.resize(static_cast<std::size_t>(shape.channels));
      const auto plane = static_cast<std::size_t>(shape.plane());
      for (std::size_t c = 0; c < own.size(); ++c) own[c].add(values.subspan(c * plane, plane));
    });
    REQUIRE(done.ok());
  }
  for (std::size_t i = 0; i < b.graph.nodes.size(); ++i) {
    auto* norm = std::get_if<ChannelAffineOp>(&b.graph.nodes[i].op);
    if (norm == nullptr) continue;
    for (const Moments& channel : moments[i]) {
      norm->trained.mean.push_back(static_cast<float>(channel.mean()));
      norm->trained.deviation.push_back(static_cast<float>(channel.deviation()));
    }
  }
  return b.graph;
}

double scoreNoise(const Graph& graph, const QuantModel& model) {
  const QuantizeInput input = quantizeInput(graph);
  const auto session = Session::create(model);
  REQUIRE(session.ok());
  double signal = 0;
  double noise = 0;
  for (const auto& picture : input.images) {
    const auto expected = evaluate(graph, normalize(picture, 3, input.preprocess));
    const auto logits = (*session)->logits(*(*session)->run(picture));
    for (std::size_t i = 0; i < logits.size(); ++i) {
      signal += double{(*expected)[i]} * (*expected)[i];
      noise += (double{logits[i]} - (*expected)[i]) * (double{logits[i]} - (*expected)[i]);
    }
  }
  return 10 * std::log10(signal / noise);
}

Result<Quantized> withoutImages(Graph graph, const Recipe& recipe = {}) {
  QuantizeInput input = quantizeInput(std::move(graph));
  input.images.clear();
  input.recipe = recipe;
  return quantize(std::move(input));
}

TEST_SUITE("data free") {
  TEST_CASE("moments are followed from batch norm to batch norm") {
    auto prepared = prepareGraph(trainedNetwork());
    REQUIRE(prepared.ok());
    const Program program = buildProgram(std::move(*prepared));
    const auto found = statisticsFromBatchNorms(program.graph, histogramsNeeded(program));
    REQUIRE_MESSAGE(found.ok(), (found.ok() ? "" : found.error().message));
    // A known normal distribution behind a ReLU: mean m P(Z < m/s) + s p(m/s).
    int seen = 0;
    for (std::size_t i = 0; i < program.graph.nodes.size(); ++i) {
      const Node& node = program.graph.nodes[i];
      if (!std::holds_alternative<ActivationOp>(node.op)) continue;
      const auto* conv =
          std::get_if<ConvOp>(&program.graph.nodes[static_cast<std::size_t>(node.inputs[0])].op);
      if (conv == nullptr) continue;
      ++seen;
      for (std::size_t c = 0; c < conv->trained.mean.size(); ++c) {
        const double m = conv->trained.mean[c];
        const double s = conv->trained.deviation[c];
        const double expected = m * 0.5 * std::erfc(-m / s / std::sqrt(2.0)) +
                                s * std::exp(-m * m / s / s / 2) / std::sqrt(2 * M_PI);
        CHECK(found->values[i].mean[c] == doctest::Approx(expected).epsilon(0.01));
      }
    }
    CHECK(seen == 2);
  }

  TEST_CASE("the network stays close to the float one, and the report warns") {
    Recipe recipe;
    recipe.group_size = 1;
    const Graph graph = trainedNetwork();
    const auto fine = withoutImages(graph, recipe);
    REQUIRE_MESSAGE(fine.ok(), (fine.ok() ? "" : fine.error().message));
    CHECK(scoreNoise(graph, fine->model) > 25);
    CHECK(fine->report.calibration_images == 0);
    REQUIRE(fine->report.warnings.size() == 1);
    CHECK(reportJson(fine->report).find("\"outputSqnrDb\":null") != std::string::npos);
    CHECK(reportJson(fine->report).find("without calibration images") != std::string::npos);

    // Coarse weights need the correction.
    recipe.group_size = kWholeFilter;
    const auto corrected = withoutImages(graph, recipe);
    recipe.affine_correction = false;
    const auto plain = withoutImages(graph, recipe);
    REQUIRE(corrected.ok());
    REQUIRE(plain.ok());
    CHECK(scoreNoise(graph, corrected->model) > scoreNoise(graph, plain->model) + 1);
  }

  TEST_CASE("two planes come with their first ones") {
    Recipe recipe;
    recipe.planes = 2;
    const auto quantized = withoutImages(trainedNetwork(), recipe);
    REQUIRE(quantized.ok());
    CHECK(quantized->first.has_value());
  }

  TEST_CASE("where nothing is known of a layer, its name is told") {
    Graph graph = trainedNetwork();
    for (Node& node : graph.nodes) {
      if (auto* norm = std::get_if<ChannelAffineOp>(&node.op)) norm->trained = {};
    }
    const auto quantized = withoutImages(graph);
    REQUIRE(!quantized.ok());
    CHECK(quantized.error().code == ErrorCode::kBadImage);
    CHECK(quantized.error().message.find("batch norm") != std::string::npos);
    CHECK(quantized.error().message.find("'node1'") != std::string::npos);

    // There is nothing to compensate with: the plain codes, and a file that says so.
    Recipe recipe;
    recipe.method = Method::kCompensated;
    recipe.layers.emplace_back();
    recipe.layers[0].layer = "node1";
    recipe.layers[0].method = Method::kCompensated;
    const auto compensated = withoutImages(trainedNetwork(), recipe);
    recipe.method = Method::kFgq;
    recipe.layers[0].method = Method::kFgq;
    const auto plain = withoutImages(trainedNetwork(), recipe);
    REQUIRE(compensated.ok());
    REQUIRE(plain.ok());
    CHECK(compensated->model.nodes == plain->model.nodes);
    CHECK(compensated->model.metadata.recipe == plain->model.metadata.recipe);
  }

}  // TEST_SUITE

}  // namespace
