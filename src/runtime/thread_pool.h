// Threads that share one operation after another. An operation takes tens of microseconds, so handing it over
// must cost about one: the parts are bits of one atomic word, and a thread that has run out of work looks for
// more for a moment before it sleeps. The caller works too, and takes every part that nobody else has taken:
// threads that are late, busy elsewhere or never came only make it slower.
#pragma once

#include <atomic>
#include <cstdint>

#if !defined(__wasm__) || defined(__EMSCRIPTEN_PTHREADS__)
#define TREFOIL_STARTS_THREADS 1
#include <thread>
#else
#define TREFOIL_STARTS_THREADS 0
#endif

namespace trefoil {

class ThreadPool {
 public:
  static constexpr int kMostThreads = 16;
  static constexpr int kMostParts = 32;

  // threads: 1..kMostThreads, the one that calls run() included. Starts the others, as far as the system lets
  // it; where the library can't start any (WebAssembly), whoever has some sends them into serve().
  // may_block: false where the caller of run() must never sleep, as in a browser's window.
  explicit ThreadPool(int threads, bool may_block = true);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  // Calls work(part, thread) for all parts 0..parts - 1 (at most kMostParts) and returns when they are done.
  // thread: 0..threads() - 1, the caller's being 0; no two calls at the same time have the same. Allocates
  // nothing. Not for two callers at once. False: a thread has failed meanwhile, see fail().
  template <typename Work>
  [[nodiscard]] bool run(int parts, const Work& work) {
    if (parts <= 1 || threads_ == 1) {
      for (int part = 0; part < parts; ++part) work(part, 0);
      return true;
    }
    return share({[](const void* context, int part, int thread) {
                    (*static_cast<const Work*>(context))(part, thread);
                  },
                  &work},
                 parts);
  }

  // What thread 1..threads() - 1 does: works until the pool ends.
  void serve(int thread);

  // Thread 1..threads() - 1 has left serve() other than by returning: it trapped in a part, and works no
  // more. Whoever notices says so, for the caller would wait for that part for ever; run() returns false
  // once. Later parts are done by those that are left.
  void fail(int thread);

 private:
  struct Job {
    void (*call)(const void* context, int part, int thread) = nullptr;
    const void* context = nullptr;
  };
  bool share(const Job& job, int parts);
  void takeParts(int thread);
  void finishPart(int thread);
  void waitForOthers();
  bool newsSince(std::uint32_t seen) const { return news_.load(std::memory_order_acquire) != seen; }
  void announce();

  // Words that different threads write lie in different cache lines.
  alignas(64) std::atomic<std::uint32_t> open_{0};        // a bit for each part that nobody has taken
  Job job_;                                               // written while open_ and unfinished_ are 0
  alignas(64) std::atomic<std::uint32_t> unfinished_{0};  // parts
  alignas(64) std::atomic<std::uint32_t> news_{0};        // counts jobs, and the end
  std::atomic<std::uint32_t> sleeping_{0};                // threads
  std::atomic<bool> ended_{false};
  std::atomic<bool> failed_{false};
  std::atomic<bool> at_work_[kMostThreads] = {};  // in a part
  int threads_;
  bool may_block_;
#if TREFOIL_STARTS_THREADS
  std::thread started_[kMostThreads];
#endif
};

}  // namespace trefoil
