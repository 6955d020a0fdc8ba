// What the speed of a convolution's kernels depends on. Layers that agree in it are alike for the tuner.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ternary.h"
#include "kernels/conv.h"

namespace trefoil {

struct ConvKind {
  Shape in, out;
  Window window;
  int groups = 1;
  int input_max = 255;
  bool accumulators = false;
  bool ternary = true;  // else int8, and what follows has no meaning
  int group_size = 4;
  int planes = 1;
  bool two_sided = false;
  int levels = 0;         // scales of a filter: 1, up to 4, up to 16, or 0: more
  int zero_quarters = 2;  // codes that are zero, in quarters of all

  // The kind as text, for remembering: the same one in every version that knows the same differences.
  std::string key() const;
  std::int64_t macs() const;
  std::size_t weights() const;
  // Whether a sample of it is of a reasonable size, and its sums surely fit 32 bits.
  bool canBeSampled() const;
};

// Looks at a sample of the weights only, so that it costs next to nothing.
ConvKind convKind(const ConvTask& task, const TernaryWeights& weights);
ConvKind convKind(const ConvTask& task, std::span<const std::int8_t> weights);

// Convolutions of one kind within a network, and the kernels that one of them could have.
struct TunableConv {
  ConvKind kind;
  std::vector<std::string_view> candidates;  // in the order of the table of variants
  int layers = 1;
};

// A convolution of a kind with weights of no meaning, to be timed.
class SampleConv {
 public:
  explicit SampleConv(const ConvKind& kind);
  SampleConv(const SampleConv&) = delete;
  SampleConv& operator=(const SampleConv&) = delete;

  const ConvTask& task() const { return task_; }
  const TernaryWeights& ternary() const { return ternary_; }
  std::span<const std::int8_t> int8() const { return int8_; }

 private:
  ConvTask task_;
  std::vector<std::uint8_t> pad_values_;
  std::vector<std::int32_t> bias_;
  std::vector<FixedPoint> factors_;
  TernaryWeights ternary_;
  std::vector<std::int8_t> int8_;
};

}  // namespace trefoil
