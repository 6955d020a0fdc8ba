// What the quantizer gives a file's first section: the first planes with constants of their own.
#include "format/first_planes.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "format/format.h"
#include "graph/float_eval.h"
#include "quantize_cases.h"
#include "runtime/session.h"

namespace {

using namespace trefoil;
using namespace trefoil::testing;

Quantized quantizedDeep(bool affine) {
  NetBuilder b({3, 12, 12}, 5);
  int x = stem(b);
  for (int i = 0; i < 4; ++i) x = b.relu(b.layer(x, 12, 3));
  b.classifier(x, 5);
  QuantizeInput input = quantizeInput(std::move(b.graph));
  input.recipe.group_size = 8;
  input.recipe.planes = 2;
  input.recipe.affine_correction = affine;
  auto quantized = quantize(std::move(input));
  REQUIRE(quantized.ok());
  return std::move(*quantized);
}

// Squared distance of the scores' means over the calibration pictures, from those of the float network.
double meanError(const QuantModel& model) {
  NetBuilder b({3, 12, 12}, 5);
  int x = stem(b);
  for (int i = 0; i < 4; ++i) x = b.relu(b.layer(x, 12, 3));
  b.classifier(x, 5);
  const QuantizeInput input = quantizeInput(std::move(b.graph));
  const auto session = Session::create(model);
  REQUIRE(session.ok());
  std::vector<double> sums(5);
  for (const auto& picture : input.images) {
    const auto expected = evaluate(input.graph, normalize(picture, 3, input.preprocess));
    const auto logits = (*session)->logits(*(*session)->run(picture));
    for (std::size_t i = 0; i < 5; ++i) sums[i] += double{logits[i]} - (*expected)[i];
  }
  return std::inner_product(sums.begin(), sums.end(), sums.begin(), 0.0);
}

TEST_SUITE("first planes") {
  TEST_CASE("they are corrected for themselves") {
    const Quantized quantized = quantizedDeep(true);
    REQUIRE(quantized.first.has_value());
    CHECK(checkRefines(quantized.model, *quantized.first).ok());
    CHECK(meanError(*quantized.first) < 0.2 * meanError(firstPlanes(quantized.model)));
    const auto bytes = writeModel(quantized.model, &*quantized.first);
    REQUIRE(bytes.ok());
    CHECK(quantized.report.file_bytes == bytes->size());
    CHECK(*readModel(*bytes, 1) == *quantized.first);
    CHECK(*readModel(*bytes, 2) == quantized.model);
  }

  TEST_CASE("without the correction they are the whole network's") {
    const Quantized quantized = quantizedDeep(false);
    REQUIRE(quantized.first.has_value());
    CHECK(*quantized.first == firstPlanes(quantized.model));
  }

}  // TEST_SUITE

}  // namespace
