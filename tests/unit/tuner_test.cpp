#include "runtime/tuner.h"

#include <doctest/doctest.h>

#include <chrono>
#include <set>

#include "helpers/random_model.h"
#include "helpers/reference_interpreter.h"
#include "kernels/ternary_conv/ternary_conv.h"

namespace {

using namespace trefoil;
using testing::Integers;
using testing::Random;

std::unique_ptr<Session> openSession(const QuantModel& model, const SessionOptions& options = {}) {
  auto session = Session::create(model, options);
  REQUIRE_MESSAGE(session.ok(), (session.ok() ? "" : session.error().message));
  return std::move(*session);
}

std::multiset<std::string> variantsOf(const Session& session) {
  std::multiset<std::string> names;
  for (const LayerInfo& layer : session.layers()) names.insert(layer.operation + "/" + layer.variant);
  return names;
}

// All tunable convolutions of some random networks.
std::vector<TunableConv> someConvs() {
  std::vector<TunableConv> convs;
  for (std::uint32_t seed = 1; seed <= 80; ++seed) {
    for (TunableConv& conv : openSession(testing::randomModel(seed))->tunable()) convs.push_back(conv);
  }
  REQUIRE(convs.size() > 20);
  return convs;
}

// Half a millisecond a read, but for the first ones, from which the tuner learns how fine it is.
struct CoarseClock {
  double now = 0;
  int reads = 0;
  double operator()() { return now += ++reads < 10 ? 0.01 : 0.5; }
};

TEST_SUITE("tuner") {
  TEST_CASE("random choices of kernels give the reference's integers") {
    int changed = 0;
    for (std::uint32_t seed = 1; seed <= 120; ++seed) {
      CAPTURE(seed);
      const QuantModel model = testing::randomModel(seed);
      Random random(seed);
      const auto image = random.bytes(static_cast<std::size_t>(model.nodes[0].shape.size()));
      const Integers expected = testing::referenceLogits(model, image);
      const auto usual = openSession(model);
      SessionOptions options;
      for (const TunableConv& conv : usual->tunable()) {
        REQUIRE(conv.candidates.size() > 1);
        const auto last = static_cast<int>(conv.candidates.size()) - 1;
        options.kernels[conv.kind.key()] = conv.candidates[static_cast<std::size_t>(random.integer(0, last))];
      }
      const auto tuned = openSession(model, options);
      if (variantsOf(*tuned) != variantsOf(*usual)) ++changed;
      for (const auto& session : {usual.get(), tuned.get()}) {
        const auto result = session->run(image);
        REQUIRE(result.ok());
        REQUIRE(Integers(result->begin(), result->end()) == expected);
      }
    }
    CHECK(changed > 20);
  }

  TEST_CASE("a choice is taken where it fits and nothing is forced; what is foreign is passed over") {
    int taken = 0;
    for (std::uint32_t seed = 1; seed <= 40; ++seed) {
      CAPTURE(seed);
      const QuantModel model = testing::randomModel(seed);
      const auto usual = openSession(model);
      SessionOptions options;
      for (const TunableConv& conv : usual->tunable()) {
        if (conv.kind.ternary) options.kernels[conv.kind.key()] = conv.candidates.back();
      }
      if (options.kernels.empty()) continue;
      const std::string wanted = "ternary_conv/" + options.kernels.begin()->second;
      CHECK(variantsOf(*openSession(model, options)).count(wanted) > 0);
      ++taken;

      options.variants = {{"ternary_conv", "scalar"}};
      const auto forced = openSession(model, options);
      for (const LayerInfo& layer : forced->layers()) {
        if (layer.operation == "ternary_conv") CHECK(layer.variant == "scalar");
      }
      for (const TunableConv& conv : forced->tunable()) CHECK(!conv.kind.ternary);

      options.variants = {};
      for (const char* foreign : {"", "scalar", "fastest", "ternary_conv", "g4_simd128\n"}) {
        for (auto& [key, name] : options.kernels) name = foreign;
        options.kernels["no such layer"] = "g4_simd128";
        options.kernels[""] = foreign;
        CHECK(variantsOf(*openSession(model, options)) == variantsOf(*usual));
      }
    }
    CHECK(taken > 10);
  }

  TEST_CASE("a sample is of the kind that it was made for, and its kernels agree") {
    for (const TunableConv& conv : someConvs()) {
      const SampleConv sample(conv.kind);
      CAPTURE(conv.kind.key());
      CHECK(sample.task().out == conv.kind.out);
      if (!conv.kind.ternary) {
        CHECK(convKind(sample.task(), sample.int8()).key() == conv.kind.key());
        CHECK(sample.int8().size() == conv.kind.weights());
        continue;
      }
      REQUIRE(sample.ternary().planes[0].codes.size() == conv.kind.weights());
      ConvKind again = convKind(sample.task(), sample.ternary());
      if (conv.kind.weights() < 200) continue;  // too few for shares to mean anything
      CHECK(again.zero_quarters == conv.kind.zero_quarters);
      again.levels = conv.kind.levels;  // few scales may all be equal by chance
      CHECK(again.key() == conv.kind.key());
    }
  }

  TEST_CASE("kinds differ in what makes kernels faster or slower") {
    ConvTask task;
    task.in = {8, 6, 6};
    task.out = {2, 6, 6};
    TernaryWeights weights{4, {TernaryPlane{}}};
    weights.planes[0].codes = TernaryCodes{1, 0, 0, -1, 0, 1, 0, -1, 1, 1, 0, 0, -1, -1, 0, 0};
    weights.planes[0].scales = {7, 7, 9, 9};
    const ConvKind kind = convKind(task, weights);
    CHECK(kind.levels == 1);
    CHECK(kind.zero_quarters == 2);
    CHECK(kind.macs() == 36 * 16);
    std::set<std::string> keys{kind.key(), convKind(task, std::vector<std::int8_t>(16)).key()};
    const auto distinct = [&](const ConvTask& t, const TernaryWeights& w) {
      const bool is_new = keys.insert(convKind(t, w).key()).second;
      CHECK(is_new);
    };
    TernaryWeights other = weights;
    other.planes[0].scales = {7, 8, 9, 9};
    distinct(task, other);
    other = weights;
    other.planes[0].negative_scales = other.planes[0].scales;
    distinct(task, other);
    other = weights;
    other.planes.push_back(other.planes[0]);
    distinct(task, other);
    other = weights;
    other.group_size = 8;
    distinct(task, other);
    other = weights;
    other.planes[0].codes.assign(16, 0);
    distinct(task, other);
    ConvTask another = task;
    another.input_max = 15;
    distinct(another, weights);
    another = task;
    another.accumulators = true;
    distinct(another, weights);
    another = task;
    another.window.stride_h = 2;
    distinct(another, weights);
    another = task;
    another.in.height = 7;
    distinct(another, weights);
  }

  TEST_CASE("every convolution gets one of its candidates, and memory is given back") {
    const Clock clock = [] {
      return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch())
          .count();
    };
    const std::vector<TunableConv> convs = someConvs();
    Tuner tuner(convs, 60'000, clock);
    tuner.warmUp();
    while (tuner.work(5)) {
    }
    CHECK(tuner.leftOut() == 0);
    for (const TunableConv& conv : convs) {
      const auto choice = tuner.choices().find(conv.kind.key());
      REQUIRE(choice != tuner.choices().end());
      CHECK(std::count(conv.candidates.begin(), conv.candidates.end(), choice->second) == 1);
    }
    CHECK(!tuner.work(5));
  }

  TEST_CASE("budgets and slices are kept") {
    const std::vector<TunableConv> convs = someConvs();
    CoarseClock clock;
    const double& now = clock.now;
    constexpr double kOnePiece = 12;  // one kernel reads the clock up to a dozen times
    std::size_t last = 0;
    for (const double budget : {0.0, 5.0, 40.0, 300.0, 2000.0}) {
      CAPTURE(budget);
      clock.reads = 0;
      Tuner tuner(convs, budget, std::ref(clock));
      const double start = now;
      for (int calls = 0;; ++calls) {
        const double before = now;
        const bool more = tuner.work(20);
        CHECK(now - before < 20 + kOnePiece);
        CHECK(std::abs(tuner.spent() - (now - start)) < 1 + calls);  // what lies between two calls is not its
        if (!more) break;
      }
      CHECK(now - start < budget + kOnePiece);
      CHECK(tuner.choices().size() >= last);
      last = tuner.choices().size();
      if (budget < 10) CHECK(tuner.leftOut() == static_cast<int>(convs.size()));
    }
    CHECK(last > 5);
  }

  TEST_CASE("the warm-up takes a part of the budget") {
    const std::vector<TunableConv> convs = someConvs();
    double now = 0;
    const Clock clock = [&] { return now += 0.5; };
    for (const double budget : {0.0, 20.0, 2000.0}) {
      Tuner tuner(convs, budget, clock);
      const double start = now;
      tuner.warmUp();
      CHECK(now - start <= budget / 4 + 6);
      CHECK(tuner.spent() == now - start - 0.5);  // from its first reading on
      if (budget > 0) CHECK(tuner.spent() > 3);
    }
  }

  TEST_CASE("what costs most in the network comes first") {
    const std::vector<TunableConv> convs = someConvs();
    TunableConv small = *std::find_if(convs.begin(), convs.end(), [](const TunableConv& conv) {
      return conv.kind.ternary && conv.kind.groups == 1 && conv.kind.out.plane() > 1;
    });
    TunableConv large = small;
    large.kind.out.channels *= 4;
    small.layers = 5;
    CoarseClock clock;
    Tuner tuner({large, small}, 1e9, std::ref(clock));
    while (tuner.choices().empty()) REQUIRE(tuner.work(0));
    CHECK(tuner.choices().begin()->first == small.kind.key());
  }

  TEST_CASE("a busy moment changes no choice") {
    const std::vector<TunableConv> all = someConvs();
    const TunableConv conv = *std::find_if(all.begin(), all.end(), [](const TunableConv& c) {
      return c.kind.ternary && c.candidates.size() == 2;
    });
    for (int begin = 8; begin < 60; ++begin) {
      CAPTURE(begin);
      CoarseClock coarse;  // by which both kernels take equally long
      const Clock clock = [&] {
        if (coarse.reads >= begin && coarse.reads < begin + 12) coarse.now += 20;
        return coarse();
      };
      Tuner tuner({conv}, 1e9, clock);
      while (tuner.work(1)) {
      }
      REQUIRE(tuner.choices().size() == 1);
      CHECK(tuner.choices().begin()->second == conv.candidates.front());
    }
  }

  TEST_CASE("clocks that are no good end the work") {
    const std::vector<TunableConv> convs = someConvs();
    double now = 0;
    const Clock clocks[] = {[] { return 5.0; }, [&] { return now -= 1; }, [&] { return now += 100; }};
    for (const Clock& clock : clocks) {
      Tuner tuner(convs, 200, clock);
      tuner.warmUp();
      while (tuner.work(10)) {
      }
      CHECK(tuner.choices().empty());
      CHECK(tuner.leftOut() == static_cast<int>(convs.size()));
    }
  }

  TEST_CASE("the table's first kernel stays unless another is faster by more than noise") {
    const double never = std::numeric_limits<double>::infinity();
    const auto pick = [](std::vector<double> times) { return fasterThanFirst(times); };
    CHECK(pick({1.0, 0.98}) == 0);
    CHECK(pick({1.0, 0.9, 0.8, 0.85}) == 2);
    CHECK(pick({1.0, never}) == 0);
    CHECK(pick({never, 5.0}) == 1);
  }
}  // TEST_SUITE

}  // namespace
