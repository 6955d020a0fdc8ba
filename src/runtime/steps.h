// A node of the model as a function on memory: kernel chosen, weights packed, constants in place.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"
#include "format/quant_model.h"
#include "kernels/variant.h"
#include "runtime/conv_kind.h"
#include "runtime/variants.h"

namespace trefoil {

// Where the values are while a network runs.
struct Memory {
  std::uint8_t* arena = nullptr;
  std::uint8_t* scratch = nullptr;       // of the thread that runs the part
  std::int32_t* accumulators = nullptr;  // result of the last node, where it yields accumulators
};

struct RunStep {
  std::function<void(const Memory&, Part)> run;  // one part; all of them may run at the same time
  std::string_view variant;                      // empty where the operation has none
  std::size_t packed_bytes = 0;                  // of weights
  std::size_t scratch_bytes = 0;                 // of each thread
  bool divides = true;                           // whether the work is worth dividing among threads
  std::optional<TunableConv> tunable;            // where several kernels could run it
};

// A node with the places of its inputs and its result within the arena.
struct StepInput {
  QNode* node = nullptr;  // must outlive the step; a convolution's weights are released
  std::span<const QNode* const> inputs;
  std::span<const std::size_t> input_offsets;
  std::size_t output_offset = 0;
  bool accumulators = false;
};

// For all operations but the input. Errors: kUnknownVariant, kOutOfMemory.
Result<RunStep> makeStep(const StepInput& input, const KernelWishes& wishes);

}  // namespace trefoil
