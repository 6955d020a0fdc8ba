// How another instance of the module, in a worker and on the same memory, becomes a thread: it calls the
// function `entry` of its table with (stack, thread), and does not return. Should it trap, calling it with
// -thread lets the others know.
#pragma once

#if defined(__wasm_atomics__)

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "kernels/variant.h"

namespace trefoil::bindings {
void servePool(int thread);  // what a thread does, or -thread did; the including file defines it
}

extern "C" {
__attribute__((used)) inline void trefoilServe(int thread) { trefoil::bindings::servePool(thread); }
void trefoilThread(std::uintptr_t stack, int thread);
}
// An instance begins with the first one's stack pointer, and must leave that stack alone before any C++ runs.
asm(R"(
  .globaltype __stack_pointer, i32
  .functype trefoilServe (i32) -> ()
  .section .text.trefoilThread,"",@
  .globl trefoilThread
  .type trefoilThread,@function
trefoilThread:
  .functype trefoilThread (i32, i32) -> ()
  local.get 0
  global.set __stack_pointer
  local.get 1
  call trefoilServe
  end_function
)");

namespace trefoil::bindings {

// The upper ends of so many stacks, which stay for as long as the module does.
inline Result<std::vector<std::uintptr_t>> reserveStacks(int count) {
  constexpr std::size_t kBytes = std::size_t{128} << 10;  // kernels need a few
  static std::vector<AlignedBuffer> stacks;
  std::vector<std::uintptr_t> ends;
  for (int i = 0; i < count; ++i) {
    AlignedBuffer& stack = stacks.emplace_back(kBytes);
    if (!stack.data()) return makeError(ErrorCode::kOutOfMemory, "no memory for the stacks of threads");
    ends.push_back(reinterpret_cast<std::uintptr_t>(stack.data() + stack.size()));
  }
  return ends;
}

inline std::uintptr_t threadEntry() { return reinterpret_cast<std::uintptr_t>(&trefoilThread); }

}  // namespace trefoil::bindings

#endif
