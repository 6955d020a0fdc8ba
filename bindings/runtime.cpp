// The runtime module: reads one .trefoil model and runs it. An instance of the module holds one model;
// TypeScript gives every model an instance of its own, so that disposing of a model gives all of its memory
// back.
#include <emscripten.h>
#include <emscripten/bind.h>

#include <optional>

#include "format/first_planes.h"
#include "format/packed_model.h"
#include "runtime/profile.h"
#include "runtime/session.h"
#include "runtime/thread_pool.h"
#include "runtime/tuner.h"
#include "thread_entry.h"
#include "values.h"

using emscripten::val;

// All that Embind prints are names of types in errors that bindings without any type of their own never make:
// not worth the 2 KB of the C library's.
extern "C" int siprintf(char* to, const char* /*format*/, ...) {
  *to = '\0';
  return 0;
}

namespace trefoil::bindings {
namespace {

std::unique_ptr<Session> session;
std::unique_ptr<Tuner> tuner;
std::shared_ptr<ThreadPool> pool;  // of every session; null: one thread

Error noModel() { return makeError(ErrorCode::kBadOption, "no model is loaded"); }

val layerOut(const LayerInfo& layer) {
  auto fields = val::object();
  fields.set("name", layer.name);
  fields.set("operation", layer.operation);
  fields.set("variant", layer.variant);
  fields.set("shape", shapeOut(layer.shape));
  fields.set("inputBits", layer.input_bits);
  fields.set("macs", static_cast<double>(layer.macs));
  fields.set("macsPerLoad", macsPerLoad(layer));
  fields.set("weightBytes", layer.weight_bytes);
  return fields;
}

int planes_in_use = 0;

val infoOut(const Session& loaded) {
  const Metadata& metadata = loaded.metadata();
  auto info = val::object();
  info.set("name", metadata.name);
  info.set("labels", stringsOut(metadata.labels));
  info.set("recipe", metadata.recipe);
  info.set("provenance", metadata.provenance);
  info.set("inputShape", shapeOut(loaded.inputShape()));
  info.set("classes", loaded.classCount());
  info.set("preprocess", preprocessOut(loaded.preprocess()));
  info.set("layers", arrayOf(loaded.layers(), layerOut));
  info.set("planes", planes_in_use);
  info.set("memoryBytes", loaded.memoryBytes());
  info.set("threads", loaded.threads());
  return info;
}

// A list of names and values in turn.
std::map<std::string, std::string> pairsIn(const val& list) {
  std::map<std::string, std::string> pairs;
  const auto names = emscripten::vecFromJSArray<std::string>(list);
  for (std::size_t i = 0; i + 1 < names.size(); i += 2) pairs[names[i]] = names[i + 1];
  return pairs;
}

// A model on its way to be a session.
struct Loading {
  Bytes file;
  std::unique_ptr<SessionBuilder> builder;
  int planes;
};

std::optional<Loading> loading;

// Of the run under way: [{ name, values }], where the layers' results are wanted.
std::optional<val> layer_values;

void unload() {
  loading.reset();
  tuner.reset();
  layer_values.reset();
  session.reset();
}

// variants: operation and variant name in turn, one pair after the other. kernels: the same for kinds of
// convolutions, as tune() found them at another time. planes: see readModel(). The session at work stays
// until the new one is complete.
val beginLoad(const val& file, const val& variants, const val& kernels, int planes) {
  loading.reset();
  auto bytes = copyIn(file);
  if (!bytes) return failure(bytes.error());
  auto model = readPackedModel(bytes->bytes(), planes);
  if (!model) return failure(model.error());

  SessionOptions options;
  options.variants = pairsIn(variants);
  options.kernels = pairsIn(kernels);
  options.pool = pool;
  const int in_use = hasSecondPlanes(model->model) ? 2 : 1;
  auto builder = SessionBuilder::begin(std::move(model).value(), options);
  if (!builder) return failure(builder.error());
  loading = Loading{std::move(bytes).value(), std::move(builder).value(), in_use};
  return success(val::undefined());
}

// Goes on with what has begun for so many milliseconds, and a layer at least. Undefined while there is more
// to do, in the end what infoOut() says.
val advanceLoad(double milliseconds) {
  if (!loading) return failure(noModel());
  auto created = loading->builder->advance(emscripten_get_now, emscripten_get_now() + milliseconds);
  if (created && !*created) return success(val::undefined());
  const int planes = loading->planes;
  loading.reset();
  if (!created) return failure(created.error());
  session = std::move(created).value();
  planes_in_use = planes;
  return success(infoOut(*session));
}

// The network's input as it sees it: planes of bytes, in channels, rows, columns.
val planes(const val& pixels, int width, int height, int channels) {
  if (!session) return failure(noModel());
  const auto input = planesOf(pixels, width, height, channels, session->preprocess(), session->inputShape());
  return input ? success(copyOut(std::span(*input))) : failure(input.error());
}

// { integers, logits, indices, scores }: all outputs of the last run, and the best `top_k` classes.
val outputsOut(int top_k) {
  const auto integers = session->integers();
  const std::vector<float> logits = session->logits(integers);
  const std::vector<Prediction> best = session->topK(integers, top_k);
  auto fields = val::object();
  fields.set("integers", copyOut(integers));
  fields.set("logits", copyOut(std::span<const float>(logits)));
  fields.set("indices", arrayOf(best, [](const Prediction& prediction) { return prediction.index; }));
  fields.set("scores", arrayOf(best, [](const Prediction& prediction) { return prediction.score; }));
  return fields;
}

val begun(std::span<const std::uint8_t> input) {
  layer_values.reset();
  const auto done = session->begin(input);
  return done ? success(val::undefined()) : failure(done.error());
}

// Begins a run of a picture.
val begin(const val& pixels, int width, int height, int channels) {
  if (!session) return failure(noModel());
  const auto input = planesOf(pixels, width, height, channels, session->preprocess(), session->inputShape());
  return input ? begun(*input) : failure(input.error());
}

val beginPlanes(const val& planes) {
  if (!session) return failure(noModel());
  const auto input = copyIn(planes);
  return input ? begun(input->span()) : failure(input.error());
}

// The same for every layer's result as real numbers: advance() then ends with [{ name, values }].
val beginLayers(const val& pixels, int width, int height, int channels) {
  const val reply = begin(pixels, width, height, channels);
  if (!reply.hasOwnProperty("error")) layer_values = val::array();
  return reply;
}

// Goes on with the run for so many milliseconds, and a layer at least. Undefined while there
// is more to do, in the end what outputsOut() or beginLayers() says.
val advance(double milliseconds, int top_k) {
  if (!session) return failure(noModel());
  const LayerObserver push = [](std::size_t layer, std::span<const float> values) {
    layer_values->call<void>("push", layerValuesOut(session->layers()[layer].name, values));
  };
  const auto done = session->advance(emscripten_get_now, emscripten_get_now() + milliseconds,
                                     layer_values ? push : LayerObserver());
  if (!done) return failure(done.error());
  if (!*done) return success(val::undefined());
  if (!layer_values) return success(outputsOut(top_k));
  const val values = *layer_values;
  layer_values.reset();
  return success(values);
}

// { runs, layers }: milliseconds of each run of a picture of noise, and of each layer's fastest time if
// `layers`.
val profile(int runs, bool layers) {
  if (!session) return failure(noModel());
  std::vector<std::uint8_t> noise(static_cast<std::size_t>(session->inputShape().size()));
  std::uint32_t state = 1;
  for (std::uint8_t& byte : noise) {
    state = state * 1664525 + 1013904223;  // Numerical Recipes' generator
    byte = static_cast<std::uint8_t>(state >> 24);
  }
  const auto measured = profileRuns(*session, noise, runs, layers, emscripten_get_now);
  if (!measured) return failure(measured.error());
  auto fields = val::object();
  fields.set("runs", copyOut(std::span<const double>(measured->runs)));
  fields.set("layers", copyOut(std::span<const double>(measured->layers)));
  return success(fields);
}

// Begins to time kernels, but for kinds of convolutions whose kernel is known: a list as of load(). Returns
// how many kinds there are to choose for.
val startTuning(double budget, const val& kernels) {
  if (!session) return failure(noModel());
  const KernelChoices known = pairsIn(kernels);
  std::vector<TunableConv> convs = session->tunable();
  std::erase_if(convs, [&](const TunableConv& conv) {
    const auto found = known.find(conv.kind.key());
    return found != known.end() &&
           std::find(conv.candidates.begin(), conv.candidates.end(), found->second) != conv.candidates.end();
  });
  const std::size_t count = convs.size();
  tuner = std::make_unique<Tuner>(std::move(convs), budget, emscripten_get_now);
  tuner->warmUp();
  return success(count);
}

// Goes on for some milliseconds: { done, kernels, milliseconds, leftOut }.
val tune(double milliseconds) {
  if (!tuner) return failure(noModel());
  auto fields = val::object();
  const bool more = tuner->work(milliseconds);
  auto kernels = val::array();
  for (const auto& [kind, name] : tuner->choices()) {
    kernels.call<void>("push", kind);
    kernels.call<void>("push", name);
  }
  fields.set("done", !more);
  fields.set("kernels", kernels);
  fields.set("milliseconds", tuner->spent());
  fields.set("leftOut", tuner->leftOut());
  if (!more) tuner.reset();
  return success(fields);
}

// Loads of 16 bytes, each with an addition, in a nanosecond.
double loadRate(double milliseconds) { return measureLoadRate(milliseconds, emscripten_get_now); }

#if defined(__wasm_atomics__)
// Before the first load, and once. Returns { entry, stacks } for threads 1, 2, ...: see thread_entry.h.
val prepareThreads(int threads, bool may_block) {
  const auto stacks = reserveStacks(threads - 1);
  if (!stacks) return failure(stacks.error());
  pool = std::make_shared<ThreadPool>(threads, may_block);
  auto fields = val::object();
  fields.set("entry", threadEntry());
  fields.set("stacks", arrayOf(*stacks, [](std::uintptr_t stack) { return stack; }));
  return success(fields);
}
#endif

}  // namespace

EMSCRIPTEN_BINDINGS(trefoil_runtime) {
#if defined(__wasm_atomics__)
  emscripten::function("prepareThreads", &prepareThreads);
#endif
  emscripten::function("beginLoad", &beginLoad);
  emscripten::function("advanceLoad", &advanceLoad);
  emscripten::function("unload", &unload);
  emscripten::function("loadRate", &loadRate);
  emscripten::function("startTuning", &startTuning);
  emscripten::function("tune", &tune);
  emscripten::function("planes", &planes);
  emscripten::function("profile", &profile);
  emscripten::function("beginLayers", &beginLayers);
  emscripten::function("begin", &begin);
  emscripten::function("beginPlanes", &beginPlanes);
  emscripten::function("advance", &advance);
}

#if defined(__wasm_atomics__)
void servePool(int thread) { thread > 0 ? pool->serve(thread) : pool->fail(-thread); }
#endif

}  // namespace trefoil::bindings
