// Counts allocations, so that a test can see that running a network makes none. In a file by itself, since a
// compiler that sees both sides of the replacement warns about it.
#include "helpers/allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<std::size_t> count{0};
}

// The address sanitizer replaces these operators itself, and checks more; the other builds count.
#if !defined(__SANITIZE_ADDRESS__)

void* operator new(std::size_t size) {
  ++count;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

#endif

std::size_t trefoil::testing::allocationCount() { return count; }
