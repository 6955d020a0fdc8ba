#include "quantize/report.h"

#include <doctest/doctest.h>

#include "format/format.h"
#include "format/scale_table.h"
#include "quantize_cases.h"

namespace {

using namespace trefoil;
using namespace trefoil::testing;

TEST_SUITE("report") {
  TEST_CASE("scales from few levels count as their indices, and as one multiplication a level") {
    GraphBuilder net({32, 4, 4});
    const int conv = net.conv(0, 10, squareWindow(1, 1, 0), 1);
    const Program program = buildProgram(net.graph);
    const Step& step = program.steps[static_cast<std::size_t>(conv)];
    // 10 filters of 32 weights in groups of 4: 8 scales each.
    QConvOp op;
    op.ternary.group_size = 4;
    TernaryPlane plane;
    plane.codes.assign(320, 1);
    for (int i = 0; i < 80; ++i)
      plane.scales.push_back(static_cast<std::uint8_t>(i % 2 == 0 ? 3 : 200 + i / 8));
    op.ternary.planes = {plane};
    const auto report = [&] { return reportLayer(program, step, {}, op, {}, {}); };
    const std::size_t rest = 10 * 13;

    CHECK(report().bits_per_weight == doctest::Approx(2 + 1 / 4.0));
    CHECK(report().multiplications_removed == doctest::Approx(1 - 20 / 320.0));
    CHECK(report().file_bytes == rest + 64 + 20 + 10);

    op.ternary.planes[0].negative_scales = plane.scales;
    CHECK(report().bits_per_weight == doctest::Approx(2 + 2 / 4.0));
    CHECK(report().multiplications_removed == doctest::Approx(1 - 40 / 320.0));
    CHECK(report().file_bytes == rest + 64 + 2 * 30);

    // A second plane of free scales.
    for (std::size_t i = 0; i < 80; ++i) plane.scales[i] = static_cast<std::uint8_t>(i);
    op.ternary.planes = {op.ternary.planes[0], plane};
    op.ternary.planes[0].negative_scales.clear();
    CHECK(report().bits_per_weight == doctest::Approx(4 + 1 / 4.0 + 8 / 4.0));
    CHECK(report().multiplications_removed == doctest::Approx(1 - 100 / 320.0));
    CHECK(report().file_bytes == rest + 2 * 64 + 30 + 80);
  }

}  // TEST_SUITE

}  // namespace
