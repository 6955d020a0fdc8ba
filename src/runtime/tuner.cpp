#include "runtime/tuner.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/order.h"
#include "kernels/int8_conv/int8_conv.h"
#include "kernels/ternary_conv/ternary_conv.h"

namespace trefoil {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr int kSamples = 3;
constexpr double kHopeless = 1.5;      // times slower after one sample: no second one
constexpr double kNoise = 0.97;        // of the first kernel's time: what another one has to stay below
constexpr double kWarmUpTime = 3;      // milliseconds a kernel
constexpr double kWarmUpShare = 0.25;  // of the budget

// One kernel packed, ready to be run again and again.
struct Packed {
  AlignedBuffer weights, scratch;
  std::function<void()> run;
  bool ready() const { return weights.data() && scratch.data(); }
};

template <typename Weights>
void packIn(std::span<const ConvVariant<Weights>> table, std::string_view name, const ConvTask& task,
            const Weights& weights, const std::uint8_t* input, std::uint8_t* output, Packed* packed) {
  const auto row = std::find_if(table.begin(), table.end(), [&](const auto& r) { return r.name == name; });
  if (row == table.end() || !row->supports(task, weights)) return;
  packed->weights = row->pack(task, weights);
  packed->scratch = AlignedBuffer(row->scratchBytes(task));
  packed->run = [&task, packed, run = row->run, input, output] {
    run(task, packed->weights, input, output, packed->scratch.data(), Part{});
  };
}

// Fully connected layers cost the same for each filter: a part of them tells as much as all.
ConvKind sampleOf(ConvKind kind) {
  constexpr std::size_t kManyWeights = std::size_t{1} << 20;
  if (kind.out.plane() == 1 && kind.groups == 1 && kind.weights() > kManyWeights) {
    const std::size_t filters = kManyWeights / (kind.weights() / static_cast<std::size_t>(kind.out.channels));
    kind.out.channels = std::min(kind.out.channels, static_cast<int>(std::max<std::size_t>(filters, 64)));
  }
  return kind;
}

}  // namespace

std::size_t fasterThanFirst(std::span<const double> times) {
  const auto best = std::min_element(times.begin(), times.end());
  return *best < kNoise * times.front() ? static_cast<std::size_t>(best - times.begin()) : 0;
}

struct Tuner::Bench {
  explicit Bench(const ConvKind& kind)
      : conv(kind),
        ternary(kind.ternary),
        input(tensorBytes(kind.in)),
        output(kind.accumulators ? static_cast<std::size_t>(kind.out.size()) * sizeof(std::int32_t)
                                 : tensorBytes(kind.out)) {
    if (!input.data()) return;
    const auto values = static_cast<std::size_t>(kind.input_max) + 1;
    for (std::size_t i = 0; i < input.size() + kSlackBytes; ++i) {
      input.data()[i] = static_cast<std::uint8_t>(i * 151 % values);
    }
  }

  void pack(std::string_view name, Packed* packed) {
    if (!input.data() || !output.data()) return;
    if (ternary) {
      packIn(ternaryConvVariants(), name, conv.task(), conv.ternary(), input.data(), output.data(), packed);
    } else {
      packIn(int8ConvVariants(), name, conv.task(), conv.int8(), input.data(), output.data(), packed);
    }
  }

  SampleConv conv;
  bool ternary;
  AlignedBuffer input, output;
};

Tuner::Tuner(std::vector<TunableConv> convs, double budget, Clock clock)
    : clock_(std::move(clock)), budget_(budget) {
  const auto work = [&](std::size_t conv) { return convs[conv].layers * convs[conv].kind.macs(); };
  for (const std::size_t conv :
       orderBy(convs.size(), [&](std::size_t a, std::size_t b) { return work(a) > work(b); })) {
    convs_.push_back(std::move(convs[conv]));
  }
}

Tuner::~Tuner() = default;

void Tuner::warmUp() {
  const double start = clock_();
  const double end = start + kWarmUpShare * budget_;
  double now = start;
  std::vector<std::pair<bool, std::string_view>> done;
  for (auto conv = convs_.rbegin(); conv != convs_.rend(); ++conv) {  // the small ones first
    std::unique_ptr<Bench> bench;
    for (const std::string_view name : conv->candidates) {
      const std::pair kernel(conv->kind.ternary, name);
      if (std::find(done.begin(), done.end(), kernel) != done.end()) continue;
      if (now >= end) break;
      done.push_back(kernel);
      if (!bench) bench = std::make_unique<Bench>(sampleOf(conv->kind));
      Packed packed;
      bench->pack(name, &packed);
      const double began = clock_();
      constexpr int kMostRuns = 1000;  // should the clock stand still
      now = began;
      for (int i = 0; packed.ready() && i < kMostRuns && now - began < kWarmUpTime; ++i) {
        packed.run();
        now = clock_();
      }
    }
  }
  spent_ += now - start;
}

bool Tuner::work(double milliseconds) {
  const double start = clock_();
  const bool usable = sample_time_ > 0 || findSampleTime();
  do {
    if (usable && remaining(start) > 0) {
      if (conv_ < convs_.size()) step(start);
    } else {
      while (conv_ < convs_.size()) leaveOut();
    }
  } while (conv_ < convs_.size() && clock_() - start < milliseconds);
  spent_ += clock_() - start;
  return conv_ < convs_.size();
}

// Of a whole convolution.
double Tuner::expected(const TunableConv& conv) const {
  const ConvKind kind = sampleOf(conv.kind);
  const double run = ms_a_mac_ * static_cast<double>(kind.macs());
  const double a_kernel =
      ms_a_weight_ * static_cast<double>(kind.weights()) + run + kSamples * std::max(sample_time_, run);
  return a_kernel * static_cast<double>(conv.candidates.size());
}

// Long enough that a tick of the clock more or less is a small error. Browsers' clocks tick each 0.005 to 1
// ms, some coarser.
bool Tuner::findSampleTime() {
  constexpr int kMostReads = 100'000;
  constexpr double kTicks = 8, kLeast = 0.3;
  double tick = kNever;
  for (int i = 0; i < 3; ++i) {
    const double start = clock_();
    double now = start;
    for (int reads = 0; now == start && reads < kMostReads; ++reads) now = clock_();
    if (!(now > start)) return false;
    tick = std::min(tick, now - start);
    if (kTicks * tick > budget_) return false;
  }
  sample_time_ = std::max(kLeast, kTicks * tick);
  return true;
}

// One kernel of the convolution at work.
void Tuner::step(double since) {
  const TunableConv& conv = convs_[conv_];
  if (times_.empty() && expected(conv) > remaining(since)) {
    leaveOut();
    return;
  }
  const ConvKind kind = sampleOf(conv.kind);
  if (!bench_) bench_ = std::make_unique<Bench>(kind);
  const double start = clock_();
  Packed packed;
  bench_->pack(conv.candidates[again_ ? 0 : times_.size()], &packed);
  double best = kNever;
  if (packed.ready()) {
    ms_a_weight_ = (clock_() - start) / static_cast<double>(kind.weights());
    packed.run();
    const double leader = times_.empty() ? kNever : *std::min_element(times_.begin(), times_.end());
    int runs = 1;
    for (int samples = 0; samples < kSamples && remaining(since) > 0;) {
      if (samples > 0 && best > kHopeless * leader) break;
      const double began = clock_();
      for (int i = 0; i < runs; ++i) packed.run();
      const double took = clock_() - began;
      constexpr int kMostRuns = 4096;
      if (took < sample_time_ && runs < kMostRuns) {
        runs *= took > 0 ? std::clamp(static_cast<int>(std::ceil(1.2 * sample_time_ / took)), 2, 16) : 4;
        continue;
      }
      best = std::min(best, took / runs);
      ++samples;
    }
    if (best == kNever) {  // the budget has ended
      leaveOut();
      return;
    }
    ms_a_mac_ = best / static_cast<double>(kind.macs());
  }
  if (again_)
    times_.front() = std::min(times_.front(), best);
  else
    times_.push_back(best);
  if (times_.size() < conv.candidates.size()) return;
  const bool another = fasterThanFirst(times_) != 0;
  if (another && !again_)
    again_ = true;
  else
    finishConv();
}

void Tuner::finishConv() {
  const TunableConv& conv = convs_[conv_];
  // A first kernel that could not be timed is not known to be slower.
  if (times_.front() == kNever) return leaveOut();
  choices_[conv.kind.key()] = conv.candidates[fasterThanFirst(times_)];
  nextConv();
}

void Tuner::leaveOut() {
  ++left_out_;
  nextConv();
}

void Tuner::nextConv() {
  times_.clear();
  again_ = false;
  bench_.reset();
  ++conv_;
}

}  // namespace trefoil
