#include "runtime/thread_pool.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

namespace {

using trefoil::ThreadPool;

// Counts calls of each part, and checks that no thread number is in two calls at once.
struct Watch {
  std::atomic<int> calls[ThreadPool::kMostParts] = {};
  std::atomic<bool> busy[ThreadPool::kMostThreads] = {};
  std::atomic<bool> clash{false};

  void enter(int part, int thread) {
    if (busy[thread].exchange(true)) clash = true;
    ++calls[part];
  }
  void leave(int thread) { busy[thread] = false; }
};

TEST_SUITE("thread pool") {
  TEST_CASE("every part is done once, whatever the number of threads and parts") {
    for (int threads = 1; threads <= 8; ++threads) {
      CAPTURE(threads);
      for (const bool may_block : {true, false}) {
        ThreadPool pool(threads, may_block);
        REQUIRE(pool.threads() == threads);
        for (int parts = 0; parts <= ThreadPool::kMostParts; ++parts) {
          CAPTURE(parts);
          Watch watch;
          REQUIRE(pool.run(parts, [&](int part, int thread) {
            watch.enter(part, thread);
            watch.leave(thread);
          }));
          for (int part = 0; part < ThreadPool::kMostParts; ++part)
            REQUIRE(watch.calls[part] == (part < parts ? 1 : 0));
          REQUIRE(!watch.clash);
        }
      }
    }
  }

  // What one operation wrote without any lock, the next one reads on other threads.
  TEST_CASE("a job sees all that the one before it wrote") {
    for (const int threads : {2, 3, 5}) {
      ThreadPool pool(threads);
      std::vector<int> values(7, 0);
      for (int round = 0; round < 20'000; ++round) {
        const std::vector<int>& read = values;
        std::vector<int> next(7);
        REQUIRE(pool.run(7, [&](int part, int) {
          next[static_cast<std::size_t>(part)] = read[static_cast<std::size_t>((part + 1) % 7)] + 1;
        }));
        values = next;
      }
      for (const int value : values) REQUIRE(value == 20'000);
    }
  }

#if TREFOIL_STARTS_THREADS
  TEST_CASE("threads wake up after a rest") {
    ThreadPool pool(2);
    for (int round = 0; round < 20; ++round) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));  // longer than anyone looks for work
      std::atomic<int> met{0};
      // Both parts wait for each other: one thread alone would never end.
      REQUIRE(pool.run(2, [&](int, int) {
        ++met;
        while (met < 2) std::this_thread::yield();
      }));
      REQUIRE(met == 2);
    }
  }

  TEST_CASE("a thread that fails ends one run, and leaves the next ones to the others") {
    std::atomic<bool> over{false};
    std::atomic<int> met{0};
    auto pool = std::make_unique<ThreadPool>(2);
    const auto failing = [&](int, int thread) {
      ++met;
      while (met < 2) std::this_thread::yield();
      if (thread == 0) return;
      pool->fail(1);
      while (!over) std::this_thread::yield();  // as good as gone
    };
    CHECK(!pool->run(2, failing));
    for (int round = 0; round < 3; ++round) {
      std::atomic<int> done{0};
      CHECK(pool->run(8, [&](int, int thread) { done += thread == 0 ? 1 : 100; }));
      CHECK(done == 8);
    }
    over = true;
    pool.reset();
  }
#endif

  TEST_CASE("pools come and go, used or not") {
    for (int round = 0; round < 200; ++round) {
      ThreadPool pool(1 + round % 8);
      std::atomic<int> done{0};
      if (round % 3) REQUIRE(pool.run(round % 5, [&](int, int) { ++done; }));
      REQUIRE(done == (round % 3 ? round % 5 : 0));
    }
  }

}  // TEST_SUITE

}  // namespace
