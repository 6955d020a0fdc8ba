// Trefoil: ternary networks with fine-grained scales, quantized and run on integers. This header is the
// manual of the C++ library; the headers that it includes hold the declarations, each with the details that
// matter to its caller.
//
// Link trefoil::runtime to run models, or trefoil::quantizer to make them as well.
//
//   #include "trefoil.h"
//
//   // Run a model that somebody quantized.
//   auto model = trefoil::readModel(file_bytes);                     // Result<QuantModel>
//   if (!model) return report(model.error().message);
//   auto created = trefoil::Session::create(std::move(*model));      // Result<std::unique_ptr<Session>>
//   if (!created) return report(created.error().message);
//   trefoil::Session& session = **created;
//   auto planes = trefoil::toPlanes({rgba, width, height, 4}, session.preprocess());
//   if (!planes) return report(planes.error().message);              // Result<std::vector<std::uint8_t>>
//   auto integers = session.run(*planes);                            // Result<std::span<const std::int32_t>>
//   for (const trefoil::Prediction& best : session.topK(*integers, 5)) show(best.index, best.score);
//
//   // Quantize a network.
//   auto graph = trefoil::readOnnx(onnx_bytes);                      // Result<Graph>
//   trefoil::QuantizeInput input{std::move(*graph), images};         // planes from toPlanes()
//   auto quantized = trefoil::quantize(std::move(input), progress);  // Result<Quantized>
//   auto bytes = trefoil::writeModel(quantized->model);              // Result<std::vector<std::byte>>
//
// What holds everywhere
//
// Errors are values. A function that can fail returns Result<T>: test it like a pointer, read the value with
// * or ->, or error().code (stable, see errorCodeName()) and error().message (says what to do). Nothing here
// prints, aborts, exits or reads files, time or random numbers. What
// trefoil::runtime links needs no C++ exceptions.
//
// Bytes from outside may be hostile: readModel(), readOnnx() and toPlanes() accept any bytes and sizes, and
// end with an error where those are no good. What they return satisfies validateModel() or validateGraph(),
// which functions further on rely on.
//
// Shapes are those of one image: channels, rows, columns (base/shape.h). Image data is u8, plane after plane
// (C, H, W), without gaps. A fully connected layer is a 1x1 convolution over {features, 1, 1}.
//
// The integer part is exact: the same model and planes give the same integers with every kernel, in every
// engine and on every machine. The kernel is therefore free to choose and can be forced (SessionOptions), and
// models can be compared by hash. Quantizing is deterministic too: equal inputs make equal bytes, in every
// WebAssembly engine.
//
// Threads: functions share no state. One Session belongs to one thread at a time; several sessions may run at
// once.
//
// Units: MACs are multiply-accumulates of the dense layer; sizes are bytes; fractions and shares are 0..1;
// scores are softmax probabilities.
//
// Part by part
//
//   base/result.h       Result, Error, ErrorCode, errorCodeName()
//   base/shape.h        Shape, Window, and the limits that every reader enforces
//   base/progress.h     Progress: told how far long work is; returns false to cancel it
//   image/image.h       toPlanes()      pixels -> u8 planes of the network's size. Safe for untrusted sizes.
//                       normalize()     planes -> floats, as the float network takes them
//   format/format.h     readModel()     .trefoil bytes -> QuantModel. Safe for untrusted input.
//                       writeModel()    QuantModel -> .trefoil bytes, the same ones everywhere
//   format/sections.h   readSections()  how much of a file holds the network of the first planes
//   format/packed_model.h               readPackedModel(): readModel() for a Session, with less memory
//   format/quant_model.h                QuantModel: the integer program itself; validateModel()
//   runtime/session.h   Session         a model made ready to run; run(), topK(), layers(), memoryBytes()
//                       variantNames()  kernels that exist, by operation
//                       SessionBuilder  makes a Session in portions
//   runtime/tuner.h     Tuner           finds the fastest kernels here, for SessionOptions::kernels
//   runtime/profile.h   profileRuns()   where the time goes, with the caller's clock
//   onnx/onnx_reader.h  readOnnx()      ONNX bytes -> Graph. Safe for untrusted input.
//                       OnnxReading     the same in portions
//   graph/graph.h       Graph: the float network; validateGraph(), countMacs()
//   graph/float_eval.h  evaluate()      one image through the float network
//                       Evaluation      the same in portions
//   passes/passes.h     simplify()      folds batch norms, drops identities; quantize() calls it
//   quantize/recipe.h   Recipe: what to quantize how, by layer if need be; recipeJson()
//   quantize/quantize.h quantize()      Graph + images + Recipe -> QuantModel + Report; reportJson()
#pragma once

#include "base/progress.h"
#include "base/result.h"
#include "base/shape.h"
#include "format/format.h"
#include "format/packed_model.h"
#include "format/quant_model.h"
#include "graph/float_eval.h"
#include "graph/graph.h"
#include "image/image.h"
#include "onnx/onnx_reader.h"
#include "passes/passes.h"
#include "quantize/quantize.h"
#include "quantize/recipe.h"
#include "runtime/profile.h"
#include "runtime/session.h"
#include "runtime/tuner.h"
