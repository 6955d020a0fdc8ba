#include "runtime/session.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "kernels/move/move.h"
#include "runtime/conv_kind.h"
#include "runtime/plan.h"
#include "runtime/thread_pool.h"
#include "runtime/variants.h"

namespace trefoil {

struct Session::Impl {
  Plan plan;
  Metadata metadata;
  bool output_accumulators = true;
  std::vector<float> logit_scales, logit_offsets;
  AlignedBuffer arena, scratch;
  AlignedBuffer results;  // int32, one a class
  AlignedBuffer dense;    // the last node's q without gaps; empty where it yields accumulators
  std::shared_ptr<ThreadPool> pool;
  std::size_t next_layer = 0;  // of the run that advance() goes on with

  std::size_t classCount() const { return logit_scales.size(); }
  std::int32_t* resultIntegers() { return reinterpret_cast<std::int32_t*>(results.data()); }

  // Of a node whose result lies in the arena.
  std::vector<float> layerValues(std::size_t node_index) const {
    const QNode& node = plan.nodes[node_index];
    std::vector<std::uint8_t> levels(static_cast<std::size_t>(node.shape.size()));
    copyPlanes(planeLayout(node.shape), arena.data() + plan.offsets[node_index], denseLayout(node.shape),
               levels.data(), levels.size());
    std::vector<float> values(levels.size());
    std::transform(levels.begin(), levels.end(), values.begin(), [&](std::uint8_t level) {
      return node.grid.scale * static_cast<float>(level - node.grid.zero_point);
    });
    return values;
  }

  // Of one thread; no two share a cache line.
  std::size_t scratchStride() const { return plan.scratch_bytes / 64 * 64 + 2 * kSlackBytes; }

  // Whether no thread failed.
  bool runStep(const RunStep& step) {
    const Memory memory{arena.data(), scratch.data(), resultIntegers()};
    const int parts = step.divides ? pool->threads() : 1;
    return pool->run(parts, [&](int part, int thread) {
      Memory own = memory;
      own.scratch += static_cast<std::size_t>(thread) * scratchStride();
      step.run(own, Part{part, parts});
    });
  }

  Result<void> reserve(int threads) {
    const std::size_t scratch_bytes = scratchStride() * static_cast<std::size_t>(threads);
    arena = AlignedBuffer(plan.arena_bytes);
    scratch = AlignedBuffer(scratch_bytes);
    results = AlignedBuffer(classCount() * sizeof(std::int32_t));
    dense = AlignedBuffer(output_accumulators ? 0 : classCount());
    if (!arena.data() || !scratch.data() || !results.data() || !dense.data()) {
      return makeError(ErrorCode::kOutOfMemory, "the network needs " +
                                                    std::to_string(plan.arena_bytes + scratch_bytes) +
                                                    " bytes for its activations, which could not be had");
    }
    // Gaps between planes may hold any value; let it be the same one in every run.
    std::memset(arena.data(), 0, arena.size() + kSlackBytes);
    std::memset(scratch.data(), 0, scratch.size() + kSlackBytes);
    return {};
  }
};

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::create(QuantModel model, const SessionOptions& options) {
  return create(PackedModel{std::move(model), {}, nullptr}, options);
}

Result<std::unique_ptr<Session>> Session::create(PackedModel model, const SessionOptions& options) {
  auto builder = SessionBuilder::begin(std::move(model), options);
  if (!builder) return builder.error();
  return (*builder)->advance([] { return 0.0; }, 1);
}

struct SessionBuilder::Impl {
  PackedModel packed;  // its model is taken apart
  SessionOptions options;
  Planner planner;
  std::unique_ptr<Session::Impl> session;
};

SessionBuilder::SessionBuilder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SessionBuilder::~SessionBuilder() = default;

Result<std::unique_ptr<SessionBuilder>> SessionBuilder::begin(PackedModel packed,
                                                              const SessionOptions& options) {
  if (options.threads < 1 || options.threads > ThreadPool::kMostThreads) {
    return makeError(ErrorCode::kBadOption, "threads must be 1 to " +
                                                std::to_string(ThreadPool::kMostThreads) + ", not " +
                                                std::to_string(options.threads));
  }
  TREFOIL_RETURN_IF_ERROR(checkForcedVariants(options.variants));
  QuantModel& model = packed.model;
  auto session = std::make_unique<Session::Impl>();
  session->metadata = std::move(model.metadata);
  session->output_accumulators = model.output_accumulators;
  session->logit_scales = std::move(model.logit_scales);
  session->logit_offsets = std::move(model.logit_offsets);
  auto planner = Planner::begin(std::move(model.nodes), model.output_accumulators);
  if (!planner) return planner.error();
  auto impl = std::make_unique<Impl>(
      Impl{std::move(packed), options, std::move(planner).value(), std::move(session)});
  return std::unique_ptr<SessionBuilder>(new SessionBuilder(std::move(impl)));
}

Result<std::unique_ptr<Session>> SessionBuilder::advance(const Clock& clock, double until) {
  Impl& impl = *impl_;
  // A model that is not packed has its codes in its nodes.
  const PackedModel* packed = impl.packed.codes.empty() ? nullptr : &impl.packed;
  while (!impl.planner.done()) {
    TREFOIL_RETURN_IF_ERROR(impl.planner.step({impl.options.variants, impl.options.kernels}, packed));
    if (!impl.planner.done() && clock() >= until) return std::unique_ptr<Session>();
  }
  Session::Impl& session = *impl.session;
  session.plan = impl.planner.take();
  session.pool = impl.options.pool ? impl.options.pool : std::make_shared<ThreadPool>(impl.options.threads);
  TREFOIL_RETURN_IF_ERROR(session.reserve(session.pool->threads()));
  return std::unique_ptr<Session>(new Session(std::move(impl.session)));
}

const Metadata& Session::metadata() const { return impl_->metadata; }
Shape Session::inputShape() const { return impl_->plan.nodes.front().shape; }
int Session::classCount() const { return static_cast<int>(impl_->classCount()); }
const std::vector<LayerInfo>& Session::layers() const { return impl_->plan.layers; }

std::vector<TunableConv> Session::tunable() const {
  std::vector<TunableConv> convs;
  std::map<std::string, std::size_t> places;
  for (const RunStep& step : impl_->plan.steps) {
    if (!step.tunable) continue;
    const auto [place, is_new] = places.emplace(step.tunable->kind.key(), convs.size());
    if (is_new)
      convs.push_back(*step.tunable);
    else
      ++convs[place->second].layers;
  }
  return convs;
}

Preprocess Session::preprocess() const {
  Preprocess preprocess;
  preprocess.resize = impl_->metadata.resize;
  preprocess.crop_height = inputShape().height;
  preprocess.crop_width = inputShape().width;
  const std::vector<std::uint8_t>& bars = impl_->metadata.letterbox;
  preprocess.letterbox = !bars.empty();
  std::copy(bars.begin(), bars.end(), preprocess.bars);
  preprocess.bgr = impl_->metadata.bgr;
  std::copy_n(impl_->metadata.mean, 3, preprocess.mean);
  std::copy_n(impl_->metadata.std, 3, preprocess.std);
  return preprocess;
}

int Session::threads() const { return impl_->pool->threads(); }

std::size_t Session::memoryBytes() const {
  return impl_->plan.packed_bytes + impl_->arena.size() + impl_->scratch.size() + impl_->results.size() +
         impl_->dense.size();
}

Result<std::span<const std::int32_t>> Session::run(std::span<const std::uint8_t> planes) {
  return runParts(planes, {});
}

Result<std::span<const std::int32_t>> Session::run(std::span<const std::uint8_t> planes, const Clock& clock,
                                                   RunTimes* times) {
  struct Laps {
    const Clock& clock;
    RunTimes& times;
    double last;
    void end(std::size_t part) {
      const double now = clock();
      double& lap = part == 0                    ? times.input
                    : part > times.layers.size() ? times.output
                                                 : times.layers[part - 1];
      lap = now - last;
      last = now;
    }
  } laps{clock, *times, 0};
  times->layers.resize(impl_->plan.steps.size());
  laps.last = clock();
  return runParts(planes, [&laps](std::size_t part) { laps.end(part); });
}

Result<std::span<const std::int32_t>> Session::runParts(std::span<const std::uint8_t> planes,
                                                        const PartEnded& ended) {
  const std::size_t layers = impl_->plan.steps.size();
  TREFOIL_RETURN_IF_ERROR(begin(planes));
  impl_->next_layer = layers;  // nothing for advance()
  if (ended) ended(0);
  for (std::size_t i = 0; i < layers; ++i) {
    TREFOIL_RETURN_IF_ERROR(runLayer(i));
    if (ended) ended(i + 1);
  }
  yieldIntegers();
  if (ended) ended(layers + 1);
  return integers();
}

Result<void> Session::begin(std::span<const std::uint8_t> planes) {
  const Shape shape = inputShape();
  const auto count = static_cast<std::size_t>(shape.size());
  if (planes.size() != count) {
    return makeError(ErrorCode::kBadImage,
                     "the network takes " + std::to_string(shape.channels) + " planes of " +
                         std::to_string(shape.width) + "x" + std::to_string(shape.height) + " bytes, " +
                         std::to_string(count) + " in all; got " + std::to_string(planes.size()));
  }
  copyPlanes(denseLayout(shape), planes.data(), planeLayout(shape),
             impl_->arena.data() + impl_->plan.input_offset, count);
  impl_->next_layer = 0;
  return {};
}

Result<bool> Session::advance(const Clock& clock, double until, const LayerObserver& observer) {
  const std::size_t layers = impl_->plan.steps.size();
  // Accumulators, where the last layer yields them, become logits once they are complete.
  const std::size_t in_arena = impl_->output_accumulators ? layers - 1 : layers;
  while (impl_->next_layer < layers) {
    const std::size_t layer = impl_->next_layer;
    TREFOIL_RETURN_IF_ERROR(runLayer(layer));
    if (observer && layer < in_arena) observer(layer, impl_->layerValues(layer + 1));
    if (++impl_->next_layer < layers && clock() >= until) return false;
  }
  yieldIntegers();
  if (observer && in_arena < layers) observer(layers - 1, logits(integers()));
  return true;
}

std::span<const std::int32_t> Session::integers() const {
  return {impl_->resultIntegers(), impl_->classCount()};
}

Result<void> Session::runLayer(std::size_t layer) {
  if (impl_->runStep(impl_->plan.steps[layer])) return {};
  return makeError(ErrorCode::kInternal, "a thread failed in layer '" + impl_->plan.layers[layer].name +
                                             "'. Please report this as a bug.");
}

void Session::yieldIntegers() {
  if (impl_->output_accumulators) return;
  const std::span<std::int32_t> results(impl_->resultIntegers(), impl_->classCount());
  const QNode& last = impl_->plan.nodes.back();
  copyPlanes(planeLayout(last.shape), impl_->arena.data() + impl_->plan.output_offset,
             denseLayout(last.shape), impl_->dense.data(), results.size());
  for (std::size_t i = 0; i < results.size(); ++i) results[i] = impl_->dense.data()[i] - last.grid.zero_point;
}

std::vector<float> Session::logits(std::span<const std::int32_t> integers) const {
  std::vector<float> logits(std::min(integers.size(), impl_->classCount()));
  for (std::size_t i = 0; i < logits.size(); ++i) {
    // Finite in double; kept finite as a float, so that comparing and subtracting stay meaningful.
    const double logit = double{impl_->logit_scales[i]} * integers[i] + impl_->logit_offsets[i];
    constexpr double kLargest = std::numeric_limits<float>::max();
    logits[i] = static_cast<float>(std::clamp(logit, -kLargest, kLargest));
  }
  return logits;
}

std::vector<float> Session::softmax(std::span<const float> logits) {
  std::vector<float> scores(logits.size());
  if (logits.empty()) return scores;
  const double largest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> powers(logits.size());
  double sum = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) sum += powers[i] = std::exp(logits[i] - largest);
  for (std::size_t i = 0; i < logits.size(); ++i) scores[i] = static_cast<float>(powers[i] / sum);
  return scores;
}

std::vector<Prediction> Session::topK(std::span<const std::int32_t> integers, int k) const {
  const std::vector<float> values = logits(integers);
  const std::vector<float> scores = softmax(values);
  const int classes = static_cast<int>(values.size());
  const int count = k <= 0 || k > classes ? classes : k;
  std::vector<int> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + count, order.end(), [&](int a, int b) {
    const float x = values[static_cast<std::size_t>(a)];
    const float y = values[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  });
  std::vector<Prediction> best;
  for (int i = 0; i < count; ++i) best.push_back({order[i], scores[static_cast<std::size_t>(order[i])]});
  return best;
}

}  // namespace trefoil
