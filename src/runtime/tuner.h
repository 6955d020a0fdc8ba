// Finds the fastest kernels on this machine by timing them, in a bounded time. All kernels give the same
// integers, so that the choice never changes an answer.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "runtime/conv_kind.h"
#include "runtime/session.h"

namespace trefoil {

// Which of the candidates to take for its time (infinite: it could not be timed): the first, unless another
// one is faster by more than noise.
std::size_t fasterThanFirst(std::span<const double> times);

class Tuner {
 public:
  // budget: milliseconds that all calls together may take, but for the one piece of work during which it
  // ends. Convolutions that it does not reach are left out; those with most to compute in the network come
  // first.
  Tuner(std::vector<TunableConv> convs, double budget, Clock clock);
  ~Tuner();
  Tuner(const Tuner&) = delete;
  Tuner& operator=(const Tuner&) = delete;

  // Runs every kernel for a moment, so that an engine which compiles the code that it finds busy, as browsers
  // do, begins to. Some time should pass before work() is called.
  void warmUp();

  // Works for about `milliseconds`, on one kernel of one convolution at least. Returns false where nothing is
  // left to do. Memory is needed for one convolution and one kernel at a time.
  bool work(double milliseconds);

  // Of all convolutions that were timed. A machine that is busy for a moment makes any kernel look slow:
  // before another one is preferred, the first is timed a second time.
  const KernelChoices& choices() const { return choices_; }
  double spent() const { return spent_; }  // milliseconds
  int leftOut() const { return left_out_; }

 private:
  struct Bench;  // a sample convolution with its data

  double remaining(double since) const { return budget_ - spent_ - (clock_() - since); }
  double expected(const TunableConv& conv) const;
  bool findSampleTime();
  void step(double since);
  void finishConv();
  void leaveOut();
  void nextConv();

  Clock clock_;
  double budget_, spent_ = 0;
  double sample_time_ = 0;          // shortest time that this clock measures well; 0: not yet known
  std::vector<TunableConv> convs_;  // by falling work
  std::size_t conv_ = 0;            // at work
  std::unique_ptr<Bench> bench_;    // its data
  std::vector<double> times_;       // of its candidates so far, milliseconds
  double ms_a_weight_ = 1.5e-5;     // packing; foreseen, and then as it was last
  double ms_a_mac_ = 5e-8;          // running
  bool again_ = false;              // the first candidate is timed once more
  int left_out_ = 0;
  KernelChoices choices_;
};

}  // namespace trefoil
