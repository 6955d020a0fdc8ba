// The prepared float graph as the steps of the integer program: what is one operation there is one step here.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "format/quant_model.h"
#include "graph/graph.h"
#include "quantize/calibration.h"
#include "quantize/layer_choice.h"

namespace trefoil {

enum class StepKind {
  kInput,
  kConv,
  kAdd,
  kMul,
  kRescale,
  kConcat,
  kMaxPool,
  kAveragePool,
  kLookup,
  kLrn,
  kPad,
  kSlice,
  kReshape
};

struct Step {
  StepKind kind = StepKind::kInput;
  std::string name;
  int node = 0;             // float node that the step computes, before a clamp that it took in
  int result = 0;           // float node whose values the step's grid must hold: `node`, or the clamp
  std::vector<int> inputs;  // steps
  Shape shape;
  // Real bounds of a ReLU or clip that the step took in.
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool gated =
      false;  // lookup: x * activation(x), the activation being node `node` (SiLU, hard-swish in parts)
  bool accumulators = false;  // the last step, where it yields integers before any grid
  Grid grid;                  // set by assignGrids()
};

struct Program {
  Graph graph;              // prepared
  std::vector<Step> steps;  // topological; the last one is the output
};

// Fuses clamps into the operations that can take them, gates into tables. Grids are not set yet.
Program buildProgram(Graph graph);

// Float nodes whose histograms assignGrids() needs, one flag a node.
std::vector<bool> histogramsNeeded(const Program& program);

// Chooses the grids of all steps; steps that pass values on unchanged (max pool, pad, slice, reshape, concat)
// share the grid of their inputs. Inserts rescaling steps in front of concatenations where sharing would cost
// too much. Errors: kUnsupportedOp where no grid can satisfy all steps.
Result<void> assignGrids(const Calibration& calibration, const std::vector<LayerChoice>& choices,
                         const Recipe& recipe, Program* program);

// Whether the steps pass values on as they are, on the grid of their input.
bool passesOn(StepKind kind);

// By step: the first of the steps that share its grid.
std::vector<int> gridSets(const Program& program);

// Steps that read each step.
std::vector<std::vector<int>> findReaders(const Program& program);

// The smallest number of pixels inside the image under any position of a pool's window.
std::int64_t windowArea(const Window& window);
std::int64_t fewestInside(const Window& window, const Shape& in, const Shape& out);

// The points of the step's grid between which its result is clamped.
struct ClampPoints {
  int low, high;
};
ClampPoints clampPoints(const Step& step);

}  // namespace trefoil
