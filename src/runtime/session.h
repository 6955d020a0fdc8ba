// Runs a QuantModel on integers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "format/packed_model.h"
#include "format/quant_model.h"
#include "image/image.h"

namespace trefoil {

// Kernels of convolutions as a Tuner found them, by ConvKind::key().
using KernelChoices = std::map<std::string, std::string>;

class ThreadPool;    // runtime/thread_pool.h
struct TunableConv;  // runtime/conv_kind.h

struct SessionOptions {
  // Forces kernels: operation ("ternary_conv", "int8_conv", "add", ...) to variant name ("scalar",
  // "g4_simd128", ...). The key "*" forces every operation that has a variant of this name. A layer that the
  // variant does not support makes create() fail with kUnknownVariant, as does a name that does not exist.
  std::map<std::string, std::string> variants;
  // Where nothing is forced: what to take instead of the table's first. It may come from anywhere: what does
  // not exist or does not support its layer is passed over.
  KernelChoices kernels = {};
  // Threads that run() works with, its caller included: 1..ThreadPool::kMostThreads, else kBadOption. The
  // result is the same for every number. Fewer are used where the system gives no more.
  int threads = 1;
  // Where given: the threads, in place of those that the session would start. Not for two sessions at once.
  std::shared_ptr<ThreadPool> pool = {};
};

struct LayerInfo {
  std::string name;              // node
  std::string operation;         // opName()
  std::string variant;           // kernel chosen, empty where the operation has no variants
  Shape shape;                   // of the result
  int input_bits = 8;            // of the first input's values
  std::int64_t macs = 0;         // multiply-accumulates of the dense layer
  std::size_t weight_bytes = 0;  // packed, in memory
};

// Milliseconds since any fixed moment, never falling. The library reads no clock: who wants times brings one.
using Clock = std::function<double()>;

// How long the parts of one run took, in milliseconds.
struct RunTimes {
  double input = 0;            // copying the planes to where the first layer takes them
  std::vector<double> layers;  // one a layer of Session::layers()
  double output = 0;           // the results to integers
};

struct Prediction {
  int index = 0;
  float score = 0;  // softmax probability
};

// Told of each layer's result as real numbers, in C, H, W order, of the last one the logits. `layer` counts
// as Session::layers() does; the values are valid only during the call.
using LayerObserver = std::function<void(std::size_t layer, std::span<const float> values)>;

// The kernel variants of every operation that has some, fastest first: what SessionOptions::variants may
// name.
std::map<std::string, std::vector<std::string>> variantNames();

// A planned network: kernels chosen, weights packed, memory reserved, threads started. Not for two callers at
// once. Running allocates nothing.
class Session {
 public:
  // Takes the model over and releases its weights once they are packed. The model must have passed
  // validateModel(). Errors: kUnknownVariant, kBadOption, kOutOfMemory.
  static Result<std::unique_ptr<Session>> create(QuantModel model, const SessionOptions& options = {});
  // The same with a model whose codes are unpacked one layer at a time, which takes the least memory. The
  // bytes that it was read from may go afterwards.
  static Result<std::unique_ptr<Session>> create(PackedModel model, const SessionOptions& options = {});
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const Metadata& metadata() const;
  Shape inputShape() const;
  int classCount() const;
  Preprocess preprocess() const;  // as the model states it
  const std::vector<LayerInfo>& layers() const;
  // Convolutions with a choice of kernels, alike ones once, for a Tuner.
  std::vector<TunableConv> tunable() const;
  std::size_t memoryBytes() const;  // packed weights and arena

  // planes: inputShape().size() bytes in C, H, W order. Returns classCount() integers L (see QuantModel),
  // valid until the next run. Errors: kBadImage (wrong size), kInternal (a thread failed; the next run may
  // well succeed).
  Result<std::span<const std::int32_t>> run(std::span<const std::uint8_t> planes);

  // The same, and how long each part took. It allocates only where `times` has not been used before.
  Result<std::span<const std::int32_t>> run(std::span<const std::uint8_t> planes, const Clock& clock,
                                            RunTimes* times);

  // The same in portions, for a caller that looks at something else in between: begin() copies the planes,
  // advance() runs layers until the last one, or until one ends at `until` of the clock or later. It returns
  // true with the last one; then integers() are those of run(). Another begin(), or a run, gives up what is
  // under way. An observer is for measuring, as its values are copied and allocated.
  Result<void> begin(std::span<const std::uint8_t> planes);
  Result<bool> advance(const Clock& clock, double until, const LayerObserver& observer = {});
  std::span<const std::int32_t> integers() const;

  int threads() const;

  // Real logits and softmax probabilities of integers from run().
  std::vector<float> logits(std::span<const std::int32_t> integers) const;
  static std::vector<float> softmax(std::span<const float> logits);
  // The k best classes, best first, ties by smaller index. k <= 0 or above classCount(): all.
  std::vector<Prediction> topK(std::span<const std::int32_t> integers, int k) const;

 private:
  friend class SessionBuilder;
  struct Impl;
  // Told of each part of a run that is done: 0, the input is in place; 1 and so on, the layers; then the
  // result.
  using PartEnded = std::function<void(std::size_t part)>;
  Result<std::span<const std::int32_t>> runParts(std::span<const std::uint8_t> planes,
                                                 const PartEnded& ended);
  Result<void> runLayer(std::size_t layer);
  void yieldIntegers();
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Session::create() in portions, for a caller that looks at something else in between.
class SessionBuilder {
 public:
  // The bytes that the model was read from must stay until the end. Errors: as of Session::create().
  static Result<std::unique_ptr<SessionBuilder>> begin(PackedModel model, const SessionOptions& options);

  // Makes layers ready until the last one, or until one is done at `until` of the clock or later. Null while
  // there is more to do; nothing may be asked of the builder afterwards, as after an error. Errors: as of
  // Session::create().
  Result<std::unique_ptr<Session>> advance(const Clock& clock, double until);
  ~SessionBuilder();

 private:
  struct Impl;
  explicit SessionBuilder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace trefoil
