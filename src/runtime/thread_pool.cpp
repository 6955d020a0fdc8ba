#include "runtime/thread_pool.h"

#include <algorithm>
#include <bit>

#if TREFOIL_STARTS_THREADS
#include <system_error>
#endif

namespace trefoil {
namespace {

// Looks at a word before sleeping: for some twenty microseconds, longer than from one operation to the next.
#if defined(__wasm__)
constexpr int kLooks = 20000;
#else
constexpr int kLooks = 500;  // a pause takes up to 140 cycles
#endif

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Sleeps while `word` is `value`, at most until wakeAll().
void sleepWhile(const std::atomic<std::uint32_t>& word, std::uint32_t value) {
#if TREFOIL_STARTS_THREADS
  word.wait(value, std::memory_order_acquire);
#elif defined(__wasm_atomics__)
  // libc++ would poll.
  auto* address = reinterpret_cast<int*>(const_cast<std::atomic<std::uint32_t>*>(&word));
  __builtin_wasm_memory_atomic_wait32(address, static_cast<int>(value), -1);
#else
  static_cast<void>(word);
  static_cast<void>(value);
#endif
}

void wakeAll(std::atomic<std::uint32_t>& word) {
#if TREFOIL_STARTS_THREADS
  word.notify_all();
#elif defined(__wasm_atomics__)
  __builtin_wasm_memory_atomic_notify(reinterpret_cast<int*>(&word), ~0u);
#else
  static_cast<void>(word);
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads, bool may_block)
    : threads_(std::clamp(threads, 1, kMostThreads)), may_block_(may_block) {
#if TREFOIL_STARTS_THREADS
  try {
    for (int i = 1; i < threads_; ++i) started_[i] = std::thread([this, i] { serve(i); });
  } catch (const std::system_error&) {  // too many threads: those that there are will do
  }
#endif
}

ThreadPool::~ThreadPool() {
  ended_.store(true, std::memory_order_relaxed);
  announce();
#if TREFOIL_STARTS_THREADS
  for (std::thread& thread : started_) {
    if (thread.joinable()) thread.join();
  }
#endif
}

// A thread that goes to sleep first counts itself, then looks for news once more; so either it sees the news,
// or it is seen here. That needs the single order of all these operations which seq_cst gives.
void ThreadPool::announce() {
  news_.fetch_add(1, std::memory_order_seq_cst);
  if (sleeping_.load(std::memory_order_seq_cst) > 0) wakeAll(news_);
}

bool ThreadPool::share(const Job& job, int parts) {
  job_ = job;
  unfinished_.store(static_cast<std::uint32_t>(parts), std::memory_order_relaxed);
  open_.store(~std::uint32_t{0} >> (kMostParts - parts), std::memory_order_release);
  announce();
  takeParts(0);
  waitForOthers();
  return !failed_.exchange(false, std::memory_order_relaxed);
}

// A part that was taken belongs to the present job, for that can't end before the part does. So job_ is read
// only then.
void ThreadPool::takeParts(int thread) {
  std::uint32_t open = open_.load(std::memory_order_relaxed);
  while (open != 0) {
    // The same thread takes the same part of each operation if it can: the data may be in its cache.
    const std::uint32_t own = std::uint32_t{1} << thread;
    const std::uint32_t part = open & own ? own : open & (~open + 1);
    if (!open_.compare_exchange_weak(open, open & ~part, std::memory_order_acquire,
                                     std::memory_order_relaxed)) {
      continue;
    }
    at_work_[thread].store(true, std::memory_order_relaxed);
    job_.call(job_.context, std::countr_zero(part), thread);
    finishPart(thread);
    open = open_.load(std::memory_order_relaxed);
  }
}

void ThreadPool::finishPart(int thread) {
  if (!at_work_[thread].exchange(false, std::memory_order_relaxed)) return;
  if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1 && thread != 0) wakeAll(unfinished_);
}

void ThreadPool::fail(int thread) {
  if (!at_work_[thread].load(std::memory_order_relaxed)) return;
  failed_.store(true, std::memory_order_relaxed);
  finishPart(thread);
}

void ThreadPool::waitForOthers() {
  for (int look = 0;; ++look) {
    const std::uint32_t left = unfinished_.load(std::memory_order_acquire);
    if (left == 0) return;
    if (look < kLooks || !may_block_) {
      pause();
    } else {
      sleepWhile(unfinished_, left);
    }
  }
}

void ThreadPool::serve(int thread) {
  for (;;) {
    const std::uint32_t seen = news_.load(std::memory_order_acquire);
    if (ended_.load(std::memory_order_relaxed)) return;
    takeParts(thread);
    for (int look = 0; look < kLooks && !newsSince(seen); ++look) pause();
    if (newsSince(seen)) continue;
    sleeping_.fetch_add(1, std::memory_order_seq_cst);
    while (news_.load(std::memory_order_seq_cst) == seen) sleepWhile(news_, seen);
    sleeping_.fetch_sub(1, std::memory_order_relaxed);
  }
}

}  // namespace trefoil
